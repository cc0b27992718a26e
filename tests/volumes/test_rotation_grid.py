"""Rotations spread evenly."""

import numpy as np
from scipy.spatial.transform import Rotation

from cryoarena.volumes.rotation_grid import rotation_grid


def test_every_rotation_has_a_near_one():
    """Random points would leave holes twice as wide: an even grid of 2304 has none beyond 17°."""
    grid = rotation_grid(2304)
    np.testing.assert_allclose(grid @ np.swapaxes(grid, 1, 2), np.broadcast_to(np.eye(3), grid.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(grid), 1)
    anywhere = Rotation.random(2000, random_state=0).as_quat()
    cosine = np.abs(anywhere @ Rotation.from_matrix(grid).as_quat().T).max(axis=1)
    angle = np.degrees(2 * np.arccos(np.clip(cosine, 0, 1)))
    assert angle.mean() < 9.5
    assert angle.max() < 17
