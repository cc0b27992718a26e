"""The folder of a suite: what lies where, and how far every job is.

data/NAME-KEY/                      data sets
results/NAME-KEY/METHOD-seedN-KEY/  results with their scores
scores.csv  report.html  logs/      and site/, where one page would be too large
.suite/plan.json  done/KIND/KEY.json  alive/KIND-KEY.json  unused/  snakemake's own files
"""

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoarena.benchmark.plan import Job, Plan
from cryoarena.files import read_json, write_json

# A page that is larger opens slowly.
LARGEST_PAGE_BYTES = 25_000_000
_KEY = re.compile(r"-([0-9a-f]{12})$")

# A job that is alive says so every few seconds; the clocks of a cluster may differ a little.
ALIVE_EVERY_S = 5.0
_ALIVE_FOR_S = 30.0


def without_key(name: str) -> str:
    """Return what a suite calls a data set or a run, given the name of its folder; other names stay as they are."""
    return _KEY.sub("", name)


def log_of(result: Path) -> Path | None:
    """Return what the run told that left a result folder in a suite; None elsewhere and where the log is gone."""
    key = _KEY.search(result.name)
    logs = result.parent.parent.parent / "logs"
    return next(logs.glob(f"run-*-{key[1]}.log"), None) if key else None


@dataclass(frozen=True)
class SuiteFolder:
    """Paths in the folder of a suite."""

    root: Path

    @property
    def hidden(self) -> Path:
        """Return the folder of what no user needs."""
        return self.root / ".suite"

    @property
    def plan(self) -> Path:
        """Return the file of the plan."""
        return self.hidden / "plan.json"

    @property
    def scores(self) -> Path:
        """Return the score table of the suite."""
        return self.root / "scores.csv"

    @property
    def report(self) -> Path:
        """Return the page."""
        return self.root / "report.html"

    @property
    def site(self) -> Path:
        """Return the folder of pages that is written where one page would be too large."""
        return self.root / "site"

    @property
    def has_large_page(self) -> bool:
        """Tell whether the page would open slowly."""
        return self.report.stat().st_size > LARGEST_PAGE_BYTES

    @property
    def snakemake_log(self) -> Path:
        """Return what Snakemake tells."""
        return self.root / "logs" / "snakemake.log"

    def log(self, job: Job) -> Path:
        """Return what a job tells."""
        return self.root / "logs" / f"{job.kind}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', job.label)}-{job.key}.log"

    def product(self, job: Job) -> Path:
        """Return the folder that a job fills."""
        return self.root / job.folder

    def done(self, job: Job) -> Path:
        """Return the file that tells how a job ended; the only output that Snakemake knows of."""
        return self.hidden / "done" / f"{job.identity}.json"

    def alive(self, job: Job) -> Path:
        """Return the file by which a job tells that it is running."""
        return self.hidden / "alive" / f"{job.kind}-{job.key}.json"

    def ending(self, job: Job) -> dict[str, Any] | None:
        """Return how a job ended (status, reason, wall_s), or None while it has not."""
        path = self.done(job)
        return read_json(path) if path.is_file() else None

    def write_ending(self, job: Job, status: str, reason: str = "", wall_s: float = 0.0) -> None:
        """Tell how a job ended."""
        write_json(self.done(job), {"label": job.label, "status": status, "reason": reason, "wall_s": wall_s})

    def running_since(self, job: Job) -> float | None:
        """Return when a job that is running now was started (seconds since 1970), or None."""
        path = self.alive(job)
        try:
            if time.time() - path.stat().st_mtime > _ALIVE_FOR_S:
                return None
            return float(json.loads(path.read_text())["started"])
        except (OSError, ValueError, KeyError):
            return None

    def arrange(self, plan: Plan) -> None:
        """Bring what is there to where the plan wants it, and put aside what the plan does not want.

        What lies in a folder is known by the key at the end of its name. A job whose product is not there any more, or
        was made anew by another job, is to be done again.
        """
        wanted = {job.key: self.product(job) for kind in ("data", "run") for job in plan.of_kind(kind)}
        for key, path in list(self._products()):
            # Only now is it looked for, since it may have been moved with the folder that held it.
            goal = wanted.get(key, self.hidden / "unused" / path.name)
            if path != goal and path.exists() and not goal.exists():
                goal.parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, goal)
        for folder in (self.root / "results").glob("*"):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        for job in plan.jobs.values():
            if not self._is_there(job):
                self.forget(job)

    def forget(self, job: Job) -> None:
        """Let a job be done again."""
        self.done(job).unlink(missing_ok=True)

    def sign(self, job: Job) -> None:
        """Leave the key of a job beside what it wrote where another job may have written before."""
        path = self._signature(job)
        if path is not None:
            path.write_text(job.key + "\n")

    def _signature(self, job: Job) -> Path | None:
        return {"score": self.product(job) / "scored_by.txt", "report": self.hidden / "reported_by.txt"}.get(job.kind)

    def _is_there(self, job: Job) -> bool:
        ending, signature = self.ending(job), self._signature(job)
        if ending is None:
            return False
        if ending["status"] == "failed":
            # A run that fails leaves a result that says why.
            return job.kind != "run" or self.product(job).exists()
        if signature is not None:
            return signature.is_file() and signature.read_text().strip() == job.key
        return self.product(job).exists()

    def _products(self) -> Iterator[tuple[str, Path]]:
        for pattern in ("data/*", "results/*/*", ".suite/unused/*"):
            for path in sorted(self.root.glob(pattern)):
                # What has no key is the user's.
                if not path.name.startswith(".") and (found := _KEY.search(path.name)):
                    yield found[1], path
