"""A specimen whose conformations are frames of a simulation."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from cryoarena.imaging.specimen import Specimen
from cryoarena.structures.density import ScatteringModel
from cryoarena.structures.placed_frames import PlacedFrames


@final
@dataclass(frozen=True)
class PlacedSpecimen(Specimen):
    """Frames read when they are asked for.

    Attributes:
        placed: atoms of every frame.
        frame: (K,) which frames.
        model: form factors of the atoms.
        farthest_A: how far from the origin an atom of these frames is at most.
    """

    placed: PlacedFrames
    frame: NDArray[np.int64]
    model: ScatteringModel
    farthest_A: float

    def __len__(self) -> int:
        return len(self.frame)

    def position_A(self, conformation: int) -> NDArray[np.float32]:
        """Return the atoms (n, 3) of a frame."""
        return self.placed.position_A(int(self.frame[conformation]))

    def scattering(self, conformation: int) -> ScatteringModel:
        """Return the form factors of the atoms."""
        return self.model

    def reach_A(self) -> float:
        """Return how far from the origin an atom is at most, as it was found when all frames were read."""
        return self.farthest_A
