"""The Bayes posterior on images whose truth is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.imaging.ctf import ctf
from cryoarena.imaging.poses import Poses
from cryoarena.imaging.project import VolumeProjector
from cryoarena.imaging.spectrum import frequencies, to_images
from cryoarena.limits.bayes_posterior import BayesPosterior, bayes_posterior, from_log_likelihood, sample_rows
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.progress import silent
from simulated import make_small_dataset

IMAGES, BOX = 400, 24


def made(folder: Path, snr: float) -> tuple[ParticleSet, Truth]:
    make_small_dataset(folder, images=IMAGES, box_px=BOX, snr=snr)
    return open_particles(folder), open_truth(folder)


def posterior(particles: ParticleSet, truth: Truth) -> BayesPosterior:
    return bayes_posterior(particles, truth, np.arange(len(particles)), silent)


def accuracy(bayes: BayesPosterior, truth: Truth) -> float:
    return float(np.mean(bayes.posterior.argmax(axis=1) == truth.conformation[bayes.rows]))


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> tuple[ParticleSet, Truth]:
    """Images so noisy that most labels are uncertain."""
    return made(tmp_path_factory.mktemp("noisy") / "d", snr=2e-4)


def test_it_is_sure_and_right_where_noise_is_low(tmp_path: Path) -> None:
    particles, truth = made(tmp_path / "d", snr=0.02)
    bayes = posterior(particles, truth)
    assert accuracy(bayes, truth) == 1.0
    assert bayes.posterior[np.arange(IMAGES), truth.conformation].min() > 0.9
    np.testing.assert_allclose(bayes.mean(truth.embedding()), truth.embedding()[truth.conformation], atol=5.0)


def test_it_falls_back_to_the_populations_where_there_is_only_noise(tmp_path: Path) -> None:
    particles, truth = made(tmp_path / "d", snr=1e-9)
    population = np.arange(1, 9) / 36
    bayes = posterior(particles, replace(truth, population=population))
    np.testing.assert_allclose(bayes.posterior, np.broadcast_to(population, bayes.posterior.shape), atol=0.02)


def test_its_probabilities_are_those_of_being_right(noisy: tuple[ParticleSet, Truth]) -> None:
    particles, truth = noisy
    bayes = posterior(particles, truth)
    np.testing.assert_allclose(bayes.posterior.sum(axis=1), 1, atol=1e-12)
    of_truth = bayes.posterior[np.arange(IMAGES), truth.conformation]
    best = bayes.posterior.max(axis=1)
    right = bayes.posterior.argmax(axis=1) == truth.conformation
    # Uncertain enough to be a test: far from 1/8 and from 1.
    assert 0.3 < right.mean() < 0.9
    error = np.sqrt(np.sum(best * (1 - best))) / IMAGES
    assert abs(right.mean() - best.mean()) < 3 * error
    # E[p(true label)] = E[Σ p²]
    assert abs(of_truth.mean() - np.square(bayes.posterior).sum(axis=1).mean()) < 3 * of_truth.std() / np.sqrt(IMAGES)
    for low, high in ((0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        here = (best >= low) & (best < high)
        within = np.sqrt(np.sum(best[here] * (1 - best[here]))) / here.sum()
        assert abs(right[here].mean() - best[here].mean()) < 3.5 * within


def test_the_true_label_is_the_likeliest_and_wrong_conventions_lose_it(noisy: tuple[ParticleSet, Truth]) -> None:
    particles, truth = noisy
    assert particles.poses is not None
    right = posterior(particles, truth)
    mean = [right.log_likelihood[truth.conformation == c].mean(axis=0) for c in range(8)]
    assert [int(np.argmax(values)) for values in mean] == list(range(8))
    best = right.log_likelihood[np.arange(IMAGES), truth.conformation].mean()
    poses = particles.poses
    wrong = {
        "contrast": replace(particles, contrast_sign=-particles.contrast_sign),
        "shift": replace(particles, poses=Poses(poses.rotation_object_to_image, -poses.shift_A)),
        "rotation": replace(particles, poses=Poses(poses.rotation_object_to_image.transpose(0, 2, 1), poses.shift_A)),
    }
    for name, changed in wrong.items():
        bayes = posterior(changed, truth)
        assert bayes.log_likelihood[np.arange(IMAGES), truth.conformation].mean() < best - 2, name
        assert accuracy(bayes, truth) < accuracy(right, truth) - 0.15, name


def test_it_equals_the_sum_over_pixels(noisy: tuple[ParticleSet, Truth]) -> None:
    particles, truth = noisy
    assert particles.ctf is not None
    assert particles.poses is not None
    rows = np.array([5, 17, 200])
    a = particles.pixel_size_A
    frequency_x, frequency_y = frequencies(BOX, a)
    in_band = np.hypot(frequency_x, frequency_y) * BOX * a <= BOX / 2 - 1 + 1e-6
    expected = np.empty((3, 8))
    for conformation in range(8):
        projector = VolumeProjector(truth.volume(conformation) / np.float32(a), a, BOX, a)
        poses = particles.poses[rows]
        spectra = projector.project(poses.rotation_object_to_image, poses.shift_A)
        predicted = to_images(-spectra * ctf(particles.ctf[rows], frequency_x, frequency_y) * in_band)
        expected[:, conformation] = -0.5 * np.square(particles.images(rows) - predicted).sum(axis=(1, 2))
    found = bayes_posterior(particles, truth, rows, silent).log_likelihood
    np.testing.assert_allclose(found - found[:, :1], expected - expected[:, :1], atol=0.01)


def test_a_conformation_without_population_has_no_posterior() -> None:
    bayes = from_log_likelihood(np.arange(1), np.array([[1e4, 1e4, 5e4]]), np.array([0.25, 0.75, 0.0]))
    np.testing.assert_allclose(bayes.posterior, [[0.25, 0.75, 0.0]])


def test_the_sample_is_fixed_sorted_and_affordable() -> None:
    np.testing.assert_array_equal(sample_rows(500, 20), np.arange(500))
    rows = sample_rows(100_000, 20)
    assert len(rows) == 1000
    assert np.all(np.diff(rows) > 0)
    np.testing.assert_array_equal(rows, sample_rows(100_000, 20))
    assert len(sample_rows(100_000, 500)) == 200
    assert len(sample_rows(100_000, 10**6)) == 100


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees(tmp_path: Path) -> None:
    particles, truth = made(tmp_path / "d", snr=0.05)
    rows = np.arange(50)
    on_cpu, on_cuda = (bayes_posterior(particles, truth, rows, silent, device).posterior for device in ("cpu", "cuda"))
    np.testing.assert_allclose(on_cuda, on_cpu, atol=1e-3)
