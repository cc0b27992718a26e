"""Run a suite in a folder: plan, jobs, table; repeated, it goes on where it was."""

import fcntl
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from cryoarena.benchmark.job import record_failure
from cryoarena.benchmark.plan import Job, Plan, read_plan
from cryoarena.benchmark.signature import signature_of, still_holds
from cryoarena.benchmark.suite import find_suite, read_suite
from cryoarena.benchmark.suite_folder import SuiteFolder
from cryoarena.benchmark.suite_table import write_suite_table
from cryoarena.benchmark.workflow import Machine, Terminated, run_workflow
from cryoarena.errors import UserError

Watch = Callable[[SuiteFolder, Plan], None]


def run_suite(given: str, root: Path, machine: Machine, watch: Watch, again: bool = False) -> Plan:
    """Run all jobs of a suite that are not done and write its score table.

    Args:
        given: name of a shipped suite, or a file.
        root: folder of the suite; new, or one that an earlier start has filled.
        machine: where the jobs run.
        watch: called now and then while they do, and once at the end.
        again: also do what failed, or was not applicable, once more.

    Returns:
        The plan, all of whose jobs have ended.

    Raises:
        UserError: for whatever is wrong with the suite or the folder, or when another start is at work in it.
    """
    folder = SuiteFolder(root.absolute())
    file = find_suite(given)
    suite = read_suite(file)
    if root.exists() and not root.is_dir():
        raise UserError(f"{root} is a file, not a folder; choose another -o")
    if root.exists() and not folder.hidden.is_dir() and any(root.iterdir()):
        raise UserError(f"{root} is not empty and holds no suite; choose another -o")
    with _locked(folder) as lock, _terminable():
        signature = signature_of(suite)
        plan = _kept_plan(folder)
        if plan is None or not still_holds(plan, signature):
            # Imports all that data sets, methods and metrics need, which takes seconds.
            from cryoarena.benchmark.make_plan import make_plan

            plan = make_plan(suite, file, signature)
        folder.arrange(plan)
        if again:
            _forget_failures(folder, plan)
        plan.write(folder.plan)
        try:
            while any(folder.ending(job) is None for job in plan.jobs.values()):
                for job in run_workflow(folder, plan, machine, lock, lambda: watch(folder, plan)):
                    _record_death(folder, plan, job)
        finally:
            write_suite_table(folder, plan)
        watch(folder, plan)
    return plan


def _kept_plan(folder: SuiteFolder) -> Plan | None:
    """Return the plan of an earlier start; None where there is none, or another version has written it."""
    with suppress(UserError):
        return read_plan(folder.plan)
    return None


def _record_death(folder: SuiteFolder, plan: Plan, job: Job) -> None:
    """Tell the end of a job that was killed before it could tell itself."""
    reason = "it was killed, or ran out of memory or time, whenever it was tried"
    record_failure(folder, plan, job, reason)
    folder.write_ending(job, "failed", reason)


def _forget_failures(folder: SuiteFolder, plan: Plan) -> None:
    """Let be done again what is not ok, and all that came after it."""
    forgotten: set[str] = set()
    for job in plan.jobs.values():
        ending = folder.ending(job)
        if not forgotten.isdisjoint(job.needs) or (ending is not None and ending["status"] != "ok"):
            forgotten.add(job.identity)
            folder.forget(job)
            if job.kind == "run":
                shutil.rmtree(folder.product(job), ignore_errors=True)


@contextmanager
def _locked(folder: SuiteFolder) -> Iterator[int]:
    """Hold the lock of a suite and yield its descriptor; who inherits it holds the lock as well."""
    folder.hidden.mkdir(parents=True, exist_ok=True)
    folder.snakemake_log.parent.mkdir(exist_ok=True)
    with (folder.hidden / "lock").open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"another start of this suite is still at work in {folder.root}; see `cryoarena status` and wait for it"
            ) from error
        yield stream.fileno()


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that what was started is ended too."""

    def terminate(number: int, frame: object) -> NoReturn:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
