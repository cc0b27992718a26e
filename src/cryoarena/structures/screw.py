"""Screw motions: the shortest rigid motion from one place to another (Chasles' theorem), or any part of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from cryoarena.structures.superpose import superpose


@dataclass(frozen=True)
class Screw:
    """A turn about an axis together with a slide along it.

    Attributes:
        axis: (3,) unit vector.
        point_A: (3,) where the axis passes.
        angle_rad: of the whole motion.
        slide_A: along the axis in the whole motion.
    """

    axis: NDArray[np.float64]
    point_A: NDArray[np.float64]
    angle_rad: float
    slide_A: float

    def parts(self, fraction: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return R (K, 3, 3) and t (K, 3) of K parts of the motion, given as fractions (K,): x goes to R x + t."""
        rotation = Rotation.from_rotvec(self.angle_rad * fraction[:, None] * self.axis).as_matrix()
        translation_A = self.point_A - rotation @ self.point_A + self.slide_A * fraction[:, None] * self.axis
        return rotation, translation_A


def screw_between(from_A: NDArray[np.float64], to_A: NDArray[np.float64]) -> Screw:
    """Return the screw that superposes n points (n, 3) on n others (`superpose`).

    Raises:
        ValueError: when it is a mere translation, which has no axis.
    """
    rotation, translation_A = superpose(from_A, to_A)
    vector = Rotation.from_matrix(rotation).as_rotvec()
    angle = float(np.linalg.norm(vector))
    if angle < 1e-6:
        raise ValueError("a translation has no axis")
    axis = vector / angle
    slide_A = float(translation_A @ axis)
    # Points of the axis solve (1 - R) p = t - slide · axis; the shortest solution is the one nearest to the origin.
    point_A = np.linalg.lstsq(np.eye(3) - rotation, translation_A - slide_A * axis, rcond=1e-9)[0]
    return Screw(axis, np.asarray(point_A, np.float64), angle, slide_A)
