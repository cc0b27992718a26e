"""Random poses."""

import numpy as np

from cryoarena.imaging.poses import random_poses


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
