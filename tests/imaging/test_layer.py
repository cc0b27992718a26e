"""Objects that reach over the edge of an image."""

import numpy as np
import pytest

from cryoarena.imaging.aggregates import Aggregates
from cryoarena.imaging.ctf import CtfParameters
from cryoarena.imaging.layer import Layer
from cryoarena.imaging.poses import Poses, random_poses
from cryoarena.imaging.simulate import Particles, project
from cryoarena.imaging.specimen import Conformations
from cryoarena.imaging.spectrum import to_images
from cryoarena.structures.density import gaussian_model

BOX, PIXEL = 32, 4.0


def phase_plate(n: int) -> CtfParameters:
    """Return CTFs that are -1 everywhere: images are projections, whatever the defocus."""
    zeros = np.zeros(n)
    return CtfParameters(zeros, zeros, zeros, zeros + 300, zeros, zeros, zeros + 90, zeros)


def blob(shift_A: list[tuple[float, float]]) -> tuple[Conformations, Particles]:
    n = len(shift_A)
    specimen = Conformations(np.zeros((1, 1, 3), np.float32), gaussian_model(np.array([5.0]), 16.0))
    poses = Poses(np.tile(np.eye(3), (n, 1, 1)), np.array(shift_A, np.float64))
    return specimen, Particles(np.zeros(n, np.int64), poses, phase_plate(n))


def test_inside_the_image_a_layer_is_as_any_particle() -> None:
    specimen, particles = blob([(0.0, 0.0), (10.0, -16.0)])
    images = np.zeros((3, BOX, BOX), np.float32)
    Layer(specimen, np.array([0, 2]), particles).add_to(images, PIXEL, 2.0, 1)
    assert not images[1].any()
    expected = 2.0 * to_images(project(specimen, particles, BOX, PIXEL))
    np.testing.assert_allclose(images[[0, 2]], expected, atol=2e-3 * expected.max())


def test_what_leaves_the_image_does_not_come_back() -> None:
    specimen, particles = blob([(BOX / 2 * PIXEL, 0.0)])
    images = np.zeros((1, BOX, BOX), np.float32)
    Layer(specimen, np.array([0]), particles).add_to(images, PIXEL, 1.0, 1)
    assert images[0, BOX // 2, -1] > 0.5 * images.max()
    assert np.abs(images[0, :, : BOX // 2]).max() < 1e-2 * images.max()
    # Its middle is one pixel beyond the last, so that what is left is the sum of a Gaussian from one pixel on.
    profile = np.exp(-((np.arange(-9, 10) * PIXEL / (0.22508 * 16.0)) ** 2) / 2)
    assert images.sum() * PIXEL**2 / 5.0 == pytest.approx(profile[10:].sum() / profile.sum(), rel=1e-2)


def test_two_in_one_image_add_up() -> None:
    specimen, particles = blob([(0.0, 0.0), (0.0, 0.0)])
    images = np.zeros((1, BOX, BOX), np.float32)
    Layer(specimen, np.array([0, 0]), particles).add_to(images, PIXEL, 1.0, 1)
    once = to_images(project(specimen, particles, BOX, PIXEL))[:1]
    np.testing.assert_allclose(images, 2 * once, atol=4e-3 * once.max())


def test_a_part_of_a_layer_counts_rows_from_its_start() -> None:
    specimen, particles = blob([(float(i), 0.0) for i in range(5)])
    layer = Layer(specimen, np.array([0, 3, 4, 8, 11]), particles)
    part = layer.within(slice(3, 9))
    assert part.row.tolist() == [0, 1, 5]
    assert part.particles.poses.shift_A[:, 0].tolist() == [1.0, 2.0, 3.0]
    assert len(layer.within(slice(20, 30)).row) == 0


def test_aggregates_are_different_and_as_large_and_heavy_as_asked() -> None:
    aggregates = Aggregates(3, 80.0, 1000.0, seed=1)
    positions = [aggregates.position_A(number) for number in range(3)]
    for position_A in positions:
        assert np.linalg.norm(position_A, axis=1).max() == pytest.approx(80.0, rel=1e-5)
    assert np.abs(positions[0] - positions[1]).max() > 10
    np.testing.assert_array_equal(positions[2], Aggregates(3, 80.0, 1000.0, seed=1).position_A(2))
    model = aggregates.scattering(0)
    assert (model.weights @ model.profile(np.zeros(1))).sum() == pytest.approx(1000.0)
    poses = random_poses(3, 0.0, np.random.default_rng(0))
    images = to_images(project(aggregates, Particles(np.arange(3), poses, phase_plate(3)), BOX, PIXEL))
    np.testing.assert_allclose(images.sum(axis=(1, 2)) * PIXEL**2, 1000.0, rtol=1e-3)
