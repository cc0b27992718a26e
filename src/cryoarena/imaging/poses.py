"""Poses: how each particle lies in its image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation


@dataclass(frozen=True)
class Poses:
    """Poses of N particles.

    Attributes:
        rotation_object_to_image: (N, 3, 3) active rotations R; an atom at c (Å) lands at (R c)[x, y].
        shift_A: (N, 2) displacement (x, y) of the object in the image, Å.
    """

    rotation_object_to_image: NDArray[np.float64]
    shift_A: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rotation_object_to_image)

    def __getitem__(self, index: NDArray[np.int64] | slice) -> "Poses":
        """Return the poses of some particles."""
        return Poses(self.rotation_object_to_image[index], self.shift_A[index])


def random_poses(n: int, max_shift_A: float, rng: np.random.Generator) -> Poses:
    """Draw rotations uniform on SO(3) and shifts uniform in the square [-max_shift_A, max_shift_A]²."""
    rotations = Rotation.random(n, rng=rng).as_matrix()
    return Poses(rotations, rng.uniform(-max_shift_A, max_shift_A, size=(n, 2)))


def perturbed_poses(poses: Poses, rotation_error_deg: float, shift_error_A: float, rng: np.random.Generator) -> Poses:
    """Return poses with normal, isotropic errors.

    Args:
        poses: true ones.
        rotation_error_deg: root mean square angle between the true and the returned rotation (small angles).
        shift_error_A: standard deviation along x and along y.
        rng: of the errors.
    """
    turn = Rotation.from_rotvec(np.deg2rad(rotation_error_deg) / np.sqrt(3) * rng.standard_normal((len(poses), 3)))
    shift_A = poses.shift_A + shift_error_A * rng.standard_normal((len(poses), 2))
    return Poses(turn.as_matrix() @ poses.rotation_object_to_image, shift_A)
