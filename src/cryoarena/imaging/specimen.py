"""What is under the microscope: an object in K conformations."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from cryoarena.structures.density import ScatteringModel


class Specimen(ABC):
    """An object in K = len(specimen) conformations, which may differ in where their atoms are and in which they have.

    It is sent to worker processes, so that it must be picklable and should be small: one whose atoms do not fit in
    memory reads or computes them when they are asked for.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Return K."""

    @abstractmethod
    def position_A(self, conformation: int) -> NDArray[np.float32]:
        """Return the atoms (n, 3) of a conformation."""

    @abstractmethod
    def scattering(self, conformation: int) -> ScatteringModel:
        """Return the form factors of those atoms; the same object for conformations that have the same atoms."""

    def reach_A(self) -> float:
        """Return how far from the origin an atom is at most."""
        return max(float(np.linalg.norm(self.position_A(number), axis=1).max()) for number in range(len(self)))


@final
@dataclass(frozen=True)
class Conformations(Specimen):
    """The same atoms at different places.

    Attributes:
        positions_A: (K, n, 3) float32.
        model: form factors of the n atoms.
    """

    positions_A: NDArray[np.float32]
    model: ScatteringModel

    def __len__(self) -> int:
        return len(self.positions_A)

    def position_A(self, conformation: int) -> NDArray[np.float32]:
        """Return the atoms (n, 3) of a conformation."""
        return np.asarray(self.positions_A[conformation])

    def scattering(self, conformation: int) -> ScatteringModel:
        """Return the form factors of the atoms."""
        return self.model


@final
@dataclass(frozen=True)
class Complexes(Specimen):
    """Different atoms in every conformation: the states of an assembly, or a mixture.

    Attributes:
        positions_A: K arrays (n_i, 3) float32.
        models: form factors of each.
    """

    positions_A: tuple[NDArray[np.float32], ...]
    models: tuple[ScatteringModel, ...]

    def __len__(self) -> int:
        return len(self.positions_A)

    def position_A(self, conformation: int) -> NDArray[np.float32]:
        """Return the atoms (n, 3) of a complex."""
        return self.positions_A[conformation]

    def scattering(self, conformation: int) -> ScatteringModel:
        """Return the form factors of a complex."""
        return self.models[conformation]
