"""Run the jobs of a plan by Snakemake, here or on a cluster."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from cryoarena.benchmark.plan import Job, Plan
from cryoarena.benchmark.slurm import slurm_arguments
from cryoarena.benchmark.suite_folder import SuiteFolder
from cryoarena.errors import UserError
from cryoarena.methods.external.gpu import has_gpu

_SNAKEFILE = Path(__file__).with_name("Snakefile")
_LOOK_EVERY_S = 0.5
_SHOWN_LINES = 5
_ENDS_WITHIN_S = 30.0
_FAILED_JOB = re.compile(r"^Error in rule \w+:$(?:\n {4}.*)*?\n {4}output: done/(\S+)\.json", re.MULTILINE)


class Terminated(KeyboardInterrupt):
    """The process was asked to end by a signal that no other process has got."""


@dataclass(frozen=True)
class Machine:
    """Where the jobs run.

    Attributes:
        cores: of this machine that are used; on a cluster the most that one job asks for.
        retries: how often a job is tried again that was killed.
        executor: plug-in of Snakemake, e.g. slurm; None for this machine.
        profile: of Snakemake; None for none.
        jobs: most at a time on a cluster.
    """

    cores: int
    retries: int = 1
    executor: str | None = None
    profile: str | None = None
    jobs: int = 100

    def arguments(self) -> list[str]:
        """Return what Snakemake is told about the machine.

        Raises:
            UserError: when a plug-in is not installed, or there is no such cluster.
        """
        words = ["--cores", str(self.cores), "--retries", str(self.retries)]
        executor = self.executor
        if self.profile is not None:
            words += ["--profile", self.profile]
            executor = executor or _executor_of(self.profile)
        if executor in (None, "local"):
            # Beside a profile that names another one it has to be said.
            words += ["--executor", "local"] if executor else []
            memory_MB = psutil.virtual_memory().total // 1_000_000
            return [*words, "--resources", f"mem_mb={memory_MB}", f"gpu={int(has_gpu())}"]
        if importlib.util.find_spec(f"snakemake_executor_plugin_{executor.replace('-', '_')}") is None:
            extra = "cryoarena[slurm]" if executor == "slurm" else f"snakemake-executor-plugin-{executor}"
            raise UserError(f"--executor {executor}: its plug-in is not installed; run `pip install {extra!r}`")
        words += ["--jobs", str(self.jobs), "--latency-wait", "60"]
        words += ["--executor", executor] if self.executor else []
        return [*words, *(slurm_arguments() if executor == "slurm" else ())]


def _executor_of(profile: str) -> str | None:
    """Return the executor that a profile names.

    Raises:
        UserError: when it is no folder of a profile; what is kept elsewhere by its name could not be looked into.
    """
    files = sorted(Path(profile).glob("config*.yaml"))
    if not files:
        raise UserError(f"--profile {profile}: give a folder with a config.yaml")
    for file in files:
        content = yaml.safe_load(file.read_text())
        if isinstance(content, dict) and content.get("executor"):
            return str(content["executor"])
    return None


def run_workflow(folder: SuiteFolder, plan: Plan, machine: Machine, lock: int, look: Callable[[], None]) -> list[Job]:
    """Run what is not done and return the jobs that were killed, or could not be started, as often as they were tried.

    Args:
        folder: of the suite, with the plan in it.
        plan: the same.
        machine: where.
        lock: file descriptor that is held as long as Snakemake runs, whatever becomes of this process.
        look: called twice a second.

    Raises:
        UserError: when Snakemake ends without a job having failed.
    """
    command = [sys.executable, "-m", "snakemake", "suite", "--snakefile", str(_SNAKEFILE)]
    command += ["--directory", str(folder.hidden), "--config", f"folder={folder.root}"]
    # Two starts of a suite are kept apart by our lock, which no kill leaves behind.
    command += ["--nolock", "--keep-going", "--rerun-incomplete", "--rerun-triggers", "mtime"]
    command += ["--scheduler", "greedy", "--nocolor", *machine.arguments()]
    log = folder.snakemake_log
    begin = log.stat().st_size if log.exists() else 0
    with log.open("ab") as stream, _interruptible():
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, pass_fds=[lock], env=_environment()
        )
    try:
        while process.poll() is None:
            time.sleep(_LOOK_EVERY_S)
            look()
    except BaseException as error:
        _stop(process, is_told=isinstance(error, KeyboardInterrupt) and not isinstance(error, Terminated))
        raise
    told = log.read_bytes()[begin:].decode(errors="replace")
    if process.returncode == 0:
        return []
    failed = [plan.jobs[identity] for identity in dict.fromkeys(_FAILED_JOB.findall(told)) if identity in plan.jobs]
    failed = [job for job in failed if folder.ending(job) is None]
    if not failed:
        last = " | ".join(told.strip().splitlines()[-_SHOWN_LINES:])
        raise UserError(f"Snakemake ended with exit code {process.returncode}, see {log}: {last}")
    return failed


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let processes that are started now end on SIGINT, which `_stop` sends, in the background of a script too."""
    is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if is_ignored:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        if is_ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _stop(process: subprocess.Popen[bytes], is_told: bool) -> None:
    """End Snakemake, which takes back what it sent to a cluster, and the jobs on this machine.

    Args:
        process: Snakemake.
        is_told: whether Ctrl-C on the terminal has reached all of them already; a second signal would disturb.
    """
    jobs: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        jobs = psutil.Process(process.pid).children(recursive=True)
    if is_told:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_ENDS_WITHIN_S)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        for job in jobs:
            with suppress(psutil.NoSuchProcess):
                job.terminate()
        process.wait()
    until_s = time.monotonic() + _ENDS_WITHIN_S
    while (living := [job for job in jobs if _lives(job)]) and time.monotonic() < until_s:
        time.sleep(0.05)
    for job in living:
        with suppress(psutil.NoSuchProcess):
            job.kill()


def _lives(process: psutil.Process) -> bool:
    # One that has ended stays a zombie where no first process of a container asks for it.
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _environment() -> dict[str, str]:
    # What a user has set for all workflows on this machine would be mixed with what is said here.
    return {name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"}
