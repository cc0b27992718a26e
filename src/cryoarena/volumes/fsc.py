"""Fourier shell correlation between two maps (Harauz & van Heel 1986, Optik 73:146).

Two definitions are offered: `fsc`, which is recommended, and `fsc_cryobench`, which reproduces the numbers of
CryoBench (Jeon et al., NeurIPS 2024 Datasets & Benchmarks). Both are sums over shells half a Fourier pixel
thick, so that one pass serves them both.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

FscCurve = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class HalfShells:
    """Sums over half shells: entry h covers Fourier voxels with h <= 2|k| < h + 1, k in cycles per box.

    Attributes:
        box_px: map side D.
        cross: (H,) sum of Re(A B*).
        power_a, power_b: (H,) sums of |A|² and |B|².
    """

    box_px: int
    cross: NDArray[np.float64]
    power_a: NDArray[np.float64]
    power_b: NDArray[np.float64]

    def standard(self) -> FscCurve:
        """Return frequency (cycles/px) and FSC in shells round(|k|) = 1 … D/2, 0 where a map has no power."""
        shells = np.arange(1, self.box_px // 2 + 1)
        return shells / self.box_px, self._correlation(2 * shells - 1, where_empty=0.0)

    def cryobench(self) -> FscCurve:
        """Return frequency (cycles/px) and FSC as CryoBench bins it.

        Bin i at frequency i/D holds i - 1 <= |k| < i for i = 1 … D/2 - 1 (bin 1 is the mean of the map);
        bin 0 is 1 by definition, and so is every bin where a map has no power.
        """
        bins = np.arange(self.box_px // 2)
        correlation = self._correlation(2 * bins[1:] - 2, where_empty=1.0)
        return bins / self.box_px, np.concatenate([[1.0], correlation])

    def _correlation(self, first: NDArray[np.int64], where_empty: float) -> NDArray[np.float64]:
        cross, power_a, power_b = (s[first] + s[first + 1] for s in (self.cross, self.power_a, self.power_b))
        norm = np.sqrt(power_a * power_b)
        empty = np.full(len(first), where_empty)
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
    spectrum_a, spectrum_b = _spectrum(a, mask), _spectrum(b, mask)
    plane, half_shell_of = _half_shells(box_px)
    # a real map has equal power at k and -k; the half space stores the columns kx = 0 and D/2 whole
    weight = np.full(box_px // 2 + 1, 2.0)
    weight[[0, -1]] = 1
    sums = np.zeros((3, half_shell_of[-1] + 1))
    for z in range(box_px):
        kz = min(z, box_px - z)
        index = half_shell_of[plane + kz * kz].ravel()
        here_a, here_b = spectrum_a[z], spectrum_b[z]
        products = (
            here_a.real * here_b.real + here_a.imag * here_b.imag,
            here_a.real**2 + here_a.imag**2,
            here_b.real**2 + here_b.imag**2,
        )
        for total, product in zip(sums, products, strict=True):
            total += np.bincount(index, weights=(product * weight).ravel(), minlength=len(total))
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


def _spectrum(volume: NDArray[np.float32], mask: NDArray[np.float32] | None) -> NDArray[np.complex128]:
    masked = volume if mask is None else np.multiply(volume, mask, dtype=np.float32)
    # in single precision the FSC is wrong by several 1e-6 in the faint outer shells of smooth maps
    return np.asarray(scipy.fft.rfftn(masked.astype(np.float64), overwrite_x=True))


@lru_cache(maxsize=4)
def _half_shells(box_px: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return kx² + ky² of a half plane, and the half shell floor(2|k|) for every possible |k|²."""
    k = np.arange(box_px)
    k = np.minimum(k, box_px - k)
    plane = k[:, None] ** 2 + k[None, : box_px // 2 + 1] ** 2
    squared = np.arange(3 * (box_px // 2) ** 2 + 1)
    # 2|k| is never so near an integer, without being one, that the double-precision root could mislead
    return plane, np.floor(np.sqrt(4.0 * squared)).astype(np.int64)
