"""How the rigid bodies of an object move from one conformation to the next."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.imaging.poses import Poses
from cryoarena.structures.superpose import superpose

_RIGID_TO_A = 0.01


@dataclass(frozen=True)
class RigidMotion:
    """The motion of B bodies over K conformations: what is at x in conformation 0 is at R x + t in conformation c.

    Attributes:
        rotation: (K, B, 3, 3) active rotations R.
        translation_A: (K, B, 3) t as x, y, z.
    """

    rotation: NDArray[np.float64]
    translation_A: NDArray[np.float64]

    @property
    def bodies(self) -> int:
        """Return B."""
        return int(self.rotation.shape[1])

    def from_first(self) -> "RigidMotion":
        """Return the motion from conformation 0, where this one starts from anywhere else."""
        rotation = self.rotation @ self.rotation[:1].swapaxes(-1, -2)
        translation_A = self.translation_A - np.einsum("kbij,bj->kbi", rotation, self.translation_A[0])
        return RigidMotion(rotation, translation_A)

    def poses_of_body(self, poses: Poses, conformation: NDArray[np.int64], body: int) -> Poses:
        """Return how one body, as it lies in conformation 0, appears in images of any conformation.

        Args:
            poses: of N particles.
            conformation: (N,).
            body: which one.
        """
        rotation = poses.rotation_object_to_image
        moved_A = np.einsum("nij,nj->ni", rotation[:, :2], self.translation_A[conformation, body])
        return Poses(rotation @ self.rotation[conformation, body], poses.shift_A + moved_A)


@dataclass(frozen=True)
class RigidBodies:
    """The atoms of every body and its motion.

    Attributes:
        body: (n,) int64, which body an atom belongs to, from 0.
        motion: of the bodies.
    """

    body: NDArray[np.int64]
    motion: RigidMotion


def superpose_bodies(position_A: Iterable[NDArray[np.floating[Any]]], body: NDArray[np.int64]) -> RigidBodies:
    """Find the motion of every body by superposing its atoms on those of conformation 0.

    Args:
        position_A: (n, 3) atoms in each of K conformations.
        body: (n,) which body an atom belongs to; the numbers run from 0 without a gap.

    Raises:
        ValueError: when a body is not rigid to 0.01 Å.
    """
    members = [body == number for number in range(int(body.max()) + 1)]
    references: list[NDArray[np.float64]] = []
    rotation: list[list[NDArray[np.float64]]] = []
    translation_A: list[list[NDArray[np.float64]]] = []
    for conformation, positions in enumerate(position_A):
        if not references:
            references = [positions[of_body].astype(np.float64) for of_body in members]
        rotation.append([])
        translation_A.append([])
        for number, (of_body, reference) in enumerate(zip(members, references, strict=True)):
            moved = positions[of_body].astype(np.float64)
            turn, shift = superpose(reference, moved)
            error = float(np.abs(reference @ turn.T + shift - moved).max())
            if error > _RIGID_TO_A:
                raise ValueError(f"body {number} is not rigid: conformation {conformation} is {error:.3f} Å off")
            rotation[-1].append(turn)
            translation_A[-1].append(shift)
    return RigidBodies(body, RigidMotion(np.array(rotation), np.array(translation_A)))
