"""Local resolution: where in a map two half-maps agree how far."""

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, map_coordinates

# A window holds few coefficients per shell, and what 0.143 asks of them would be decided by chance.
_LOCAL_FSC = 0.5
_WINDOW = 0.2
_SMALLEST_WINDOW_PX = 12
_STEPS_PER_WINDOW = 6
_WINDOWS_AT_ONCE = 64


def local_resolution(
    a: NDArray[np.float32], b: NDArray[np.float32], mask: NDArray[np.float32], pixel_size_A: float
) -> NDArray[np.float32]:
    """Return the resolution (Å) around each voxel: where the FSC of the two half-maps in a window falls below 0.5.

    The FSC is taken in soft spherical windows of a fifth of the box (at least 12 voxels) that move over the mask by a
    sixth of their side (Cardone, Heymann & Steven 2013, doi:10.1016/j.jsb.2013.08.002); values between are
    interpolated, those outside the mask are the nearest within.

    Args:
        a, b: (D, D, D) half-maps, not masked.
        mask: (D, D, D); windows are centred where it exceeds 0.5.
        pixel_size_A: of all three.

    Returns:
        (D, D, D) between two pixels and the side of a window; the latter all over where the mask is empty.
    """
    box_px = len(a)
    window_px = max(_SMALLEST_WINDOW_PX, 2 * round(_WINDOW * box_px / 2))
    step = max(1, window_px // _STEPS_PER_WINDOW)
    along = np.arange(step // 2, box_px, step)
    centres = np.stack(np.meshgrid(along, along, along, indexing="ij"), axis=-1)
    inside = mask[tuple(np.moveaxis(centres, -1, 0))] > 0.5
    if not inside.any():
        return np.full(a.shape, window_px * pixel_size_A, np.float32)
    resolution = np.empty(inside.shape)
    resolution[inside] = pixel_size_A / _resolved_frequency(a, b, centres[inside], window_px)
    nearest = distance_transform_edt(~inside, return_distances=False, return_indices=True)
    filled = resolution[tuple(nearest)]
    position = (np.indices(a.shape, dtype=np.float32) - along[0]) / step
    return np.asarray(map_coordinates(filled, position, order=1, mode="nearest"), np.float32)


def _resolved_frequency(
    a: NDArray[np.float32], b: NDArray[np.float32], centres: NDArray[np.int64], window_px: int
) -> NDArray[np.float64]:
    """Return the frequency (n,) in cycles/px where the FSC in windows around `centres` (n, 3) falls below 0.5."""
    half = window_px // 2
    offset = np.arange(window_px) - half
    distance = np.sqrt(offset[:, None, None] ** 2 + offset[:, None] ** 2 + offset**2)
    window = np.where(distance < half, 0.5 + 0.5 * np.cos(np.pi * distance / half), 0).astype(np.float32)
    k = np.fft.fftfreq(window_px, 1 / window_px)
    length = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + np.arange(half + 1) ** 2)
    shell = np.round(length).astype(int).ravel()
    order = np.argsort(shell, kind="stable")[: int((shell <= half).sum())]
    # Columns 0 and D/2 of a half transform hold both of a pair ±k, the others one of them.
    paired = np.full(length.shape, 2, np.float32)
    paired[:, :, [0, half]] = 1
    weight = paired.ravel()[order]
    first_of_shell = np.searchsorted(shell[order], np.arange(1, half + 1))
    views = [np.lib.stride_tricks.sliding_window_view(np.pad(volume, half), (window_px,) * 3) for volume in (a, b)]
    found = np.empty(len(centres))
    for start in range(0, len(centres), _WINDOWS_AT_ONCE):
        z, y, x = centres[start : start + _WINDOWS_AT_ONCE].T
        spectra = [scipy.fft.rfftn(view[z, y, x] * window, axes=(1, 2, 3)).reshape(len(z), -1) for view in views]
        s, t = (spectrum[:, order] for spectrum in spectra)
        cross, power_s, power_t = (
            np.add.reduceat(weight * product, first_of_shell, axis=1)
            for product in ((s * t.conj()).real, s.real**2 + s.imag**2, t.real**2 + t.imag**2)
        )
        correlation = cross / np.sqrt(np.maximum(power_s * power_t, 1e-30))
        found[start : start + len(z)] = _first_below(correlation) / window_px
    return found


def _first_below(correlation: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the shell (n,), linear between shells 1 … S, where curves (n, S) first fall below 0.5."""
    n, last = correlation.shape
    below = correlation < _LOCAL_FSC
    first = np.where(below.any(axis=1), below.argmax(axis=1), last)
    row = np.arange(n)
    high = correlation[row, np.clip(first - 1, 0, last - 1)]
    low = correlation[row, np.clip(first, 0, last - 1)]
    between = (first > 0) & (first < last)
    fraction = np.where(between, (high - _LOCAL_FSC) / np.where(between, high - low, 1), 0)
    # entry i of a curve is shell i + 1
    return np.asarray(np.clip(first + fraction, 1, last))
