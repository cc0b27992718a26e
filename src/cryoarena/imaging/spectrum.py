"""Half-plane image spectra: the layout in which images are simulated.

A spectrum is (…, D, D//2 + 1) complex64, rows ky in FFT order, columns kx = 0 … D//2, of an image whose origin
is pixel D//2: F(k) = Σ_x image(x) exp(-2πi k·(x - D//2) / D). The Nyquist row and column are zero, so that a
spectrum always belongs to a real image and may be cropped.
"""

import numpy as np
import scipy.fft
from numpy.typing import NDArray


def frequencies(box_px: int, pixel_size_A: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the x and y frequencies (1/Å) of a spectrum, each (D, D//2 + 1) float32."""
    x = np.fft.rfftfreq(box_px, pixel_size_A)
    y = np.fft.fftfreq(box_px, pixel_size_A)
    grid_x, grid_y = np.meshgrid(x, y)
    return grid_x.astype(np.float32), grid_y.astype(np.float32)


def origin_phase(box_px: int) -> NDArray[np.float32]:
    """Return (-1)^(kx + ky): the factor between origins at pixel D//2 and at pixel 0; (D, D//2 + 1)."""
    sign_x = 1.0 - 2.0 * (np.arange(box_px // 2 + 1) % 2)
    sign_y = 1.0 - 2.0 * (np.arange(box_px) % 2)
    return np.asarray(sign_y[:, None] * sign_x, np.float32)


def to_images(spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Turn spectra into real images (…, D, D)."""
    box_px = spectra.shape[-2]
    images = scipy.fft.irfft2(spectra * origin_phase(box_px), s=(box_px, box_px))
    return np.asarray(images, np.float32)


def crop(spectra: NDArray[np.complex64], box_px: int) -> NDArray[np.complex64]:
    """Fourier-crop spectra to a smaller box, so that the real-space values keep their scale."""
    full = spectra.shape[-2]
    half = box_px // 2
    kept = np.zeros((*spectra.shape[:-2], box_px, half + 1), spectra.dtype)
    kept[..., :half, :half] = spectra[..., :half, :half]
    kept[..., half + 1 :, :half] = spectra[..., full - half + 1 :, :half]
    return np.asarray(kept * np.float32((box_px / full) ** 2), spectra.dtype)


def sum_of_squares(spectra: NDArray[np.complex64]) -> NDArray[np.float64]:
    """Return Σ image² over the pixels of each image, by Parseval's theorem; shape without the last two axes."""
    power = np.square(spectra.real, dtype=np.float64) + np.square(spectra.imag, dtype=np.float64)
    column_weight = np.full(spectra.shape[-1], 2.0)
    column_weight[0] = 1.0
    return np.asarray((power.sum(axis=-2) @ column_weight) / spectra.shape[-2] ** 2)
