"""Conventions in which rotations may have been written, other than as stated.

A change of sign of all tilts is not among them: with the mirrored map it makes the same images, so that only a
reference tells the hand.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cryoarena.imaging.poses import Poses
from cryoarena.particles.doctor.hypothesis import Change
from cryoarena.particles.doctor.reading import Reading
from cryoarena.particles.euler import relion_from_rotation, rotation_from_relion

CHECK = "rotations"
# Full turns are at most so many radians; a stack has larger angles if they are degrees.
_LARGEST_RADIANS = 2 * np.pi + 0.01

_Angles = NDArray[np.float64]


def rotation_changes(reading: Reading) -> list[Change]:
    """Return the conventions that are common, up to the hand."""
    changes = [
        _of_matrices(
            "rotations from image to object",
            "invert every rotation (rot, tilt, psi → -psi, -tilt, -rot; change the sign of rotation vectors)",
            lambda rotation: np.swapaxes(rotation, 1, 2),
        ),
        _of_angles("rot and psi exchanged", "exchange rot and psi", lambda angles: angles[:, ::-1]),
    ]
    # Half a turn of all images is a change of sign of all tilts.
    for turn_deg, psi_sign, rot_sign in product((0, 90), (1, -1), (1, -1)):
        if (turn_deg, psi_sign, rot_sign) != (0, 1, 1):
            changes.append(_turned(turn_deg, psi_sign, rot_sign))
    angles = np.abs(relion_from_rotation(reading.poses.rotation_object_to_image))
    if angles.max() <= _LARGEST_RADIANS:
        changes.append(_of_angles("angles in radians", "write the angles in degrees", np.rad2deg))
    return changes


def _turned(turn_deg: int, psi_sign: int, rot_sign: int) -> Change:
    name, remedy = [], []
    if psi_sign == rot_sign == -1:
        name.append("images mirrored along y")
        remedy.append("change the sign of rot and psi, or flip the images")
    elif psi_sign == -1:
        name.append("psi of the opposite sign")
        remedy.append("change the sign of psi")
    elif rot_sign == -1:
        name.append("rot of the opposite sign")
        remedy.append("change the sign of rot")
    if turn_deg:
        name.append(f"images turned by {turn_deg}°")
        remedy.append(f"add {turn_deg}° to psi")
    factors, offset = np.array([rot_sign, 1, psi_sign]), np.array([0, 0, turn_deg])
    return _of_angles(" and ".join(name), " and ".join(remedy), lambda angles: angles * factors + offset)


def _of_angles(name: str, remedy: str, change: Callable[[_Angles], _Angles]) -> Change:
    return _of_matrices(name, remedy, lambda rotation: rotation_from_relion(*change(relion_from_rotation(rotation)).T))


def _of_matrices(name: str, remedy: str, change: Callable[[_Angles], _Angles]) -> Change:
    def apply(reading: Reading) -> Reading:
        return replace(reading, poses=Poses(change(reading.poses.rotation_object_to_image), reading.poses.shift_A))

    return Change(CHECK, name, remedy, apply)
