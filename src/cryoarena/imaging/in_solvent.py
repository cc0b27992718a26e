"""A specimen in solvent instead of vacuum."""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from cryoarena.imaging.specimen import Specimen
from cryoarena.structures.density import ScatteringModel
from cryoarena.structures.solvent import displace_solvent


@final
class InSolvent(Specimen):
    """The same conformations with the solvent that they displace taken off (`displace_solvent`)."""

    def __init__(self, bare: Specimen, ratio: float, b_factor_A2: float) -> None:
        """Put a specimen into solvent of this density relative to the molecule."""
        self._bare = bare
        self._ratio = ratio
        self._b_factor_A2 = b_factor_A2
        # By identity, with the bare model, so that no other object can take that identity.
        self._models: dict[int, tuple[ScatteringModel, ScatteringModel]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        # Identities do not hold in another process.
        return InSolvent, (self._bare, self._ratio, self._b_factor_A2)

    def __len__(self) -> int:
        return len(self._bare)

    def position_A(self, conformation: int) -> NDArray[np.float32]:
        """Return the atoms (n, 3) of a conformation."""
        return self._bare.position_A(conformation)

    def scattering(self, conformation: int) -> ScatteringModel:
        """Return the form factors of those atoms in solvent."""
        bare = self._bare.scattering(conformation)
        if id(bare) not in self._models:
            self._models[id(bare)] = bare, displace_solvent(bare, self._ratio, self._b_factor_A2)
        return self._models[id(bare)][1]

    def reach_A(self) -> float:
        """Return how far from the origin an atom is at most."""
        return self._bare.reach_A()
