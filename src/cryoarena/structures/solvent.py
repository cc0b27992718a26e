"""Solvent that a molecule displaces."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.structures.density import ScatteringModel


def displace_solvent(model: ScatteringModel, ratio: float, b_factor_A2: float) -> ScatteringModel:
    """Return form factors f(s) (1 - ratio · exp(-B s² / 4)): every atom pushes a Gaussian of solvent away.

    The dummy atoms of Fraser, MacRae & Suzuki (1978, doi:10.1107/S0021889878014296), which have B = 4π v^(2/3) with v
    the volume of an atom, 99 Å² for 22 Å³. Here they are blurred as the atoms are, so that an atom at low resolution
    stays positive. Detail finer than an atom's volume keeps its contrast; the shape loses `ratio` of it.

    Args:
        model: form factors in vacuum.
        ratio: density of the solvent over that of the molecule; 0: vacuum.
        b_factor_A2: B.
    """
    return ScatteringModel(model.weights, _DisplacingProfile(model, ratio, b_factor_A2))


# A class, not a closure, so that a model can be sent to worker processes.
@dataclass(frozen=True)
class _DisplacingProfile:
    bare: ScatteringModel
    ratio: float
    b_factor_A2: float

    def __call__(self, frequency_per_A: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        frequency = np.asarray(frequency_per_A, np.float64)
        kept = 1 - self.ratio * np.exp(-self.b_factor_A2 / 4 * frequency**2)
        return np.asarray(self.bare.profile(frequency) * kept)
