import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from cryoarena.particles.euler import (
    cryosparc_from_rotation,
    relion_from_rotation,
    rotation_from_cryosparc,
    rotation_from_relion,
)

# Angles at and next to the poles of the Euler angles and the half turns of axis-angles are drawn on purpose.
angles = st.floats(-720, 720) | st.sampled_from([0.0, 90.0, 180.0, -180.0, 360.0, 1e-7, 180 - 1e-7])
rotations = st.tuples(angles, angles, angles).map(
    lambda turns: Rotation.from_euler("zyz", turns, degrees=True).as_matrix()[None]
)


@given(rotations)
def test_euler_angles_round_trip(rotation):
    found = relion_from_rotation(rotation)
    assert np.all((found[:, 1] >= 0) & (found[:, 1] <= 180))
    np.testing.assert_allclose(rotation_from_relion(*found.T), rotation, atol=1e-13)


@given(rotations)
def test_axis_angles_round_trip(rotation):
    np.testing.assert_allclose(rotation_from_cryosparc(cryosparc_from_rotation(rotation)), rotation, atol=1e-12)


@given(angles, angles, angles)
def test_equals_the_matrix_that_relion_documents(rot, tilt, psi):
    """Euler_angles2matrix of RELION, element by element."""
    (ca, cb, cg), (sa, sb, sg) = np.cos(np.deg2rad([rot, tilt, psi])), np.sin(np.deg2rad([rot, tilt, psi]))
    expected = [
        [cg * cb * ca - sg * sa, cg * cb * sa + sg * ca, -cg * sb],
        [-sg * cb * ca - cg * sa, -sg * cb * sa + cg * ca, sg * sb],
        [sb * ca, sb * sa, cb],
    ]
    np.testing.assert_allclose(rotation_from_relion(*np.array([[rot], [tilt], [psi]]))[0], expected, atol=1e-13)


@pytest.mark.parametrize("tilt", [0.0, 180.0])
def test_nothing_is_lost_at_the_poles(tilt):
    turns = np.array([-170.0, -90.0, 0.0, 45.0, 180.0])
    rotation = rotation_from_relion(turns, np.full(5, tilt), 2 * turns)
    found = relion_from_rotation(rotation)
    np.testing.assert_allclose(found[:, 1], tilt, atol=1e-6)
    np.testing.assert_allclose(rotation_from_relion(*found.T), rotation, atol=1e-14)


def test_psi_turns_the_image():
    """Psi 90° turns the image clockwise: what was along x lands along -y."""
    rotation = rotation_from_relion(np.array([0.0]), np.array([0.0]), np.array([90.0]))
    np.testing.assert_allclose(rotation[0] @ [1, 0, 0], [0, -1, 0], atol=1e-15)
