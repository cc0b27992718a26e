"""RELION InitialModel: run once, imported and scored."""

from pathlib import Path

import numpy as np
import pytest

from cryoarena.methods.external.relion.program import RELION
from cryoarena.volumes.mrc import read_volume
from finished_run import FinishedRun, assert_import_equals_run, finish, score
from outside import folder_of

pytestmark = pytest.mark.slow
OPTIONS = {
    "classes": "1",
    "iterations": "6",
    "first_images": "30",
    "last_images": "60",
    "healpix_order": "0",
    "first_resolution_A": "80",
    "last_resolution_A": "60",
    "offset_range_px": "2",
}


@pytest.fixture(scope="module")
def run(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    folder_of(RELION)
    return finish("relion-initialmodel", dataset, tmp_path_factory.mktemp("initial"), OPTIONS, seed=1)


def test_poses_and_a_map(run: FinishedRun) -> None:
    ids = np.load(run.result / "particle_id.npy")
    assert 60 <= len(ids) <= 240
    assert (run.result / "poses.star").read_text().count("@") == len(ids)
    found = read_volume(run.result / "volumes" / "0000.mrc")[0]
    # In whatever orientation, density is bright and in the middle.
    radius = np.linalg.norm(np.indices(found.shape) - 12, axis=0)
    shell = found[(radius > 9) & (radius < 12)]
    assert found[radius < 4].mean() > shell.mean() + 2 * shell.std()


def test_an_import_equals_the_run(run: FinishedRun, tmp_path: Path) -> None:
    assert_import_equals_run(run, tmp_path / "import")


def test_scores(run: FinishedRun) -> None:
    table = score(run).set_index("metric")
    # It was given no poses: those that it found are judged, and its map after alignment.
    assert set(table.loc[["pose-error", "aligned-fsc"], "status"]) == {"ok"}
