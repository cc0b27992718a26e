"""What the consensus tells of itself, and what it makes of images that it cannot resolve."""

from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import pytest

from cryoarena.datasets.realism import Realism
from cryoarena.methods.base import Reconstruction, Run, methods
from cryoarena.methods.consensus import ConsensusOptions
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from simulated import make_small_dataset


@pytest.fixture(scope="module")
def particles(tmp_path_factory: pytest.TempPathFactory) -> ParticleSet:
    return open_particles(make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=600, snr=0.1))


def fit(particles: ParticleSet, seed: int = 0) -> Reconstruction:
    return methods.get("consensus").fit(particles, ConsensusOptions(), Run(seed=seed))


def test_more_images_resolve_more(particles: ParticleSet) -> None:
    resolutions = [fit(particles.subset(np.arange(n))).history[-1]["resolution_A"] for n in (4, 20, 600)]
    assert resolutions[0] > resolutions[1] > resolutions[2]
    assert resolutions[2] >= 2 * particles.pixel_size_A


def test_the_halves_and_their_comparison_are_written(particles: ParticleSet, tmp_path: Path) -> None:
    found = fit(particles)
    found.save(tmp_path)
    for name in ("half_map_a", "half_map_b", "mask", "local_resolution"):
        with mrcfile.open(tmp_path / f"{name}.mrc") as mrc:
            assert mrc.data.shape == (32, 32, 32)
            assert float(mrc.voxel_size.x) == pytest.approx(particles.pixel_size_A, rel=1e-4)
    curves = pd.read_csv(tmp_path / "fsc.csv")
    assert list(curves) == ["frequency_per_A", "unmasked", "masked", "corrected"]
    assert curves["masked"][0] > 0.95
    again = methods.get("consensus").load(tmp_path, particles)
    np.testing.assert_array_equal(again.volumes_at(found.embedding[:2]), found.volumes_at(found.embedding[:2]))
    assert again.history == found.history


def test_given_half_sets_are_kept(particles: ParticleSet, tmp_path: Path) -> None:
    half_set = (np.arange(len(particles)) >= 30).astype(np.int64)
    given = replace(particles, half_set=half_set)
    a, b = (tmp_path / name for name in "ab")
    for folder, seed in ((a, 0), (b, 1)):
        folder.mkdir()
        fit(given, seed).save(folder)
    for name in ("half_map_a", "half_map_b"):
        # The seed decides nothing once the halves are given.
        np.testing.assert_array_equal(mrcfile.read(a / f"{name}.mrc"), mrcfile.read(b / f"{name}.mrc"))
    # The half of 570 images is the one that is like the whole.
    whole = np.load(a / "volume.npy").ravel()
    like = [np.corrcoef(mrcfile.read(a / f"half_map_{half}.mrc").ravel(), whole)[0, 1] for half in "ab"]
    assert like[1] > 0.9 > like[0]


@pytest.mark.parametrize("images", [1, 2, 4])
def test_few_images_give_a_map_and_claim_no_resolution(particles: ParticleSet, images: int) -> None:
    found = fit(particles.subset(np.arange(images)))
    assert np.isfinite(found.volumes_at(found.embedding[:1])).all()
    assert found.history[-1]["resolution_A"] > 4 * particles.pixel_size_A


@pytest.mark.parametrize(("snr", "junk"), [(0.001, 0.0), (0.05, 0.6)])
def test_noise_and_junk_give_a_map(tmp_path: Path, snr: float, junk: float) -> None:
    folder = make_small_dataset(tmp_path / "d", images=200, snr=snr, realism=Realism(junk_noise=junk))
    found = fit(open_particles(folder))
    assert np.isfinite(found.volumes_at(found.embedding[:1])).all()
