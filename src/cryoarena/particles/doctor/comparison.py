"""Whether one reading of a table explains the images better than another."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

# Found on stacks whose table is right and on pure noise, see docs/doctor.md.
_LEAST_Z = 8.0
_LEAST_RATIO = 1.002
_WORSE_Z = -4.0


@final
@dataclass(frozen=True)
class Comparison:
    """Two readings of the same images.

    Attributes:
        stated, other: mean gain in nats per image.
        z: of the difference, other - stated, over its standard error; images in pairs.
    """

    stated: float
    other: float
    z: float

    @property
    def other_is_better(self) -> bool:
        """Return whether the other reading is better beyond doubt, and by so much that it matters."""
        return self.z >= _LEAST_Z and self.other >= _LEAST_RATIO * max(self.stated, 0.0)

    @property
    def stated_is_better(self) -> bool:
        """Return whether the reading as stated is clearly better."""
        return self.z <= _WORSE_Z

    def numbers(self) -> dict[str, float]:
        """Return the measured numbers by name."""
        return {"gain_stated_nats": self.stated, "gain_other_nats": self.other, "z": self.z}

    def __str__(self) -> str:
        return f"{self.stated:.3g} → {self.other:.3g} nats per image, z = {self.z:+.1f}"


def compare(stated: NDArray[np.float64], other: NDArray[np.float64]) -> Comparison:
    """Compare the gains (n,) of the same images."""
    difference = other - stated
    error = float(difference.std(ddof=1)) / len(difference) ** 0.5
    z = float(difference.mean()) / error if error > 0 else 0.0
    return Comparison(float(stated.mean()), float(other.mean()), z)
