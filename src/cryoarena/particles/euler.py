"""Rotations as RELION and cryoSPARC write them; inside, R is active, object to image."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation


def rotation_from_relion(
    rot_deg: NDArray[np.float64], tilt_deg: NDArray[np.float64], psi_deg: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the (N, 3, 3) rotations of RELION's rlnAngleRot, rlnAngleTilt, rlnAnglePsi, each (N,).

    Rᵀ = Rz(rot) Ry(tilt) Rz(psi) with right-handed rotations about fixed axes (the 3DEM convention, Heymann et al.
    2005, doi:10.1016/j.jsb.2005.06.001).
    """
    angles = np.stack([rot_deg, tilt_deg, psi_deg], axis=-1)
    return np.asarray(Rotation.from_euler("ZYZ", angles, degrees=True).inv().as_matrix())


def relion_from_rotation(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N, 3) rot, tilt, psi in degrees of rotations R (N, 3, 3); tilt is in [0, 180].

    At tilt 0 and 180 only one combination of rot and psi matters; rot is then whatever atan2 gives.
    """
    image_to_object = np.swapaxes(np.asarray(rotation, np.float64), -1, -2)
    x, y, z = (image_to_object[..., i, 2] for i in range(3))
    rot = np.arctan2(y, x)
    tilt = np.arctan2(np.hypot(x, y), z)
    # The second row of Rz(-rot) Rᵀ is (sin psi, cos psi, 0) whatever the tilt, so nothing is lost at the poles.
    row = -np.sin(rot)[..., None] * image_to_object[..., 0, :] + np.cos(rot)[..., None] * image_to_object[..., 1, :]
    psi = np.arctan2(row[..., 0], row[..., 1])
    return np.asarray(np.rad2deg(np.stack([rot, tilt, psi], axis=-1)))


def rotation_from_cryosparc(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (N, 3, 3) rotations of cryoSPARC's alignments3D/pose (N, 3): the rotation vector (rad) of Rᵀ."""
    return np.asarray(Rotation.from_rotvec(np.asarray(pose, np.float64)).inv().as_matrix())


def cryosparc_from_rotation(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (N, 3) rotation vectors (rad) that cryoSPARC stores for rotations R (N, 3, 3)."""
    return np.asarray(Rotation.from_matrix(np.asarray(rotation, np.float64)).inv().as_rotvec())
