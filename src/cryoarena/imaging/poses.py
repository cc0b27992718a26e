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
