"""A mask around a particle, from two half-maps of all images: the solvent is where they have nothing in common."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label
from torch import Tensor

from cryoarena.volumes.fsc import fsc
from cryoarena.volumes.mask import soft_mask
from cryoarena.volumes.slicing import as_volume, soft_sphere

_LOWEST_FSC = 0.143
# Lengths as fractions of the box, which is a fixed multiple of the particle in practice.
_SMOOTHING, _DILATION, _SOFT_EDGE = 1 / 48, 0.08, 0.06
_SPHERE_RADIUS = 0.42
# of the covariance within the particle: what moves is smeared over many places, and much fainter
_FAINTEST = 0.005
_NOISE_DEVIATIONS = 4.0
_SMALLEST_PART = 0.05
# A particle fills more of its box than the first, and less than the second.
_LEAST_FILLED, _MOST_FILLED = 1e-3, 0.5


def solvent_mask(half_a: Tensor, half_b: Tensor) -> Tensor:
    """Return a soft mask (D, D, D) that holds the particle in all its conformations.

    The half-maps are filtered by their FSC, up to where it first falls below 0.143; their local covariance is the
    signal power, without bias by noise. The particle is where it exceeds both half a percent of that within the
    particle and four standard deviations of what noise makes of it (known from the negative values); small islands
    are left out. That region is grown by 8 % of the box and falls off over another 6 %.

    Where the half-maps have nothing in common it is a soft sphere.

    Args:
        half_a, half_b: (D, D, D) maps of two halves of the images, not masked.
    """
    a, b = as_volume(half_a), as_volume(half_b)
    box_px = len(a)
    sphere = soft_sphere(box_px, _SPHERE_RADIUS * box_px, _SOFT_EDGE * box_px, half_a.device)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return sphere
    particle = _particle(a, b, as_volume(sphere))
    if not _LEAST_FILLED < particle.mean() < _MOST_FILLED:
        return sphere
    mask = soft_mask(particle, _DILATION * box_px, _SOFT_EDGE * box_px, pixel_size_A=1)
    return torch.from_numpy(mask).to(half_a.device)


def _particle(a: NDArray[np.float32], b: NDArray[np.float32], sphere: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the region (D, D, D) where half-maps have power in common."""
    box_px = len(a)
    _, correlation = fsc(a, b, sphere)
    below = np.flatnonzero(correlation < _LOWEST_FSC)
    if below.size:
        correlation[below[0] :] = 0
    a, b = (_weighted(half, 2 * correlation / (1 + correlation)) for half in (a, b))
    common = gaussian_filter(a * b, _SMOOTHING * box_px)
    noise = np.sqrt(np.mean(common[common < 0] ** 2)) if (common < 0).any() else 0.0
    region = common > max(_NOISE_DEVIATIONS * noise, _FAINTEST * np.quantile(common, 0.999))
    islands, _ = label(region)
    sizes = np.bincount(islands.ravel())
    sizes[0] = 0
    return np.asarray(sizes[islands] > _SMALLEST_PART * sizes.max())


def _weighted(volume: NDArray[np.float32], weight: NDArray[np.float64]) -> NDArray[np.float32]:
    """Multiply a map by a weight (D/2,) of its shells 1 … D/2; the mean takes that of the first, corners nothing."""
    box_px = len(volume)
    k = np.fft.fftfreq(box_px, 1 / box_px)
    length = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + np.arange(box_px // 2 + 1) ** 2)
    of_shell = np.concatenate([weight[:1], weight, [0.0]])
    filtered = np.fft.rfftn(volume) * of_shell[np.minimum(np.round(length).astype(int), box_px // 2 + 1)]
    return np.fft.irfftn(filtered, s=volume.shape, axes=(0, 1, 2)).astype(np.float32)
