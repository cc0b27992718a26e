"""Show how far a suite is while it runs: a table that is kept up to date, or lines where there is no terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from cryoarena.benchmark.plan import Plan
from cryoarena.benchmark.run_suite import Watch
from cryoarena.benchmark.status import as_table, duration, suite_status
from cryoarena.benchmark.suite_folder import SuiteFolder


@contextmanager
def watching() -> Iterator[Watch]:
    """Yield what is to be called now and then with the folder and the plan of a suite."""
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield _lines()
        return
    with Live(console=console, refresh_per_second=2) as live:
        yield lambda folder, plan: live.update(as_table(folder, plan, suite_status(folder, plan)))


def _lines() -> Watch:
    told: set[str] = set()
    first = True

    def tell(folder: SuiteFolder, plan: Plan) -> None:
        nonlocal first
        statuses = suite_status(folder, plan)
        ended = [status for status in statuses if status.state not in ("waiting", "running")]
        for status in ended:
            if status.job.identity in told:
                continue
            told.add(status.job.identity)
            # What an earlier start has done is not told one by one.
            if not first:
                state = f"{status.state}{f': {status.reason}' if status.reason else ''}"
                what = f"{status.job.kind} {status.job.label}"
                line = f"[{len(told)}/{len(statuses)}] {what}: {state}, {duration(status.seconds)}"
                print(line, file=sys.stderr, flush=True)
        if first and ended:
            print(f"[{len(ended)}/{len(statuses)}] done before", file=sys.stderr, flush=True)
        first = False

    return tell
