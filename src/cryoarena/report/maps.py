"""Small helpers on maps: shrink, project, find the level that encloses the molecule."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

TRUTH_LEVEL = 0.25  # of the 99.9th percentile: just inside the steep edge of a density map


def shrink(volume: NDArray[np.float32], size_px: int) -> tuple[NDArray[np.float32], float]:
    """Reduce a map so that no side exceeds `size_px`.

    Returns:
        the map and how many old voxels one new voxel spans.
    """
    factor = max(volume.shape) / size_px
    if factor <= 1:
        return volume, 1.0
    smooth = ndimage.gaussian_filter(volume, 0.42 * factor)
    shape = tuple(max(1, round(side / factor)) for side in volume.shape)
    # New voxel i samples old coordinate i·factor: the corner voxel stays where it is.
    small = ndimage.affine_transform(smooth, np.full(3, factor), output_shape=shape, order=1, mode="nearest")
    return np.asarray(small, np.float32), factor


def project(
    volume: NDArray[np.float32], rotation_object_to_image: NDArray[np.float64], shift_px: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Project a map along the beam: image(x, y) = ∫ V(Rᵀ(p − shift)) dz, trilinear; good enough to look at.

    Args:
        volume: (D, D, D) [z, y, x], origin at voxel D // 2.
        rotation_object_to_image: (3, 3), active.
        shift_px: (x, y) displacement of the object in the image, voxels.

    Returns:
        (D, D) [y, x].
    """
    origin = np.asarray([side // 2 for side in volume.shape], np.float64)
    to_object = rotation_object_to_image.T[::-1, ::-1]  # the same map on (z, y, x)
    displacement = np.asarray([0.0, shift_px[1], shift_px[0]])
    offset = origin - to_object @ (origin + displacement)
    turned = ndimage.affine_transform(volume, to_object, offset, order=1)
    return np.asarray(turned.sum(axis=0), np.float32)


def truth_level(volume: NDArray[np.float32]) -> float:
    """Return the density at which the surface of a noise-free map is drawn."""
    return float(TRUTH_LEVEL * np.percentile(volume, 99.9))


def enclosing_level(volume: NDArray[np.float32], n_voxels: int) -> float:
    """Return the density above which `n_voxels` voxels lie: maps on any scale then show equal volumes."""
    n_voxels = min(max(n_voxels, 1), volume.size)
    return float(np.partition(volume, volume.size - n_voxels, axis=None)[volume.size - n_voxels])


def low_pass(image: NDArray[np.float32], pixel_size_A: float, resolution_A: float) -> NDArray[np.float32]:
    """Apply a Gaussian low-pass filter that falls to 1/e at 1 / `resolution_A`; image (D, D)."""
    fy = np.fft.fftfreq(image.shape[0], pixel_size_A)[:, None]
    fx = np.fft.rfftfreq(image.shape[1], pixel_size_A)[None, :]
    damping = np.exp(-(fx**2 + fy**2) * resolution_A**2)
    filtered = np.fft.irfft2(np.fft.rfft2(image) * damping, s=image.shape)
    return np.asarray(filtered, np.float32)
