"""Soft masks made from the maps of all conformations."""

from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

# of the self-weighted mean density; see `_level`
_LEVEL_FRACTION = 0.25


def soft_mask(
    binary: NDArray[np.bool_], dilation_A: float, soft_edge_A: float, pixel_size_A: float
) -> NDArray[np.float32]:
    """Grow a region and give it a soft edge.

    Args:
        binary: (D, D, D) region.
        dilation_A: the mask is 1 up to this distance from the nearest voxel of the region.
        soft_edge_A: width beyond it over which the mask falls to 0 as a raised cosine.
        pixel_size_A: of the region.

    Returns:
        (D, D, D) float32 between 0 and 1.

    Raises:
        ValueError: when the region is empty.
    """
    if not binary.any():
        raise ValueError("a mask needs a region that is not empty")
    distance = distance_transform_edt(~binary) * pixel_size_A - dilation_A
    if soft_edge_A <= 0:
        return (distance <= 0).astype(np.float32)
    fall = np.clip(distance / soft_edge_A, 0, 1)
    return (0.5 + 0.5 * np.cos(np.pi * fall)).astype(np.float32)


@final
@dataclass
class MaskBuilder:
    """Make the masks of a dataset from its conformations, one map at a time.

    The region of a conformation is where its density exceeds a quarter of the self-weighted mean density,
    Σρ² / Σρ over ρ > 0, of the voxelwise maximum over conformations. That level follows the density inside
    the molecule and not the size of the box, for sharp maps as for smooth ones.

    Attributes:
        box_px: map side D.
        pixel_size_A: of the maps.
    """

    box_px: int
    pixel_size_A: float
    _count: int = field(default=0, init=False)
    _maximum: NDArray[np.float32] = field(init=False, repr=False)
    _mean: NDArray[np.float64] = field(init=False, repr=False)
    _squares: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        shape = (self.box_px,) * 3
        self._maximum = np.full(shape, -np.inf, np.float32)
        self._mean = np.zeros(shape)
        self._squares = np.zeros(shape)

    def add(self, volume: NDArray[np.float32]) -> None:
        """Take in the map (D, D, D) of one conformation.

        Raises:
            ValueError: when it has another box.
        """
        if volume.shape != self._mean.shape:
            raise ValueError(f"a map of box {self.box_px} is expected, not {volume.shape}")
        self._count += 1
        np.maximum(self._maximum, volume, out=self._maximum)
        # Welford's update: the difference of two large sums would drown a small variance
        difference = volume - self._mean
        self._mean += difference / self._count
        self._squares += difference * (volume - self._mean)

    def whole(self, dilation_A: float = 24, soft_edge_A: float = 15) -> NDArray[np.float32]:
        """Return the mask (D, D, D) around all conformations; by default grown as much as CryoBench's (B.1).

        Raises:
            ValueError: when no map was added, or no density is positive.
        """
        return soft_mask(self._occupied(), dilation_A, soft_edge_A, self.pixel_size_A)

    def moving(self, dilation_A: float = 9, soft_edge_A: float = 9) -> NDArray[np.float32]:
        """Return the mask (D, D, D) around what differs between conformations.

        That is where the standard deviation over conformations exceeds its own level (as for the density),
        inside the region of at least one conformation.

        Raises:
            ValueError: when all conformations are equal, or no map was added.
        """
        occupied = self._occupied()
        deviation = np.sqrt(self._squares / self._count)
        if deviation.max() <= 1e-3 * self._maximum.max():
            raise ValueError("all conformations are equal, so that there is no moving region")
        return soft_mask(
            occupied & (deviation > _level(deviation[occupied])), dilation_A, soft_edge_A, self.pixel_size_A
        )

    def _occupied(self) -> NDArray[np.bool_]:
        if not self._count or not (self._maximum > 0).any():
            raise ValueError("a mask needs at least one map with positive density")
        return self._maximum > _level(self._maximum)


def _level(density: NDArray[np.float32] | NDArray[np.float64]) -> float:
    positive = density[density > 0].astype(np.float64)
    return _LEVEL_FRACTION * float(positive @ positive / positive.sum())
