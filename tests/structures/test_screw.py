"""Screw motions."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryoarena.structures.screw import screw_between


def points() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(30, 3)) * 10


def test_a_known_screw_is_found() -> None:
    start = points()
    axis, through = np.array([0.0, 0.6, 0.8]), np.array([5.0, 1, -2])
    end = Rotation.from_rotvec(np.deg2rad(70) * axis).apply(start - through) + through + 4.0 * axis
    screw = screw_between(start, end)
    np.testing.assert_allclose(screw.axis, axis, atol=1e-12)
    assert np.rad2deg(screw.angle_rad) == pytest.approx(70)
    assert screw.slide_A == pytest.approx(4)
    # The axis passes where the real one does.
    assert np.linalg.norm(np.cross(screw.point_A - through, axis)) < 1e-9


def test_parts_add_up_and_the_whole_superposes() -> None:
    start = points()
    end = Rotation.from_rotvec([1.0, 0.5, -0.2]).apply(start) + np.array([3, -1, 8])
    rotation, translation_A = screw_between(start, end).parts(np.array([0.0, 0.3, 0.7, 1.0]))
    none, some, rest, whole = (start @ r.T + t for r, t in zip(rotation, translation_A, strict=True))
    np.testing.assert_allclose(none, start, atol=1e-9)
    np.testing.assert_allclose(whole, end, atol=1e-9)
    np.testing.assert_allclose(some @ rotation[2].T + translation_A[2], end, atol=1e-9)
    assert not np.allclose(rest, some)


def test_a_translation_has_no_axis() -> None:
    with pytest.raises(ValueError, match="no axis"):
        screw_between(points(), points() + 3)
