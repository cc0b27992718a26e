"""Fourier shell correlation between two maps (Harauz & van Heel 1986, Optik 73:146).

Two definitions are offered: `fsc`, which is recommended, and `fsc_cryobench`, which reproduces the numbers of
CryoBench (Jeon et al., NeurIPS 2024 Datasets & Benchmarks). Both are sums over shells half a Fourier pixel
thick, so that one pass serves them both.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

FscCurve = tuple[NDArray[np.float64], NDArray[np.float64]]

_PLANES_AT_ONCE = 4


@dataclass(frozen=True)
class HalfShells:
    """Sums over half shells: entry h = 0 … D covers Fourier voxels with h <= 2|k| < h + 1, k in cycles per box.

    Attributes:
        box_px: map side D.
        cross: (..., D + 1) sum of Re(A B*).
        power_a, power_b: sums of |A|² and |B|², of shapes that broadcast to that of `cross`.
    """

    box_px: int
    cross: NDArray[np.float64]
    power_a: NDArray[np.float64]
    power_b: NDArray[np.float64]

    def standard(self) -> FscCurve:
        """Return frequency (D/2,) in cycles/px and FSC (..., D/2) in shells round(|k|) = 1 … D/2.

        It is 0 where a map has no power.
        """
        shells = np.arange(1, self.box_px // 2 + 1)
        return shells / self.box_px, self._correlation(2 * shells - 1, where_empty=0.0)

    def cryobench(self) -> FscCurve:
        """Return frequency (D/2,) in cycles/px and FSC (..., D/2) as CryoBench bins it.

        Bin i at frequency i/D holds i - 1 <= |k| < i for i = 1 … D/2 - 1 (bin 1 is the mean of the map);
        bin 0 is 1 by definition, and so is every bin where a map has no power.
        """
        bins = np.arange(self.box_px // 2)
        correlation = self._correlation(2 * bins[1:] - 2, where_empty=1.0)
        first = np.ones_like(correlation[..., :1])
        return bins / self.box_px, np.concatenate([first, correlation], axis=-1)

    def _correlation(self, first: NDArray[np.int64], where_empty: float) -> NDArray[np.float64]:
        cross, power_a, power_b = (s[..., first] + s[..., first + 1] for s in (self.cross, self.power_a, self.power_b))
        norm = np.sqrt(power_a * power_b)
        empty = np.full(norm.shape, where_empty)
        return np.asarray(np.divide(cross, norm, out=empty, where=norm > 0))


def correlate(a: NDArray[np.float32], b: NDArray[np.float32], mask: NDArray[np.float32] | None = None) -> HalfShells:
    """Correlate two maps (D, D, D), each multiplied by `mask`, in half shells.

    Raises:
        ValueError: when the maps or the mask are not cubes of the same even side.
    """
    box_px = a.shape[-1]
    for array in (a, b) if mask is None else (a, b, mask):
        if array.shape != (box_px,) * 3 or box_px % 2:
            raise ValueError(f"FSC needs cubes of one even side, not {a.shape} and {array.shape}")
    planes_a, planes_b = _planes(a, mask), _planes(b, mask)
    half = box_px // 2
    squared = np.arange(half + 1) ** 2
    # 2|k| is never so near an integer, without being one, that the double-precision root could mislead
    half_shell_of = np.floor(np.sqrt(4.0 * np.arange(3 * half**2 + 1))).astype(np.intp)
    # a real map has equal power at k and -k; the half space stores the columns kx = 0 and D/2 whole
    weight = np.full(half + 1, 2.0)
    weight[[0, -1]] = 1
    sums = np.zeros((3, box_px + 1))
    for ky in range(half + 1):
        # shells end at the radius (D + 1) / 2: the corners of the cube are not needed
        reach = min(half, math.isqrt(half * (half + 1) - ky * ky)) + 1
        products = np.zeros((3, half + 1, reach))
        for row in {ky, -ky % box_px}:
            products += _products(planes_a[:, row, :reach], planes_b[:, row, :reach])
        index = half_shell_of[squared[:, None] + squared[:reach] + ky * ky].ravel()
        products *= weight[:reach]
        for total, product in zip(sums, products, strict=True):
            total += np.bincount(index, weights=product.ravel(), minlength=len(total))[: len(total)]
    return HalfShells(box_px, *sums)


def fsc(a: NDArray[np.float32], b: NDArray[np.float32], mask: NDArray[np.float32] | None = None) -> FscCurve:
    """Return the FSC of two maps (D, D, D) in shells of the nearest radius, 1 … D/2, the mean left out.

    Args:
        a: map.
        b: map.
        mask: multiplies both, or None.

    Returns:
        (D/2,) frequency in cycles/px and (D/2,) FSC, 0 where a map has no power.
    """
    return correlate(a, b, mask).standard()


def fsc_cryobench(a: NDArray[np.float32], b: NDArray[np.float32], mask: NDArray[np.float32] | None = None) -> FscCurve:
    """Return the FSC of two maps (D, D, D) as CryoBench computes it; see `HalfShells.cryobench`."""
    return correlate(a, b, mask).cryobench()


def fsc_auc(frequency: NDArray[np.float64], correlation: NDArray[np.float64]) -> float:
    """Return the area under an FSC curve over cycles/px by the trapezoid rule; 1/2 - 1/D for equal maps.

    CryoBench integrates |FSC|: pass `np.abs(correlation)` to reproduce it.
    """
    return float(np.trapezoid(correlation, frequency))


def resolution_at(
    frequency: NDArray[np.float64], correlation: NDArray[np.float64], threshold: float, pixel_size_A: float
) -> float:
    """Return the resolution (Å) where the FSC first falls below `threshold`, linear between shells.

    A curve that never falls below it gives the last frequency, one that starts below it the first above 0.
    """
    below = np.flatnonzero(correlation < threshold)
    first = int(below[0]) if below.size else len(frequency)
    if first == len(frequency):
        crossing = frequency[-1]
    elif first == 0:
        crossing = frequency[0]
    else:
        high, low = correlation[first - 1], correlation[first]
        fraction = (high - threshold) / (high - low)
        crossing = frequency[first - 1] + fraction * (frequency[first] - frequency[first - 1])
    return float(pixel_size_A / max(crossing, frequency[frequency > 0][0]))


def _planes(volume: NDArray[np.float32], mask: NDArray[np.float32] | None) -> NDArray[np.complex128]:
    """Transform the masked map along y and x only; (z, ky, kx)."""
    box_px = len(volume)
    planes = np.empty((box_px, box_px, box_px // 2 + 1), np.complex128)
    # in single precision the FSC is wrong by several 1e-6 in the faint outer shells of smooth maps
    masked = np.empty((_PLANES_AT_ONCE, box_px, box_px))
    for start in range(0, box_px, _PLANES_AT_ONCE):
        block = slice(start, start + _PLANES_AT_ONCE)
        here = masked[: len(volume[block])]
        np.multiply(volume[block], 1 if mask is None else mask[block], out=here, dtype=np.float32)
        planes[block] = scipy.fft.rfft2(here)
    return planes


def _products(a: NDArray[np.complex128], b: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Finish the transforms of slabs (z, kx) along z; return Re(A B*), |A|² and |B|² over kz = 0 … D/2, ±kz added."""
    half = len(a) // 2
    a, b = scipy.fft.fft(a, axis=0), scipy.fft.fft(b, axis=0)
    whole = (a.real * b.real + a.imag * b.imag, a.real**2 + a.imag**2, b.real**2 + b.imag**2)
    folded = np.stack([product[: half + 1] for product in whole])
    for fold, product in zip(folded, whole, strict=True):
        fold[1:half] += product[:half:-1]
    return folded
