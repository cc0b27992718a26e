"""Fourier cropping and padding."""

import numpy as np
import pytest

from cryoarena.volumes.filters import fourier_crop_image, fourier_crop_volume, fourier_resize_volume


def _gaussian(box_px: int, pixel_size_A: float, sigma_A: float, center_A: tuple[float, ...]) -> np.ndarray:
    axis = (np.arange(box_px) - box_px // 2) * pixel_size_A
    grids = np.meshgrid(*[axis] * len(center_A), indexing="ij")
    squared = sum((grid - c) ** 2 for grid, c in zip(grids, center_A, strict=True))
    return np.exp(-squared / (2 * sigma_A**2)).astype(np.float32)


def test_cropped_map_is_the_same_density_on_the_coarse_grid():
    fine = _gaussian(48, 1.5, 5.0, (4.0, -7.0, 2.5))
    coarse = _gaussian(24, 3.0, 5.0, (4.0, -7.0, 2.5))
    np.testing.assert_allclose(fourier_crop_volume(fine, 24), coarse, atol=2e-5)


def test_cropped_images_are_the_same_density_on_the_coarse_grid():
    fine = np.stack([_gaussian(48, 1.5, 5.0, c) for c in ((4.0, -7.0), (0.0, 1.0))])
    coarse = np.stack([_gaussian(24, 3.0, 5.0, c) for c in ((4.0, -7.0), (0.0, 1.0))])
    np.testing.assert_allclose(fourier_crop_image(fine, 24), coarse, atol=2e-5)


def test_white_noise_loses_what_lies_outside_the_band():
    noise = np.random.default_rng(0).normal(size=(50, 64, 64)).astype(np.float32)
    assert fourier_crop_image(noise, 32).std() == pytest.approx(0.5, rel=0.02)
    assert fourier_crop_image(noise, 32).mean() == pytest.approx(noise.mean(), abs=1e-6)


def test_same_box_is_a_copy_and_bad_boxes_are_refused():
    volume = np.random.default_rng(0).normal(size=(8, 8, 8)).astype(np.float32)
    copy = fourier_crop_volume(volume, 8)
    np.testing.assert_array_equal(copy, volume)
    assert copy is not volume
    for box_px in (10, 5, 0):
        with pytest.raises(ValueError, match="cannot crop"):
            fourier_crop_volume(volume, box_px)


def test_a_padded_map_is_the_same_density_on_the_fine_grid():
    fine = _gaussian(48, 1.5, 5.0, (4.0, -7.0, 2.5))
    coarse = _gaussian(24, 3.0, 5.0, (4.0, -7.0, 2.5))
    np.testing.assert_allclose(fourier_resize_volume(coarse, 48), fine, atol=2e-5)
    np.testing.assert_allclose(fourier_resize_volume(fine, 24), coarse, atol=2e-5)


def test_padding_keeps_the_voxels_it_is_drawn_through():
    volume = np.random.default_rng(0).normal(size=(8, 8, 8)).astype(np.float32)
    padded = fourier_resize_volume(volume, 16)
    # Every second voxel of the finer grid is a voxel of the coarse one; both have their origin in the middle.
    np.testing.assert_allclose(padded[::2, ::2, ::2], volume, atol=1e-5)
    with pytest.raises(ValueError, match="cannot pad"):
        fourier_resize_volume(volume, 11)
