"""FSC of every map of one set with every map of another, at the price of one transform per map.

All the coefficients of a half shell are neighbours in memory, so that the correlations of all pairs in it are one
product of two matrices.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from cryoarena.volumes.fsc import HalfShells


@dataclass(frozen=True)
class ShellOrder:
    """The order of the Fourier coefficients of a map by half shell, up to the Nyquist sphere.

    Attributes:
        box_px: map side D.
        position: (P,) in the flattened half space (D, D, D/2 + 1).
        weight: (P,) square root of how often the coefficient counts.
        start: (D + 2,) first number of each half shell in real values, two per coefficient, and the end.
    """

    box_px: int
    position: NDArray[np.int64]
    weight: NDArray[np.float32]
    start: NDArray[np.int64]

    @staticmethod
    def of_box(box_px: int) -> "ShellOrder":
        """Return the order for maps (D, D, D), D even."""
        half = box_px // 2
        squared = np.square(np.minimum(np.arange(box_px), box_px - np.arange(box_px)))
        length = squared[:, None, None] + squared[:, None] + squared[: half + 1]
        inside = np.flatnonzero(length.ravel() <= half * (half + 1))
        shell = np.floor(np.sqrt(4.0 * length.ravel()[inside])).astype(np.int64)
        order = np.argsort(shell, kind="stable")
        kx = inside[order] % (half + 1)
        # a real map has equal power at k and -k; the half space stores the columns kx = 0 and D/2 whole
        weight = np.where((kx == 0) | (kx == half), 1, np.sqrt(2)).astype(np.float32)
        start = 2 * np.searchsorted(shell[order], np.arange(box_px + 2))
        return ShellOrder(box_px, inside[order], weight, start)

    def values(self, volume: NDArray[np.float32], mask: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Return the coefficients (2P,) of a map (D, D, D) multiplied by `mask`, as real numbers in single precision.

        Raises:
            ValueError: when the map or the mask has another box.
        """
        for array in (volume,) if mask is None else (volume, mask):
            if array.shape != (self.box_px,) * 3:
                raise ValueError(f"maps and masks of box {self.box_px} are expected, not {array.shape}")
        masked = volume if mask is None else volume * mask
        spectrum = scipy.fft.rfftn(masked.astype(np.float64), overwrite_x=True).ravel()
        # each is rounded by itself, after the transform: faint shells are as exact as strong ones
        return np.ascontiguousarray(spectrum[self.position], np.complex64).view(np.float32) * np.repeat(self.weight, 2)

    def correlate(self, a: NDArray[np.float32], b: NDArray[np.float32]) -> HalfShells:
        """Correlate every map of one set with every map of another, to 1e-5.

        Args:
            a: (M, 2P) from `values`.
            b: (N, 2P) from `values`.

        Returns:
            Sums of shape (M, N, D + 1).
        """
        cross = np.empty((len(a), len(b), self.box_px + 1))
        for shell, (first, last) in enumerate(zip(self.start[:-1], self.start[1:], strict=True)):
            cross[..., shell] = a[:, first:last] @ b[:, first:last].T
        power_a, power_b = (self._power(values) for values in (a, b))
        return HalfShells(self.box_px, cross, power_a[:, None], power_b[None])

    def _power(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        shells = zip(self.start[:-1], self.start[1:], strict=True)
        return np.stack([np.square(values[:, first:last]).sum(1, dtype=np.float64) for first, last in shells], axis=1)
