"""Consensus and PPCA on a small stack whose truth is known."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsRegressor

from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.errors import UserError
from cryoarena.methods.base import Reconstruction, Run, methods
from cryoarena.methods.ppca import PpcaOptions
from cryoarena.options import parse_options
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.fsc import fsc, fsc_auc
from simulated import make_small_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[ParticleSet, Truth]:
    folder = make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=800, snr=0.05)
    return open_particles(folder), open_truth(folder)


def fit(name: str, particles: ParticleSet, **options: str) -> Reconstruction:
    method = methods.get(name)
    return method.fit(particles, parse_options(method.options, options), Run())


def test_consensus_is_the_mean_map_with_the_right_hand_and_scale(dataset: tuple[ParticleSet, Truth]) -> None:
    particles, truth = dataset
    volume = fit("consensus", particles).volumes_at(np.zeros((1, 1), np.float32))[0]
    mean = np.mean([truth.volume(c) for c in range(8)], axis=0)
    mask = truth.masks()["mask"]
    frequency, correlation = fsc(volume, mean, mask)
    assert correlation[frequency < 0.25].min() > 0.9
    mirrored = np.roll(volume[::-1], 1, axis=0)
    assert fsc_auc(*fsc(mirrored, mean, mask)) < fsc_auc(frequency, correlation) - 0.05
    # Truth and reconstruction share image units.
    assert np.sum(volume * mean) / np.sum(mean * mean) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize(("name", "options"), [("consensus", {}), ("class3d", {"classes": "1"})])
def test_maps_reach_nyquist(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    folder = make_small_dataset(tmp_path / "d", images=800, snr=10.0)
    truth = open_truth(folder)
    found = fit(name, open_particles(folder), **options)
    mean = np.mean([truth.volume(c) for c in truth.conformation], axis=0)
    correlation = fsc(found.volumes_at(found.representatives[:1])[0], mean)[1]
    # Maps that end one shell earlier have 0.97 in the last shell but one, and 0.84 in the last, which the mask fills.
    assert correlation[:-1].min() > 0.985
    assert correlation[-1] > 0.9


def test_ppca_finds_the_circle_and_the_moving_part(dataset: tuple[ParticleSet, Truth]) -> None:
    particles, truth = dataset
    ppca = fit("ppca", particles, components="3", iterations="10")
    consensus = fit("consensus", particles)
    angle = truth.embedding()[truth.conformation]
    # Predict the true angle of half of the particles from the first two latents of the others.
    regressor = KNeighborsRegressor(20).fit(ppca.embedding[::2, :2], angle[::2])
    assert regressor.score(ppca.embedding[1::2, :2], angle[1::2]) > 0.8
    moving = truth.masks()["moving_mask"]
    for conformation in (0, 3, 6):
        true_volume = truth.volume(conformation)
        latent = ppca.embedding[truth.conformation == conformation].mean(axis=0)
        of_ppca = fsc_auc(*fsc(ppca.volumes_at(latent[None])[0], true_volume, moving))
        of_consensus = fsc_auc(*fsc(consensus.volumes_at(np.zeros((1, 1)))[0], true_volume, moving))
        assert of_ppca > of_consensus + 0.05


def test_ppca_latents_are_ordered_by_strength_and_repeatable(dataset: tuple[ParticleSet, Truth]) -> None:
    particles, _ = dataset
    some = particles.subset(np.arange(200))
    a, b = (fit("ppca", some, components="2", iterations="3") for _ in range(2))
    np.testing.assert_array_equal(a.embedding, b.embedding)
    assert a.embedding.shape == (200, 2)
    assert len(a.history) == 3


def test_ppca_is_read_back_as_it_was_written(dataset: tuple[ParticleSet, Truth], tmp_path: Path) -> None:
    particles, _ = dataset
    ppca = fit("ppca", particles.subset(np.arange(100)), components="2", iterations="2")
    ppca.save(tmp_path)
    again = methods.get("ppca").load(tmp_path, particles)
    latents = ppca.embedding[:3]
    np.testing.assert_array_equal(again.volumes_at(latents), ppca.volumes_at(latents))


def test_options_are_checked() -> None:
    assert parse_options(PpcaOptions, {"components": "7"}) == PpcaOptions(components=7)
    with pytest.raises(UserError, match="no option 'component'"):
        parse_options(PpcaOptions, {"component": "7"})
    with pytest.raises(UserError, match="must be of type int"):
        parse_options(PpcaOptions, {"components": "many"})
