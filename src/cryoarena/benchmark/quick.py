"""The quick suite: a small dataset without any file, two methods, scores and a report, in about a minute."""

from dataclasses import dataclass
from pathlib import Path

from cryoarena.benchmark.run_cell import run_method
from cryoarena.benchmark.score import score_result
from cryoarena.datasets.base import Sources, datasets
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.settings import resolve_settings
from cryoarena.files import read_json

QUICK_DATASET = "igg-pseudo"
QUICK_METHODS = ("consensus", "ppca")


@dataclass(frozen=True)
class SuiteFolders:
    """Where a suite keeps its parts."""

    root: Path

    @property
    def dataset(self) -> Path:
        """Return the dataset folder."""
        return self.root / "dataset"

    def result(self, method: str) -> Path:
        """Return the result folder of a method."""
        return self.root / "results" / method


def run_quick(root: Path, processes: int) -> None:
    """Make the dataset, run and score the methods; what is there already is kept, so that it can be resumed."""
    folders = SuiteFolders(root)
    dataset = datasets.get(QUICK_DATASET)
    if not (folders.dataset / "dataset.json").exists():
        settings = resolve_settings(dataset, "small")
        make_dataset(dataset, settings, Sources(), folders.dataset, processes=processes)
    for method in QUICK_METHODS:
        out = folders.result(method)
        if not (out / "result.json").exists() or read_json(out / "result.json")["status"] != "ok":
            run_method(method, folders.dataset, out, overwrite=True)
        if not (out / "scores.csv").exists():
            score_result(out, folders.dataset)
