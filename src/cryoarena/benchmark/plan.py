"""The plan of a suite: every job with what it needs, and where things lie; written as plan.json, read by every job."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cryoarena.errors import UserError
from cryoarena.files import read_json, write_json

KINDS = ("data", "limits", "run", "score", "report")
_KEY_DIGITS = 12


def key_of(what: Any) -> str:
    """Return the key of something that JSON can hold: the same for the same content, on every machine."""
    text = json.dumps(what, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]


@dataclass(frozen=True)
class Asks:
    """What a job asks of a machine: threads, memory, minutes and GPUs."""

    threads: int = 1
    memory_MB: int = 4000
    minutes: int = 60
    gpus: int = 0


@dataclass(frozen=True)
class Job:
    """One job of a suite.

    Attributes:
        kind: one of `KINDS`.
        key: hash of all that decides what it makes.
        label: for people.
        folder: that it fills, relative to that of the suite; "" of the report.
        needs: identities of the jobs that come first.
        work: what is to be done, for `benchmark/job.py`.
        asks: what it asks of a machine.
    """

    kind: str
    key: str
    label: str
    folder: str
    needs: tuple[str, ...] = ()
    work: dict[str, Any] = field(default_factory=dict)
    asks: Asks = field(default_factory=Asks)

    @property
    def identity(self) -> str:
        """Return what tells this job from all others."""
        return f"{self.kind}/{self.key}"


@dataclass(frozen=True)
class Plan:
    """All jobs of a suite, in an order in which they could be done.

    Attributes:
        suite: name of the suite.
        signature: of the suite file, the code and the machine that the plan was made from.
        jobs: by identity.
        metrics: name -> version and direction of every metric that is asked for.
        tools: name and program of the outside programs of the suite, and whether they were there.
    """

    suite: str
    signature: str
    jobs: dict[str, Job]
    metrics: dict[str, dict[str, Any]]
    tools: list[dict[str, Any]] = field(default_factory=list)

    def of_kind(self, kind: str) -> list[Job]:
        """Return the jobs of one kind."""
        return [job for job in self.jobs.values() if job.kind == kind]

    def write(self, path: Path) -> None:
        """Write the plan as JSON."""
        # Lists, since the keys of an object are sorted when written.
        write_json(path, {**asdict(self), "jobs": [asdict(job) for job in self.jobs.values()]})


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        UserError: when there is none, or it is of another version of the package.
    """
    if not path.is_file():
        raise UserError(f"{path.parent.parent} holds no suite; give the folder that `cryoarena bench -o` was given")
    content = read_json(path)
    try:
        jobs = [Job(**{**job, "needs": tuple(job["needs"]), "asks": Asks(**job["asks"])}) for job in content["jobs"]]
        return Plan(**{**content, "jobs": {job.identity: job for job in jobs}})
    except (TypeError, KeyError) as error:
        raise UserError(f"{path} is of another version; repeat `cryoarena bench` to write it again") from error
