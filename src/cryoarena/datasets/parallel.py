"""Run independent jobs on several processes, with a progress bar."""

from collections.abc import Callable, Iterable
from typing import Any

from joblib import Parallel, delayed

from cryoarena.progress import progress_bar


def in_parallel(
    description: str, processes: int, function: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]
) -> list[Any]:
    """Run `function(*job)` for every job, with a bar; results in order."""
    tasks = [delayed(function)(*job) for job in jobs]
    results = []
    with progress_bar(description) as report:
        workers = Parallel(n_jobs=processes, return_as="generator", batch_size=1, pre_dispatch="2*n_jobs")
        for done, result in enumerate(workers(tasks), start=1):
            results.append(result)
            report(done, len(tasks))
    return results
