"""A specimen of which some particles lack a part."""

from typing import final

import numpy as np
from numpy.typing import NDArray

from cryoarena.imaging.specimen import Specimen
from cryoarena.structures.density import ScatteringModel


@final
class WithIncomplete(Specimen):
    """2K conformations: those of a specimen, then the same without some of its atoms."""

    def __init__(self, whole: Specimen, kept: NDArray[np.bool_]) -> None:
        """Join K conformations, all of the same n atoms, and what is left of them of the atoms `kept` (n,)."""
        self._whole = whole
        self._kept = kept
        model = whole.scattering(0)
        self._rest = ScatteringModel(model.weights[kept], model.profile)

    def __len__(self) -> int:
        return 2 * len(self._whole)

    def position_A(self, conformation: int) -> NDArray[np.float32]:
        """Return the atoms (n, 3) of a conformation."""
        position_A = self._whole.position_A(conformation % len(self._whole))
        return position_A if conformation < len(self._whole) else position_A[self._kept]

    def scattering(self, conformation: int) -> ScatteringModel:
        """Return the form factors of those atoms."""
        return self._whole.scattering(conformation) if conformation < len(self._whole) else self._rest

    def reach_A(self) -> float:
        """Return how far from the origin an atom is at most."""
        return self._whole.reach_A()
