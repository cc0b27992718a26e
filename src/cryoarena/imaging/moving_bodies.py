"""A specimen made of rigid bodies: it holds their motion, and computes atoms when they are asked for."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from cryoarena.imaging.specimen import Specimen
from cryoarena.structures.density import ScatteringModel


@final
@dataclass(frozen=True)
class MovingBodies(Specimen):
    """Atoms at x of body b are at R[c, b] x + t[c, b] in conformation c.

    Attributes:
        rest_A: (n, 3) float64 x.
        body: (n,) which body an atom belongs to.
        rotation: (K, B, 3, 3) R.
        translation_A: (K, B, 3) t.
        model: form factors of the atoms.
    """

    rest_A: NDArray[np.float64]
    body: NDArray[np.int64]
    rotation: NDArray[np.float64]
    translation_A: NDArray[np.float64]
    model: ScatteringModel

    def __len__(self) -> int:
        return len(self.rotation)

    def position_A(self, conformation: int) -> NDArray[np.float32]:
        """Return the atoms (n, 3) of a conformation."""
        position_A = np.empty_like(self.rest_A, np.float32)
        for body in range(self.rotation.shape[1]):
            of_body = self.body == body
            moved_A = self.rest_A[of_body] @ self.rotation[conformation, body].T
            position_A[of_body] = moved_A + self.translation_A[conformation, body]
        return position_A

    def scattering(self, conformation: int) -> ScatteringModel:
        """Return the form factors of the atoms."""
        return self.model
