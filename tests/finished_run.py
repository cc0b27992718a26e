"""A run of an outside program that is finished, and what every adapter must show with it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cryoarena.benchmark.import_result import import_result
from cryoarena.benchmark.run_cell import run_method
from cryoarena.benchmark.score import score_result
from cryoarena.files import read_json
from cryoarena.metrics.base import metrics
from cryoarena.progress import Report


@dataclass(frozen=True)
class FinishedRun:
    """A run that succeeded.

    Attributes:
        method: its name.
        dataset: folder that it was run on.
        result: folder of the result.
        output: folder that the program wrote.
    """

    method: str
    dataset: Path
    result: Path
    output: Path

    @property
    def info(self) -> dict[str, Any]:
        """Return result.json."""
        return dict(read_json(self.result / "result.json"))


def finish(method: str, dataset: Path, folder: Path, options: dict[str, str], seed: int = 0) -> FinishedRun:
    """Run a method as `cryoarena run` does, and move the files of the program to where a user may have them.

    What the program was given is moved with it, but for the stacks.
    """
    run_and_keep(method, dataset, folder / "run", options, seed)
    shutil.copytree(folder / ".run.work", folder / "theirs", ignore=shutil.ignore_patterns("stacks"))
    shutil.rmtree(folder / ".run.work")
    return FinishedRun(method, dataset, folder / "run", folder / "theirs" / "output")


def run_and_keep(method: str, dataset: Path, out: Path, options: dict[str, str], seed: int = 0) -> None:
    """Run a method and leave what its program wrote in .NAME.work; what is told of the progress rises to the end."""
    shares: list[float] = []

    @contextmanager
    def recorded(description: str) -> Iterator[Report]:
        yield lambda done, total, note="": shares.append(done / total)

    with pytest.MonkeyPatch.context() as patch:
        # What is otherwise removed when the result is complete.
        patch.setattr("cryoarena.methods.work_folder.WorkFolder.remove", lambda self: None)
        patch.setattr("cryoarena.benchmark.run_cell.progress_bar", recorded)
        info = run_method(method, dataset, out, options, seed=seed)
    assert info["status"] == "ok", info["reason"]
    # The end alone is told of any program, whether its log is understood or not.
    assert len(set(shares)) > 2, shares
    assert shares == sorted(shares)
    assert shares[-1] == 1


def assert_import_equals_run(run: FinishedRun, out: Path, options: dict[str, str] | None = None) -> None:
    """Import what the program wrote, and compare the result with that of the run, byte by byte."""
    info = import_result(run.method, run.output, run.dataset, out, options)
    assert info["imported"]
    assert {key: info.get(key) for key in ("found", "notes", "history")} == {
        key: run.info.get(key) for key in ("found", "notes", "history")
    }
    told_apart = {"result.json", "log.txt", "scores.csv"}
    files = [path.relative_to(run.result) for path in run.result.rglob("*") if path.is_file()]
    compared = [name for name in files if name.name not in told_apart and name.parts[0] != "comparison"]
    assert {"embedding.npy", "particle_id.npy", "volumes.csv", "0000.mrc"} <= {name.name for name in compared}
    assert sum(path.is_file() for path in out.rglob("*")) == len(compared) + 1
    for name in compared:
        assert (out / name).read_bytes() == (run.result / name).read_bytes(), name


def score(run: FinishedRun) -> pd.DataFrame:
    """Score the result; no metric fails, and every value is one that its metric can have."""
    with pytest.MonkeyPatch.context() as patch:
        # An ab initio map takes a second to be aligned.
        patch.setattr("cryoarena.benchmark.score.JUDGED_IMAGES", 8)
        table = score_result(run.result, run.dataset)
    assert set(table["metric"]) == set(metrics.all())
    assert set(table["status"]) <= {"ok", "not_applicable"}, table.loc[table["status"] == "failed", "reason"].unique()
    ok = table[table["status"] == "ok"]
    assert np.isfinite(ok["value"]).all()
    assert not (ok["standard_error"] < 0).any()
    assert (ok["n"] > 0).all()
    for name, rows in ok.groupby("metric"):
        card = metrics.get(name).card
        of_card = rows.loc[rows["unit"].fillna("") == card.unit, "value"]
        assert of_card.between(*card.range).all(), (name, rows)
    particles = len(np.load(run.result / "particle_id.npy"))
    assert table["coverage"].to_numpy() == pytest.approx(particles / table["particles"].to_numpy())
    return table
