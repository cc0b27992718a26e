"""A specimen made of rigid bodies: it holds their motion, not the atoms of every conformation."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from cryoarena.imaging.specimen import Specimen
from cryoarena.structures.density import ScatteringModel


@final
@dataclass(frozen=True)
class MovedBodies(Specimen):
    """The same atoms in B rigid bodies that move: small even for a conformation per image.

    Attributes:
        reference_A: (n, 3) atoms.
        body: (n,) which body an atom belongs to.
        rotation: (K, B, 3, 3); an atom of body b at x is at R x + t in a conformation.
        translation_A: (K, B, 3) t.
        model: form factors of the n atoms.
    """

    reference_A: NDArray[np.float64]
    body: NDArray[np.int64]
    rotation: NDArray[np.float64]
    translation_A: NDArray[np.float64]
    model: ScatteringModel

    def __len__(self) -> int:
        return len(self.rotation)

    def position_A(self, conformation: int) -> NDArray[np.float32]:
        """Return the atoms (n, 3) of a conformation."""
        moved = np.empty(self.reference_A.shape, np.float32)
        for number, (rotation, translation_A) in enumerate(
            zip(self.rotation[conformation], self.translation_A[conformation], strict=True)
        ):
            here = self.body == number
            moved[here] = self.reference_A[here] @ rotation.T + translation_A
        return moved

    def scattering(self, conformation: int) -> ScatteringModel:
        """Return the form factors of the atoms."""
        return self.model
