"""Change the box of maps and images in Fourier space."""

import numpy as np
import scipy.fft
from numpy.typing import NDArray


def fourier_crop_volume(volume: NDArray[np.float32], box_px: int) -> NDArray[np.float32]:
    """Downsample a map (D, D, D) to (box_px,)*3 by keeping its low frequencies.

    Densities keep their values (the mean is unchanged), the origin moves from voxel D//2 to box_px//2,
    and the pixel size grows by D / box_px.

    Raises:
        ValueError: when a box is odd, or box_px > D.
    """
    return _fourier_crop(volume, box_px, (-3, -2, -1))


def fourier_crop_image(images: NDArray[np.float32], box_px: int) -> NDArray[np.float32]:
    """Downsample images (..., D, D) to (..., box_px, box_px) by keeping their low frequencies.

    Values are kept (the mean is unchanged) and the origin moves from pixel D//2 to box_px//2. White noise of
    standard deviation 1 keeps only box_px / D of it.

    Raises:
        ValueError: when a box is odd, or box_px > D.
    """
    return _fourier_crop(images, box_px, (-2, -1))


def fourier_resize_volume(volume: NDArray[np.float32], box_px: int) -> NDArray[np.float32]:
    """Bring a map (D, D, D) to (box_px,)*3: cropped, or padded with zeros, in Fourier space.

    Padding draws the trigonometric polynomial through the voxels on a finer grid; it adds no detail. Otherwise as
    `fourier_crop_volume`.

    Raises:
        ValueError: when a box is odd.
    """
    old_px = len(volume)
    if box_px <= old_px:
        return fourier_crop_volume(volume, box_px)
    if box_px % 2 or old_px % 2:
        raise ValueError(f"cannot pad box {old_px} to {box_px}: both must be even")
    spectrum = np.zeros((box_px,) * 3, np.complex128)
    kept = np.r_[0 : old_px // 2, box_px - old_px // 2 : box_px]
    spectrum[np.ix_(kept, kept, kept)] = scipy.fft.fftn(volume)
    return np.ascontiguousarray(scipy.fft.ifftn(spectrum).real * (box_px / old_px) ** 3, dtype=np.float32)


def _fourier_crop(array: NDArray[np.float32], box_px: int, axes: tuple[int, ...]) -> NDArray[np.float32]:
    old_px = array.shape[-1]
    if box_px % 2 or old_px % 2 or not 0 < box_px <= old_px:
        raise ValueError(f"cannot crop box {old_px} to {box_px}: both must be even and the new one not larger")
    if box_px == old_px:
        return np.array(array, dtype=np.float32)
    spectrum = scipy.fft.fftn(array, axes=axes)
    # the origin D//2 is the phase (-1)^k in either box, so that no phase needs to change
    kept = np.r_[0 : box_px // 2, old_px - box_px // 2 : old_px]
    for axis in axes:
        spectrum = np.take(spectrum, kept, axis=axis)
    scale = (box_px / old_px) ** len(axes)
    return np.ascontiguousarray(scipy.fft.ifftn(spectrum, axes=axes).real * scale, dtype=np.float32)
