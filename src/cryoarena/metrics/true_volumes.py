"""The true maps of a dataset as a sequence that is read when asked for."""

from collections.abc import Sequence
from typing import final, overload

import numpy as np
from numpy.typing import NDArray

from cryoarena.datasets.truth import Truth


@final
class TrueVolumes(Sequence[NDArray[np.float32]]):
    """K maps (D, D, D), one per conformation; none is kept in memory."""

    def __init__(self, truth: Truth) -> None:
        """Give the maps of `truth`."""
        self._truth = truth

    def __len__(self) -> int:
        return len(self._truth.volume_names)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.float32]: ...

    @overload
    def __getitem__(self, index: slice) -> "list[NDArray[np.float32]]": ...

    def __getitem__(self, index: int | slice) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        """Read one map, or several."""
        if isinstance(index, slice):
            return [self._truth.volume(conformation) for conformation in range(len(self))[index]]
        return self._truth.volume(range(len(self))[index])
