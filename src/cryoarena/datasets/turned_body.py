"""A specimen of two rigid bodies, one of which is turned by two angles: any number of conformations in no space."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from cryoarena.datasets.rigid_bodies import RigidBodies, RigidMotion
from cryoarena.imaging.specimen import Specimen
from cryoarena.structures.density import ScatteringModel


@final
@dataclass(frozen=True)
class TurnedBody(Specimen):
    """One body at rest and one that turns about a point, with atoms computed when they are asked for.

    Attributes:
        resting_A: (m, 3) float32 atoms of the body at rest.
        turning_A: (n, 3) float32 atoms of the turning body where both angles are 0.
        centre_A: (3,) the point that does not move.
        axes: (2, 3) orthogonal unit vectors.
        angle_deg: (K, 2) of every conformation.
        model: form factors of the m + n atoms.
    """

    resting_A: NDArray[np.float32]
    turning_A: NDArray[np.float32]
    centre_A: NDArray[np.float64]
    axes: NDArray[np.float64]
    angle_deg: NDArray[np.float64]
    model: ScatteringModel

    def __len__(self) -> int:
        return len(self.angle_deg)

    def position_A(self, conformation: int) -> NDArray[np.float32]:
        """Return the atoms (m + n, 3) of a conformation."""
        turn = rotation(self.axes, self.angle_deg[conformation])
        turned = (self.turning_A - self.centre_A) @ turn.T + self.centre_A
        return np.concatenate([self.resting_A, turned.astype(np.float32)])

    def scattering(self, conformation: int) -> ScatteringModel:
        """Return the form factors of the atoms."""
        return self.model

    def reach_A(self) -> float:
        """Return how far from the origin an atom may be, whatever the angles."""
        radius = np.linalg.norm(self.turning_A - self.centre_A, axis=1).max()
        turning = np.linalg.norm(self.centre_A) + radius
        return float(max(turning, np.linalg.norm(self.resting_A, axis=1).max()))

    def rigid_bodies(self) -> RigidBodies:
        """Return both bodies, 0 at rest, and their motion from conformation 0 to each other one."""
        turn = rotation(self.axes, self.angle_deg)
        motion = np.broadcast_to(np.eye(3), (len(self), 2, 3, 3)).copy()
        motion[:, 1] = turn @ turn[0].T
        translation_A = self.centre_A - motion @ self.centre_A
        body = np.repeat([0, 1], [len(self.resting_A), len(self.turning_A)])
        return RigidBodies(body, RigidMotion(motion, translation_A))


def rotation(axes: NDArray[np.float64], angle_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation (…, 3, 3) by two angles (…, 2): that about the vector α·axis_1 + β·axis_2.

    Neither angle comes first; where one is 0, the other is that about its axis (2, 3).
    """
    return np.asarray(Rotation.from_rotvec(angle_deg @ axes, degrees=True).as_matrix())
