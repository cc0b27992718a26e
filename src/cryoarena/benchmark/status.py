"""How far a suite is."""

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cryoarena.benchmark.plan import KINDS, Job, Plan
from cryoarena.benchmark.suite_folder import SuiteFolder

State = Literal["waiting", "running", "ok", "not_applicable", "failed"]
_STATES: tuple[State, ...] = ("ok", "not_applicable", "failed", "running", "waiting")
_NAMES = {"data": "make data sets", "limits": "floor and ceiling", "run": "run methods", "score": "score"}
_TAIL_BYTES = 2000


@dataclass(frozen=True)
class JobStatus:
    """How far one job is.

    Attributes:
        job: which.
        state: of it.
        reason: why it is not applicable or failed; of a running job the last that it told.
        seconds: that it took, or takes so far; None while it waits.
    """

    job: Job
    state: State
    reason: str = ""
    seconds: float | None = None


def suite_status(folder: SuiteFolder, plan: Plan) -> list[JobStatus]:
    """Return how far every job is, in the order of the plan."""
    return [_status_of(folder, job) for job in plan.jobs.values()]


def _status_of(folder: SuiteFolder, job: Job) -> JobStatus:
    if (ending := folder.ending(job)) is not None:
        return JobStatus(job, ending["status"], ending["reason"], ending["wall_s"])
    if (since := folder.running_since(job)) is not None:
        return JobStatus(job, "running", _last_line(folder.log(job)), time.time() - since)
    return JobStatus(job, "waiting")


def _last_line(log: Path) -> str:
    if not log.is_file():
        return ""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = stream.read().decode(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def as_json(folder: SuiteFolder, plan: Plan, statuses: list[JobStatus]) -> dict[str, Any]:
    """Return the same for scripts."""
    counts = Counter(status.state for status in statuses)
    return {
        "suite": plan.suite,
        "counts": {state: counts[state] for state in _STATES},
        "jobs": [
            {
                "kind": status.job.kind,
                "key": status.job.key,
                "label": status.job.label,
                "state": status.state,
                "reason": status.reason,
                "seconds": status.seconds,
                "folder": str(folder.product(status.job)),
                "log": str(folder.log(status.job)),
            }
            for status in statuses
        ],
    }


def as_table(folder: SuiteFolder, plan: Plan, statuses: list[JobStatus]) -> RenderableType:
    """Return what is shown on a terminal: numbers of jobs, what is running, and what has failed and why."""
    shown: list[RenderableType] = [_numbers(plan, statuses)]
    for state, title in (("running", "running"), ("failed", "failed"), ("not_applicable", "not applicable")):
        if chosen := [status for status in statuses if status.state == state and not _follows(status, statuses)]:
            shown.append(_details(folder, title, chosen))
    return Group(*shown)


def _follows(status: JobStatus, statuses: list[JobStatus]) -> bool:
    """Tell whether a job failed only because one that it needs has failed, which is shown already."""
    failed = {other.job.identity for other in statuses if other.state == "failed"}
    return status.state == "failed" and not failed.isdisjoint(status.job.needs)


def _numbers(plan: Plan, statuses: list[JobStatus]) -> Table:
    table = Table("", "done", "not applicable", "failed", "running", "waiting", title=f"suite {plan.suite}")
    for kind in KINDS:
        counts = Counter(status.state for status in statuses if status.job.kind == kind)
        table.add_row(_NAMES.get(kind, kind), *(str(counts[state] or "") for state in _STATES))
    return table


def _details(folder: SuiteFolder, title: str, statuses: list[JobStatus]) -> Table:
    table = Table("job", "time", "last told" if title == "running" else "reason", title=title)
    table.add_column("log", overflow="fold")
    for status in statuses:
        job = Text(f"{status.job.kind} {status.job.label}")
        log = folder.log(status.job).relative_to(folder.root)
        table.add_row(job, duration(status.seconds), Text(status.reason), str(log))
    return table


def duration(seconds: float | None) -> str:
    """Return seconds for people, e.g. `1:02:03` or `4.1 s`."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
