"""Evaluate and move maps exactly: trigonometric interpolation by non-uniform FFT.

A map is read as the trigonometric polynomial through its voxels, so that nothing is smoothed. Transforms:
finufft (Barnett, Magland & af Klinteberg 2019, doi:10.1137/18M120885X).
"""

import finufft
import numpy as np
import scipy.fft
from numpy.typing import NDArray

_EXACT = 1e-6


def spectra_at(
    volumes: NDArray[np.floating] | NDArray[np.complexfloating], k: NDArray[np.floating], precision: float = _EXACT
) -> NDArray[np.complex128]:
    """Return Σ_x v(x) exp(-2πi k·(x - D//2) / D) of maps at any points.

    Args:
        volumes: (M, D, D, D) [z, y, x].
        k: (..., 3) x, y, z in cycles per box, each within ±D/2.
        precision: relative; above 1e-5 the transform is done in single precision.

    Returns:
        (M, ...).
    """
    box_px = volumes.shape[-1]
    dtype = np.complex64 if precision > 1e-5 else np.complex128
    radians = np.asarray(k, dtype(0).real.dtype).reshape(-1, 3) * (2 * np.pi / box_px)
    x, y, z = (np.ascontiguousarray(radians[:, axis]) for axis in range(3))
    coefficients = np.ascontiguousarray(volumes, dtype)
    # one thread: equal maps give equal bits everywhere
    values = finufft.nufft3d2(z, y, x, coefficients, eps=precision, isign=-1, upsampfac=1.25, nthreads=1)
    return np.asarray(values).reshape((len(volumes), *k.shape[:-1]))


def move(
    volume: NDArray[np.float32], rotation: NDArray[np.float64], shift_px: NDArray[np.float64], mirrored: bool = False
) -> NDArray[np.float32]:
    """Mirror, turn and shift a map: density at p (from the origin, voxel D//2) goes to R p + t, or R (-p) + t.

    Coefficients whose origin lies beyond the map's own band are 0, and so are the Nyquist planes.

    Args:
        volume: (D, D, D) [z, y, x].
        rotation: (3, 3) R, active.
        shift_px: (3,) t as x, y, z.
        mirrored: invert the map through its origin first (p to -p), which changes its hand.

    Returns:
        (D, D, D).
    """
    box_px = len(volume)
    half = box_px // 2
    axis = np.arange(-half + 1, half)
    z, y, x = np.meshgrid(axis, axis, axis[half - 1 :], indexing="ij")
    k = np.stack([x, y, z], axis=-1)
    origin = k @ rotation
    known = (np.abs(origin) < half).all(axis=-1)
    values = np.zeros(k.shape[:-1], np.complex128)
    values[known] = spectra_at(volume[None], origin[known])[0]
    if mirrored:
        values = values.conj()
    # (-1)^k brings the origin from voxel D//2 to voxel 0, where the FFT has it
    values *= np.exp(-2j * np.pi / box_px * (k @ (shift_px + half)))
    spectrum = np.zeros((box_px, box_px, half + 1), np.complex128)
    spectrum[np.ix_(axis, axis, axis[half - 1 :])] = values
    return scipy.fft.irfftn(spectrum, s=(box_px,) * 3, overwrite_x=True).astype(np.float32)
