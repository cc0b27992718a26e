"""Do one job of a suite: `python -m cryoarena.benchmark.job FOLDER KIND/KEY --threads N`.

However it ends, a file tells so: a failure is a result. Only a job that is killed tells nothing, and is tried again.
"""

import argparse
import fcntl
import json
import logging
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryoarena.benchmark.plan import Job, Plan, read_plan
from cryoarena.benchmark.suite_folder import ALIVE_EVERY_S, SuiteFolder
from cryoarena.errors import UserError
from cryoarena.files import read_json
from cryoarena.methods.result_info import write_info

Ending = tuple[str, str]


@dataclass(frozen=True)
class _Task:
    folder: SuiteFolder
    plan: Plan
    job: Job
    threads: int

    @property
    def product(self) -> Path:
        return self.folder.product(self.job)

    @property
    def needs(self) -> list[Job]:
        return [self.plan.jobs[need] for need in self.job.needs]


_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def main() -> None:
    """Do the job that the command line names."""
    parser = argparse.ArgumentParser(description="Do one job of a suite.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("identity")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    # Before any library is loaded that asks for them. Data are made by as many processes, of one thread each.
    threads = 1 if given.identity.startswith("data/") else given.threads
    os.environ |= dict.fromkeys(_THREADS, str(threads))
    logging.basicConfig(format="%(message)s")
    logging.getLogger("cryoarena").setLevel(logging.DEBUG)
    folder = SuiteFolder(given.folder)
    plan = read_plan(folder.plan)
    do_job(folder, plan, plan.jobs[given.identity], given.threads)


def do_job(folder: SuiteFolder, plan: Plan, job: Job, threads: int) -> None:
    """Do a job, unless it is done, and tell how it ended."""
    with _alive(folder.alive(job)):
        # An earlier start of the suite may have been killed and have left this very job behind, at work until now.
        if folder.ending(job) is not None:
            return
        started = time.perf_counter()
        try:
            status, reason = _DO[job.kind](_Task(folder, plan, job, threads))
        except UserError as error:
            status, reason = "failed", str(error)
        except Exception as error:
            logging.getLogger(__name__).debug("", exc_info=True)
            status, reason = "failed", f"{type(error).__name__}: {error}"
        if reason:
            print(f"{status}: {reason}", file=sys.stderr)
        if status == "failed":
            record_failure(folder, plan, job, reason)
        folder.write_ending(job, status, reason, time.perf_counter() - started)


def record_failure(folder: SuiteFolder, plan: Plan, job: Job, reason: str) -> None:
    """Write what a run that has no result of its own leaves: a result folder that says why."""
    result = folder.product(job)
    if job.kind != "run" or (result / "result.json").is_file():
        return
    result.mkdir(parents=True, exist_ok=True)
    log = folder.log(job)
    if log.is_file():
        (result / "log.txt").write_bytes(log.read_bytes())
    info = {key: job.work[key] for key in ("method", "options", "dataset", "seed", "device")}
    card = folder.product(plan.jobs[job.needs[0]]) / "dataset.json"
    if card.is_file():
        info["dataset"] = {key: read_json(card)[key] for key in ("name", "id")}
    write_info(result, {**info, "versions": {}, "history": [], "status": "failed", "reason": reason})


def _make(task: _Task) -> Ending:
    from cryoarena.benchmark.suite import SuiteDataset
    from cryoarena.benchmark.suite_orders import order_of

    out, entry = task.product, SuiteDataset.model_validate(task.job.work)
    if entry.folder is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.unlink(missing_ok=True)
        out.symlink_to(entry.folder, target_is_directory=True)
    elif not (out / "dataset.json").is_file():
        order_of(entry).make(out, task.threads)
    return "ok", ""


def _limits(task: _Task) -> Ending:
    if (lack := _no_data(task.folder, task.needs[0])) is not None:
        return "failed", lack
    from cryoarena.benchmark.score_limits import score_limits
    from cryoarena.datasets.truth import open_truth
    from cryoarena.limits.leakage import leakage_of

    data = task.folder.product(task.needs[0])
    score_limits(data)
    leakage_of(open_truth(data))
    return "ok", ""


def _run(task: _Task) -> Ending:
    data, work = task.needs[0], task.job.work
    if (lack := _no_data(task.folder, data)) is not None:
        return "failed", lack
    from cryoarena.benchmark.run_cell import run_method

    if (task.product / "result.json").is_file():
        info = read_json(task.product / "result.json")
    else:
        name, given = work["method"]["name"], work["options"]["given"]
        paths = task.folder.product(data), task.product
        info = run_method(name, *paths, given, work["device"], work["seed"], overwrite=True)
    return info["status"], info["reason"]


def _score(task: _Task) -> Ending:
    run = task.needs[0]
    data = task.plan.jobs[run.needs[0]]
    if (lack := _no_data(task.folder, data)) is not None:
        return "failed", lack
    from cryoarena.benchmark.score import score_result

    for name in ("scored_by.txt", "scores.csv"):
        # Of an earlier key; whatever happens now, it must not be taken for this one.
        (task.product / name).unlink(missing_ok=True)
    score_result(task.folder.product(run), task.folder.product(data), wanted=task.plan.metrics)
    task.folder.sign(task.job)
    return "ok", ""


def _no_data(folder: SuiteFolder, data: Job) -> str | None:
    """Return why there is no data set to work on, or None."""
    made = folder.ending(data)
    return None if made is None or made["status"] == "ok" else f"there is no data set: {made['reason']}"


def _report(task: _Task) -> Ending:
    folder = task.folder
    trouble = _told_by_report(folder, str(folder.report))
    if not trouble and folder.has_large_page:
        trouble = _told_by_report(folder, f"{folder.site}/")
    if trouble:
        return "failed", trouble
    folder.sign(task.job)
    return "ok", ""


def _told_by_report(folder: SuiteFolder, out: str) -> str:
    """Write the page or site as a user would, since it is above this package in the house; return why it failed."""
    command = [sys.executable, "-m", "cryoarena.cli", "report", str(folder.root), "-o", out, "--overwrite"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    print(done.stderr, file=sys.stderr)
    return done.stderr.strip().rpartition("\n")[2] if done.returncode else ""


_DO = {"data": _make, "limits": _limits, "run": _run, "score": _score, "report": _report}


@contextmanager
def _alive(path: Path) -> Iterator[None]:
    """Hold a file that one process at a time may hold, and touch it every few seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as stream:
        with suppress(OSError):
            # Some shared file systems know no locks; there a job that was left behind is not waited for.
            fcntl.flock(stream, fcntl.LOCK_EX)
        stream.truncate(0)
        json.dump({"host": platform.node(), "process": os.getpid(), "started": time.time()}, stream)
        stream.flush()
        ended = threading.Event()

        def touch() -> None:
            while not ended.wait(ALIVE_EVERY_S):
                os.utime(path)

        threading.Thread(target=touch, daemon=True).start()
        try:
            yield
        finally:
            ended.set()
            os.utime(path, (0, 0))


if __name__ == "__main__":
    main()
