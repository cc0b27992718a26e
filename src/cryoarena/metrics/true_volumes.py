"""The true maps of a dataset as a sequence that is read when asked for."""

from collections.abc import Sequence
from typing import final, overload

import numpy as np
from numpy.typing import NDArray

from cryoarena.datasets.truth import Truth


@final
class TrueVolumes(Sequence[NDArray[np.float32]]):
    """The M maps (D, D, D) of the conformations that have one; none is kept in memory."""

    def __init__(self, truth: Truth) -> None:
        """Give the maps of `truth`."""
        self._truth = truth
        self._mapped = truth.mapped

    def __len__(self) -> int:
        return len(self._mapped)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.float32]: ...

    @overload
    def __getitem__(self, index: slice) -> "list[NDArray[np.float32]]": ...

    def __getitem__(self, index: int | slice) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        """Read one map, or several."""
        if isinstance(index, slice):
            return [self._truth.volume(int(conformation)) for conformation in self._mapped[index]]
        return self._truth.volume(int(self._mapped[index]))
