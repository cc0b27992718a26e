"""The noisier sets of IgG-1D: the same images but for the noise."""

from pathlib import Path

import numpy as np
import pytest

from cryoarena.datasets.base import Sources, datasets
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.settings import resolve_settings
from cryoarena.files import read_json
from cryoarena.particles.dataset_folder import open_particles


@pytest.fixture(scope="module")
def folders(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[float, Path]:
    """Return tiny sets of the three by their SNR."""
    made = {}
    for name in ("igg-1d", "igg-1d-noisier", "igg-1d-noisiest"):
        dataset = datasets.get(name)
        settings = resolve_settings(dataset, "small", images=20, box_px=16, seed=7, conformations=2)
        made[settings.snr] = tmp_path_factory.mktemp(name) / "set"
        sources = Sources({"1hzh.pdb": mirror / "models" / "igg" / "1hzh.pdb"})
        make_dataset(dataset, settings, sources, made[settings.snr])
    return made


def test_the_signal_is_scaled_and_nothing_else_differs(folders: dict[float, Path]) -> None:
    assert sorted(folders) == [0.001, 0.005, 0.01]
    images = {snr: open_particles(folder).images(np.arange(20)).astype(float) for snr, folder in folders.items()}
    # Noise of unit variance and a signal that goes with the root of the SNR: two images of the same projection differ
    # by a multiple of it.
    signal = (images[0.01] - images[0.001]) / (np.sqrt(0.01) - np.sqrt(0.001))
    np.testing.assert_allclose(images[0.01] - images[0.005], signal * (np.sqrt(0.01) - np.sqrt(0.005)), atol=2e-5)
    noise = images[0.01] - np.sqrt(0.01) * signal
    assert noise.var() == pytest.approx(1, abs=0.06)
    assert abs(np.corrcoef(noise.ravel(), signal.ravel())[0, 1]) < 0.05
    # Cropping from 256 to 16 px leaves 1/16² of the noise variance, and only a part of the signal's.
    assert 0.1 * 16**2 < signal.var() < 16**2


def test_poses_and_ctf_are_the_same(folders: dict[float, Path]) -> None:
    first, *others = (open_particles(folder) for folder in folders.values())
    for other in others:
        np.testing.assert_array_equal(other.poses.rotation_object_to_image, first.poses.rotation_object_to_image)
        np.testing.assert_array_equal(other.poses.shift_A, first.poses.shift_A)
        np.testing.assert_array_equal(other.ctf.defocus_u_A, first.ctf.defocus_u_A)


def test_ids_differ(folders: dict[float, Path]) -> None:
    assert len({read_json(folder / "dataset.json")["id"] for folder in folders.values()}) == 3
