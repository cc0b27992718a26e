"""Real jobs of RELION on a tiny stack."""

from pathlib import Path

import pytest

from cryoarena.methods.external.relion.program import RELION
from finished_run import run_and_keep
from outside import folder_of
from simulated import make_small_dataset


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=240, box_px=24, snr=1.0)


@pytest.fixture(scope="session")
def job(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a Class3D job of two iterations and three classes; `result` beside it is what it gave."""
    folder_of(RELION)
    folder = tmp_path_factory.mktemp("relion")
    (folder / "output").mkdir()
    run_and_keep("relion-class3d", dataset, folder / "result", {"classes": "3", "iterations": "2"}, seed=1)
    return folder / ".result.work" / "output"
