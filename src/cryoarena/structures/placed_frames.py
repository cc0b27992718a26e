"""The atoms of a simulation that are shown, every frame laid upon the first."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from cryoarena.structures.frames import Frames
from cryoarena.structures.superpose import superpose


@final
@dataclass(frozen=True)
class PlacedFrames:
    """Some atoms of some frames, superposed and centred.

    Attributes:
        frames: of the simulation.
        shown: (n,) indices of the atoms.
        fitted: (m,) which of the shown atoms are superposed; none: frames keep the frame of the simulation.
        reference_A: (n, 3) the shown atoms of the first frame, centred.
        origin_A: (3,) what was the centre of the first frame.
    """

    frames: Frames
    shown: NDArray[np.int64]
    fitted: NDArray[np.int64]
    reference_A: NDArray[np.float64]
    origin_A: NDArray[np.float64]

    def position_A(self, frame: int) -> NDArray[np.float32]:
        """Return the shown atoms (n, 3) of a frame."""
        return self.placed(self.frames.position_A(frame))

    def placed(self, position_A: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the shown atoms (n, 3) of a frame whose atoms are all given (N, 3)."""
        shown_A = position_A[self.shown].astype(np.float64)
        if len(self.fitted) == 0:
            return (shown_A - self.origin_A).astype(np.float32)
        rotation, translation_A = superpose(shown_A[self.fitted], self.reference_A[self.fitted])
        return (shown_A @ rotation.T + translation_A).astype(np.float32)


def place_frames(
    frames: Frames, shown: NDArray[np.int64], fitted: NDArray[np.int64], weights: NDArray[np.float64]
) -> PlacedFrames:
    """Take the first frame as the reference, with its centre, weighted by `weights` (n,), at the origin."""
    first_A = frames.position_A(0)[shown].astype(np.float64)
    origin_A = np.average(first_A, axis=0, weights=weights)
    return PlacedFrames(frames, shown, fitted, first_A - origin_A, origin_A)
