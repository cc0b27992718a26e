"""Docking of bodies."""

import numpy as np
from scipy.spatial.transform import Rotation

from cryoarena.structures.docking import dock

ALONG_X = np.array([1.0, 0.0, 0.0])


def ball(radius_A: float) -> np.ndarray:
    """Return points 2 Å apart in a ball."""
    axis = np.arange(-radius_A, radius_A + 1, 2.0)
    points = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    return points[np.linalg.norm(points, axis=1) <= radius_A]


def test_balls_come_to_touch() -> None:
    offset, free = dock(ball(10), np.eye(3)[None], ball(20), ALONG_X, 5.0, 0.0)
    assert abs(offset - 35) < 0.05
    assert free.mean() > 0.99


def test_a_spike_is_left_out_rather_than_keep_the_body_away() -> None:
    spike = np.array([[-30.0, 0.0, 0.0]])
    body = np.concatenate([ball(10), spike])
    offset, _ = dock(body, np.eye(3)[None], ball(20), ALONG_X, 5.0, 0.0)
    assert abs(offset - 55) < 0.05
    offset, free = dock(body, np.eye(3)[None], ball(20), ALONG_X, 5.0, 2 / len(body))
    assert abs(offset - 35) < 0.5
    assert not free[-1]
    assert free.sum() >= len(body) - 2


def test_there_is_room_for_every_orientation() -> None:
    stick = np.stack([np.zeros(21), np.arange(-20, 21, 2.0), np.zeros(21)], axis=1)
    turns = Rotation.from_euler("z", [[0], [45], [90]], degrees=True).as_matrix()
    offset, _ = dock(stick, turns, ball(10), ALONG_X, 5.0, 0.0)
    assert abs(offset - 35) < 0.05
