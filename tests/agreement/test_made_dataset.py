"""RELION and cryoDRGN reconstruct the mean of the truth from a dataset that `cryoarena make` wrote."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest

from cryoarena.datasets.truth import open_truth
from cryoarena.volumes.fsc import fsc
from simulated import make_small_dataset

pytestmark = pytest.mark.agreement


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # More than one shard, so that the tables' paths are put to the test too.
    return make_small_dataset(tmp_path_factory.mktemp("made") / "d", images=1600, box_px=48, snr=0.2)


def assert_is_the_mean_of_the_truth(path: Path, dataset: Path) -> None:
    truth = open_truth(dataset)
    mean = np.mean([truth.volume(conformation) for conformation in range(len(truth.volume_names))], axis=0)
    with mrcfile.open(path) as stream:
        found = stream.data.copy()
        assert stream.voxel_size.x == pytest.approx(truth.pixel_size_A, rel=1e-4)
    mask = truth.masks()["mask"]
    frequency, correlation = fsc(found, mean, mask)
    low = frequency <= 0.25
    assert correlation[low].min() > 0.9
    # The right contrast (not inverted) and the right hand.
    assert np.corrcoef(found.ravel(), mean.ravel())[0, 1] > 0.8
    mirrored = np.roll(np.flip(found, 0), 1, 0)
    assert fsc(mirrored, mean, mask)[1][low].min() < 0.5


def test_relion(relion, dataset: Path, tmp_path: Path) -> None:
    relion("relion_reconstruct", "--i", "particles.star", "--o", tmp_path / "map.mrc", "--ctf", cwd=dataset)
    assert_is_the_mean_of_the_truth(tmp_path / "map.mrc", dataset)


def test_cryodrgn(cryodrgn, dataset: Path, tmp_path: Path) -> None:
    arguments = ["--poses", "poses.pkl", "--ctf", "ctf.pkl", "--datadir", dataset, "--no-half-maps", "-o", tmp_path]
    cryodrgn("backproject_voxel", "particles.star", *arguments, cwd=dataset)
    assert_is_the_mean_of_the_truth(tmp_path / "backproject.mrc", dataset)
