"""Where the bodies of a multi-body refinement are: from RELION's angles and shifts to principal components and back.

Nakane et al. 2018, doi:10.7554/eLife.36861. Of the consensus orientation A (object to image), and the turn of body b

    T_b = O_b' E(0, 90°, 0)' E(rot, tilt, psi) O_b,

with E RELION's Euler matrix and O_b the rotation that takes the axis from b to the body that it turns relative to into
z, the image shows the body, centred at its own middle, turned by A T_b. Of its 2-D shift s relion_flex_analyse makes
the shift -(A T_b)' s of three dimensions. Angles and shifts of all bodies, in units of how much they change the map,
are what its principal components are of.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.particles.euler import rotation_from_relion
from cryoarena.particles.relion_columns import ANGLES
from cryoarena.particles.star_table import Table

_ORIGINS = ("rlnOriginXAngst", "rlnOriginYAngst")
POSE_COLUMNS = frozenset({*ANGLES, *_ORIGINS})
_PER_BODY = 6


class Residuals(NamedTuple):
    """Angles and shifts of bodies as RELION writes them.

    Attributes:
        angle_deg: (N, B, 3) rot, tilt, psi; (0, 90, 0) for a body that is where the consensus has it.
        origin_px: (N, B, 3) along the axes of the image.
    """

    angle_deg: NDArray[np.float64]
    origin_px: NDArray[np.float64]


@dataclass(frozen=True)
class BodyMotion:
    """The principal components of the motion of B bodies.

    Attributes:
        axis: (B, 3) unit vectors to the body that each turns relative to.
        weight: (B, 4) units of rot, tilt, psi and shifts.
        eigenvectors: (6B, 6B), a component in each row, the greatest first.
        mean: (6B,) of the coordinates of all particles.
    """

    axis: NDArray[np.float64]
    weight: NDArray[np.float64]
    eigenvectors: NDArray[np.float64]
    mean: NDArray[np.float64]

    def residuals_at(self, latents: NDArray[np.float32]) -> Residuals:
        """Return where the bodies are at latents (k, d); other components than the first d are at their mean.

        They are of a particle whose consensus orientation is the identity.
        """
        coordinates = self.mean + latents.astype(np.float64) @ self.eigenvectors[: latents.shape[1]]
        unscaled = (coordinates / _per_coordinate(self.weight)).reshape(len(latents), -1, _PER_BODY)
        angle_deg, shift_px = unscaled[..., :3], unscaled[..., 3:]
        origin_px = -np.einsum("nbij,nbj->nbi", _turns(self.axis, angle_deg), shift_px)
        return Residuals(angle_deg, origin_px)


def coordinates(
    axis: NDArray[np.float64], weight: NDArray[np.float64], orientation: NDArray[np.float64], residuals: Residuals
) -> NDArray[np.float64]:
    """Return the coordinates (N, 6B) that principal components are of.

    Args:
        axis, weight: as in `BodyMotion`.
        orientation: (N, 3, 3) of the consensus, object to image.
        residuals: of N particles.
    """
    seen = orientation[:, None] @ _turns(axis, residuals.angle_deg)
    shift_px = -np.einsum("nbji,nbj->nbi", seen, residuals.origin_px)
    unscaled = np.concatenate([residuals.angle_deg, shift_px], axis=-1)
    return np.asarray(unscaled.reshape(len(unscaled), -1) * _per_coordinate(weight))


def read_residuals(data: Path, tables: dict[str, Table], pixel_size_A: float) -> Residuals:
    """Return the angles and shifts of the tables images_body_1 … of a multi-body refinement.

    Raises:
        UserError: when there are none, or one lacks a column.
    """
    bodies = [table for name, table in tables.items() if name.startswith("images_body_")]
    if not bodies:
        raise UserError(
            f"{data} has no table images_body_1: it is of no multi-body refinement; give the folder of a MultiBody job"
        )
    for number, table in enumerate(bodies, 1):
        if missing := [name for name in (*ANGLES, *_ORIGINS) if name not in table]:
            raise UserError(
                f"{data} has no column _{missing[0]} of body {number}; continue it with RELION 3.1 or later"
            )
    angle_deg = np.stack([[table.numbers[name] for name in ANGLES] for table in bodies]).transpose(2, 0, 1)
    origin_A = np.stack([[table.numbers[name] for name in _ORIGINS] for table in bodies]).transpose(2, 0, 1)
    return Residuals(angle_deg, np.pad(origin_A / pixel_size_A, ((0, 0), (0, 0), (0, 1))))


def _per_coordinate(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the unit of each of 6B coordinates."""
    return weight[:, [0, 1, 2, 3, 3, 3]].ravel()


def _turns(axis: NDArray[np.float64], angle_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return T (N, B, 3, 3) of angles (N, B, 3)."""
    still = rotation_from_relion(*np.array([[0.0], [90.0], [0.0]]))[0]
    euler = rotation_from_relion(*np.moveaxis(angle_deg.reshape(-1, 3), 1, 0)).reshape(*angle_deg.shape[:2], 3, 3)
    frame = np.stack([_frame(-direction) for direction in axis])
    return np.asarray(np.swapaxes(frame, 1, 2) @ (still.T @ euler) @ frame)


def _frame(axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation that takes a vector (3,) into z, and leaves the x axis in the xz plane."""
    z = axis / np.linalg.norm(axis)
    y = np.cross(z, [1.0, 0.0, 0.0])
    if np.linalg.norm(y) < 1e-6:
        y = np.array([0.0, 1.0, 0.0])
    y /= np.linalg.norm(y)
    return np.stack([np.cross(y, z), y, z])
