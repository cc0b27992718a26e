"""Random poses."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryoarena.imaging.poses import perturbed_poses, random_poses


def test_rotations_are_uniform_and_proper() -> None:
    poses = random_poses(20_000, 30.0, np.random.default_rng(0))
    rotation = poses.rotation_object_to_image
    np.testing.assert_allclose(
        rotation @ rotation.transpose(0, 2, 1), np.broadcast_to(np.eye(3), rotation.shape), atol=1e-9
    )
    assert np.all(np.linalg.det(rotation) > 0.99)
    # Uniform on SO(3): every entry has mean 0 and variance 1/3.
    assert np.abs(rotation.mean(axis=0)).max() < 0.015
    assert np.abs(rotation.var(axis=0) - 1 / 3).max() < 0.01


def test_shifts_fill_the_square() -> None:
    shift_A = random_poses(20_000, 30.0, np.random.default_rng(1)).shift_A
    assert np.abs(shift_A).max() <= 30.0
    assert np.abs(shift_A.std(axis=0) - 30.0 / np.sqrt(3)).max() < 0.3
    assert abs(np.corrcoef(shift_A.T)[0, 1]) < 0.03


def test_errors_of_poses_are_as_large_as_asked() -> None:
    true = random_poses(20_000, 10.0, np.random.default_rng(2))
    given = perturbed_poses(true, 3.0, 2.0, np.random.default_rng(3))
    between = given.rotation_object_to_image @ true.rotation_object_to_image.transpose(0, 2, 1)
    vectors = np.rad2deg(Rotation.from_matrix(between).as_rotvec())
    assert np.sqrt(np.square(vectors).sum(axis=1).mean()) == pytest.approx(3.0, rel=0.02)
    # As much out of the image plane, in both directions, as in it.
    np.testing.assert_allclose(vectors.std(axis=0), 3.0 / np.sqrt(3), rtol=0.03)
    np.testing.assert_allclose((given.shift_A - true.shift_A).std(axis=0), 2.0, rtol=0.03)
