"""PPCA: convergence, contrast, checkpoints, and data on which it must fail without breaking."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cryoarena.datasets.realism import Realism
from cryoarena.datasets.truth import open_truth
from cryoarena.methods.base import Run, methods
from cryoarena.methods.checkpoint import Checkpoint, History, State
from cryoarena.methods.linear_reconstruction import LinearReconstruction
from cryoarena.methods.ppca import PpcaOptions
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from simulated import make_small_dataset


def fit(particles: ParticleSet, run: Run = Run(), **options: int) -> LinearReconstruction:
    found = methods.get("ppca").fit(particles, PpcaOptions(**options), run)
    assert isinstance(found, LinearReconstruction)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=600, snr=0.05)


@pytest.fixture(scope="module")
def particles(folder: Path) -> ParticleSet:
    return open_particles(folder)


def test_it_converges_and_stops(particles: ParticleSet) -> None:
    history = fit(particles, components=3, iterations=40).history
    full = [row["log_likelihood_per_image"] for row in history if row["radius_px"] == 15]
    assert len(history) < 40
    assert (np.diff(full[:-1]) > 0).all()
    # These images are all of one contrast.
    assert history[-1]["contrast_deviation"] < 0.06


@pytest.mark.parametrize("shown", [(0, 4), (0, 2, 5)])
def test_components_that_no_image_supports_fade(folder: Path, particles: ParticleSet, shown: tuple[int, ...]) -> None:
    rows = np.flatnonzero(np.isin(open_truth(folder).conformation, shown))
    last = fit(particles.subset(rows), components=4, iterations=40).history[-1]
    strengths = np.array([last[f"strength_{k}"] for k in range(1, 5)])
    supported = len(shown) - 1
    assert (strengths[:supported] > 0.5 * strengths[0]).all()
    # Volumes taken for certain keep a quarter of it, in which the images they were fitted to seem to differ.
    assert (strengths[supported:] < 0.02 * strengths[0]).all()


class Interrupted(Exception):
    """Raised in place of a power cut."""


class Interrupting(Checkpoint):
    """A checkpoint that ends the run after three iterations."""

    def save(self, state: State, history: History) -> None:
        """Save, and stop after the third time."""
        super().save(state, history)
        if len(history) == 3:
            raise Interrupted


def test_a_resumed_run_equals_an_undisturbed_one(particles: ParticleSet, tmp_path: Path) -> None:
    some, path = particles.subset(np.arange(150)), tmp_path / "state.npz"
    options = {"components": 2, "iterations": 6}
    undisturbed = fit(some, Run(seed=3), **options)
    with pytest.raises(Interrupted):
        fit(some, Run(seed=3, checkpoint=Interrupting(path, "a")), **options)
    resumed = fit(some, Run(seed=3, checkpoint=Checkpoint(path, "a")), **options)
    assert resumed.history == undisturbed.history
    for name in ("embedding", "covariance", "contrast", "mean", "components"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(undisturbed, name))


def test_posteriors_and_contrasts_are_written_and_read_back(particles: ParticleSet, tmp_path: Path) -> None:
    found = fit(particles.subset(np.arange(100)), components=2, iterations=3)
    found.save(tmp_path)
    covariance = np.load(tmp_path / "latent_covariance.npy")
    assert covariance.shape == (100, 2, 2)
    assert (np.linalg.eigvalsh(covariance) > 0).all()
    again = methods.get("ppca").load(tmp_path, particles)
    np.testing.assert_array_equal(again.embedding, found.embedding)
    np.testing.assert_array_equal(again.volumes_at(found.embedding[:2]), found.volumes_at(found.embedding[:2]))
    # The principal volumes are orthogonal and of one norm: distances of latents are distances of maps.
    flat = found.components.reshape(2, -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(2) * (flat[0] @ flat[0]), atol=1e-3 * (flat[0] @ flat[0]))


class Scaled(ParticleSet):
    """Particles whose images are multiplied by 0.5 to 1.5."""

    def images(self, rows: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Read and scale images."""
        return super().images(rows) * scales(len(self))[rows][:, None, None]


def scales(n: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(0.5, 1.5, n).astype(np.float32)


def test_contrasts_of_images_are_found(particles: ParticleSet) -> None:
    found = fit(Scaled(**vars(particles)), components=2, iterations=12)
    assert np.corrcoef(found.contrast, scales(len(particles)))[0, 1] > 0.8
    assert found.history[-1]["contrast_deviation"] == pytest.approx(0.29, abs=0.08)


@pytest.mark.parametrize(("images", "components"), [(1, 2), (5, 8), (20, 8)])
def test_few_images_give_finite_maps(particles: ParticleSet, images: int, components: int) -> None:
    found = fit(particles.subset(np.arange(images)), components=components, iterations=9)
    assert found.embedding.shape == (images, components)
    assert np.isfinite(found.embedding).all()
    assert np.isfinite(found.volumes_at(found.representatives)).all()


@pytest.mark.parametrize(("snr", "junk"), [(0.001, 0.0), (0.05, 0.6)])
def test_noise_and_junk_give_finite_maps(tmp_path: Path, snr: float, junk: float) -> None:
    folder = make_small_dataset(tmp_path / "d", images=300, snr=snr, realism=Realism(junk_noise=junk))
    found = fit(open_particles(folder), components=3, iterations=9)
    assert np.isfinite(found.embedding).all()
    assert np.isfinite(found.volumes_at(found.representatives)).all()
