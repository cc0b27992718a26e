"""Bring a map onto a reference: the rotation, the shift and the hand of greatest correlation.

All rotations of a grid are tried at low resolution, every shift at once by FFT; the best are refined by
Levenberg-Marquardt on the Fourier coefficients at rising resolution. For a reference free of noise and white noise
in the map, the greatest correlation is the likeliest alignment. A map is never interpolated but by `resample`.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from cryoarena.volumes.filters import fourier_crop_volume
from cryoarena.volumes.resample import move, spectra_at
from cryoarena.volumes.rotation_grid import rotation_grid

_SEARCH_RADIUS = 8
_SEARCH_BOX_PX = 24
_ROTATIONS = 2304
_ROTATIONS_AT_ONCE = 256
# (radius in cycles per box, candidates kept of either hand, steps); a radius is cut to what the map has
_STAGES = ((_SEARCH_RADIUS, 6, 8), (16, 3, 8), (32, 1, 16))
_DISTINCT_DEG = 12.0
# of the correlation
_CONVERGED = 1e-6
_PRECISION = 1e-4


@dataclass(frozen=True)
class Alignment:
    """How a map was brought onto a reference.

    Density at p (Å from the origin, voxel D//2) of the map goes to R p + t, or to R (-p) + t where it is mirrored.

    Attributes:
        rotation: (3, 3) active R.
        shift_A: (3,) t as x, y, z.
        mirrored: whether the map has the other hand, and was inverted through its origin first.
        correlation: with the reference, of the Fourier coefficients up to 32 cycles per box, the mean left out.
        aligned: (D, D, D) the map moved onto the reference, from its own voxels in one step.
    """

    rotation: NDArray[np.float64]
    shift_A: NDArray[np.float64]
    mirrored: bool
    correlation: float
    aligned: NDArray[np.float32]


@dataclass(frozen=True)
class _Band:
    """What the two maps have within a radius of Fourier space.

    Attributes:
        box_px: side S of the box that the maps were cropped to.
        k: (P, 3) int, one of every pair ±k, in cycles per box.
        moments: (4, S, S, S) the reference, and x, y and z times it: they transform into its spectrum and the gradient.
        target: (P,) coefficients of the map, of unit norm.
    """

    box_px: int
    k: NDArray[np.int64]
    moments: NDArray[np.float64]
    target: NDArray[np.complex128]


@dataclass(frozen=True)
class _Candidates:
    """n ways to bring the reference onto the map, or onto the mirrored map.

    The reference moves, because it is clean: noise in what moves would enter the derivatives.

    Attributes:
        rotation: (n, 3, 3) active.
        shift: (n, 3) x, y, z as a fraction of the box.
        mirrored: (n,).
        correlation: (n,).
    """

    rotation: NDArray[np.float64]
    shift: NDArray[np.float64]
    mirrored: NDArray[np.bool_]
    correlation: NDArray[np.float64]

    def __getitem__(self, index: NDArray[np.int64]) -> "_Candidates":
        return _Candidates(self.rotation[index], self.shift[index], self.mirrored[index], self.correlation[index])


def align(
    volume: NDArray[np.float32], reference: NDArray[np.float32], pixel_size_A: float, hand: bool = True
) -> Alignment:
    """Find how to turn, shift and, if need be, mirror a map so that it matches a reference best.

    A symmetric map has several equally good answers, of which one is given.

    Args:
        volume: (D, D, D) to be moved.
        reference: (D, D, D).
        pixel_size_A: of both.
        hand: try the mirrored map too.

    Raises:
        ValueError: when the maps are not cubes of one even side of at least 8, hold NaN, or are constant.
    """
    _check(volume, reference)
    last_radius = len(volume) // 2 - 1
    candidates = _search(_band(volume, reference, min(_SEARCH_RADIUS, last_radius)), hand)
    for radius, kept, steps in _STAGES:
        band = _band(volume, reference, min(radius, last_radius))
        candidates = _refined(band, _best(candidates, kept), steps)
    best = int(np.argmax(candidates.correlation))
    mirrored = bool(candidates.mirrored[best])
    rotation = candidates.rotation[best].T
    shift_px = -rotation @ candidates.shift[best] * len(volume)
    aligned = move(volume, rotation, shift_px, mirrored)
    return Alignment(rotation, shift_px * pixel_size_A, mirrored, float(candidates.correlation[best]), aligned)


def _check(volume: NDArray[np.float32], reference: NDArray[np.float32]) -> None:
    box_px = len(volume)
    for array in (volume, reference):
        if array.shape != (box_px,) * 3 or box_px % 2 or box_px < 8:
            raise ValueError(f"alignment needs cubes of one even side >= 8, not {volume.shape} and {reference.shape}")
        if not np.isfinite(array).all() or np.ptp(array) == 0:
            raise ValueError("a map that holds NaN or is constant cannot be aligned")


def _band(volume: NDArray[np.float32], reference: NDArray[np.float32], radius: int) -> _Band:
    box_px = min(2 * radius + 4, len(volume))
    small = fourier_crop_volume(reference, box_px).astype(np.float64)
    axis = np.arange(-radius, radius + 1)
    z, y, x = np.meshgrid(axis, axis, axis[radius:], indexing="ij")
    k = np.stack([x, y, z], axis=-1)
    first = (x > 0) | (y > 0) | ((y == 0) & (z > 0))
    k = k[((k**2).sum(-1) <= radius**2) & first]
    offset = np.arange(box_px) - box_px // 2
    moments = np.stack([small, small * offset, small * offset[:, None], small * offset[:, None, None]])
    spectrum = scipy.fft.rfftn(fourier_crop_volume(volume, box_px).astype(np.float64))
    coefficients = spectrum[k[:, 2], k[:, 1], k[:, 0]] * (1 - 2 * (k.sum(1) % 2))
    return _Band(box_px, k, moments, coefficients / np.linalg.norm(coefficients))


def _search(band: _Band, hand: bool) -> _Candidates:
    """Score every rotation of the grid at its best shift, for either hand."""
    grid = rotation_grid(_ROTATIONS)
    found = []
    for start in range(0, len(grid), _ROTATIONS_AT_ONCE):
        rotations = grid[start : start + _ROTATIONS_AT_ONCE]
        values = spectra_at(band.moments[:1], band.k @ rotations, 1e-3)[0]
        values /= np.linalg.norm(values, axis=1, keepdims=True)
        for mirrored in (False, True) if hand else (False,):
            target = band.target.conj() if mirrored else band.target
            shift, correlation = _best_shift(band.k, values.conj() * target)
            found.append(_Candidates(rotations, shift, np.full(len(rotations), mirrored), correlation))
    return _Candidates(
        *(
            np.concatenate([getattr(f, name) for f in found])
            for name in ("rotation", "shift", "mirrored", "correlation")
        )
    )


def _best_shift(
    k: NDArray[np.int64], products: NDArray[np.complex128]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shift (n, 3), as a fraction of the box, and the correlation at the peak over all shifts.

    Args:
        k: (P, 3).
        products: (n, P) conjugated coefficients of the moving map, times those of the other.
    """
    side = _SEARCH_BOX_PX
    spectrum = np.zeros((len(products), side, side, side // 2 + 1), np.complex64)
    x, y, z = k.T
    spectrum[:, z, y, x] = products
    on_plane = x == 0
    spectrum[:, -z[on_plane], -y[on_plane], 0] = products[:, on_plane].conj()
    maps = scipy.fft.irfftn(spectrum, s=(side,) * 3, axes=(1, 2, 3), overwrite_x=True).reshape(len(products), -1)
    peak = maps.argmax(axis=1)
    z, y, x = np.unravel_index(peak, (side,) * 3)
    shift = (np.stack([x, y, z], axis=1) + side // 2) % side - side // 2
    # each coefficient stands for itself and for its conjugate
    return shift / side, maps[np.arange(len(peak)), peak] * (side**3 / 2)


def _best(candidates: _Candidates, kept: int) -> _Candidates:
    """Return the best candidates of either hand that differ in rotation."""
    chosen: list[int] = []
    for hand in np.unique(candidates.mirrored):
        of_hand: list[int] = []
        for index in np.argsort(-candidates.correlation):
            if candidates.mirrored[index] != hand:
                continue
            others = candidates.rotation[of_hand]
            cosine = (np.einsum("nij,ij->n", others, candidates.rotation[index]) - 1) / 2
            if (cosine < np.cos(np.deg2rad(_DISTINCT_DEG))).all():
                of_hand.append(int(index))
            if len(of_hand) == kept:
                break
        chosen += of_hand
    return candidates[np.array(chosen)]


def _refined(band: _Band, start: _Candidates, steps: int) -> _Candidates:
    """Minimise |map - scale · moved reference|² over rotation, shift and scale by Levenberg-Marquardt, all at once."""
    rotation, shift = start.rotation, start.shift
    damping = np.full(len(rotation), 1e-2)
    hessian, gradient, correlation = _normal_equations(band, rotation, shift, start.mirrored)
    for _ in range(steps):
        diagonal = np.einsum("nii->ni", hessian)
        damped = hessian + np.einsum(
            "ni,ij->nij", damping[:, None] * diagonal + 1e-9 * diagonal.max(1)[:, None], np.eye(7)
        )
        step = np.linalg.solve(damped, gradient[..., None])[..., 0]
        trial_rotation = Rotation.from_rotvec(step[:, :3]).as_matrix() @ rotation
        trial_shift = shift + step[:, 3:6]
        trial = _normal_equations(band, trial_rotation, trial_shift, start.mirrored)
        better = trial[2] > correlation
        rotation = np.where(better[:, None, None], trial_rotation, rotation)
        shift = np.where(better[:, None], trial_shift, shift)
        hessian = np.where(better[:, None, None], trial[0], hessian)
        gradient = np.where(better[:, None], trial[1], gradient)
        gain = np.abs(trial[2] - correlation)
        correlation = np.where(better, trial[2], correlation)
        damping = np.where(better, damping / 10, damping * 10)
        if gain.max() < _CONVERGED:
            break
    return _Candidates(rotation, shift, start.mirrored, correlation)


def _normal_equations(
    band: _Band, rotation: NDArray[np.float64], shift: NDArray[np.float64], mirrored: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return JᵀJ (n, 7, 7), Jᵀr (n, 7) and the correlation (n,); parameters: rotation vector, shift, scale."""
    values, *moments = spectra_at(band.moments, band.k @ rotation, _PRECISION)
    # the gradient of F(q) is that of the map times -2πi x / S
    slope = np.stack(moments, axis=-1) * (-2j * np.pi / band.box_px)
    target = np.where(mirrored[:, None], band.target.conj(), band.target)
    phase = np.exp(-2j * np.pi * (shift @ band.k.T))
    values = values * phase
    # F(Rᵀk) after a further turn by ω changes by -ω · (k x R ∇F)
    turned = np.einsum("nij,npj->npi", rotation, slope * phase[..., None])
    by_rotation = -np.cross(band.k, turned)
    by_shift = -2j * np.pi * band.k * values[..., None]
    power = np.square(np.abs(values)).sum(1)
    cross = (values.conj() * target).real.sum(1)
    scale = (cross / power)[:, None, None]
    jacobian = np.concatenate([by_rotation * scale, by_shift * scale, values[..., None]], axis=-1)
    residual = target - scale[..., 0] * values
    real = np.concatenate([jacobian.real, jacobian.imag], axis=1)
    hessian = np.swapaxes(real, 1, 2) @ real
    gradient = np.einsum("npj,np->nj", real, np.concatenate([residual.real, residual.imag], axis=1))
    return hessian, gradient, cross / np.sqrt(power)
