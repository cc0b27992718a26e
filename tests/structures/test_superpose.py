"""Superposition of matched points."""

import numpy as np
from scipy.spatial.transform import Rotation

from cryoarena.structures.superpose import superpose


def test_a_motion_is_found() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(20, 3)) * 30
    rotation = Rotation.random(rng=rng).as_matrix()
    found, translation_A = superpose(points, points @ rotation.T + [1, 2, 3])
    np.testing.assert_allclose(found, rotation, atol=1e-12)
    np.testing.assert_allclose(translation_A, [1, 2, 3], atol=1e-10)


def test_the_hand_is_kept() -> None:
    points = np.random.default_rng(0).normal(size=(20, 3))
    assert np.linalg.det(superpose(points, -points)[0]) > 0.999


def test_noise_is_averaged_out() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(2000, 3)) * 30
    rotation, translation_A = superpose(points, points + rng.normal(size=points.shape))
    np.testing.assert_allclose(rotation, np.eye(3), atol=3e-3)
    np.testing.assert_allclose(translation_A, 0, atol=0.1)
