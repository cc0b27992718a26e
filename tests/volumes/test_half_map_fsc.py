"""The FSC of half-maps with a known spectral signal-to-noise ratio, and of noise alone inside a mask."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cryoarena.volumes.half_map_fsc import half_map_fsc
from cryoarena.volumes.slicing import as_volume, soft_sphere

BOX_PX, PIXEL_A = 48, 2.0


def noise(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((BOX_PX,) * 3, np.float32)


def low_passed(volume: NDArray[np.float32], shell: int) -> NDArray[np.float32]:
    k = np.fft.fftfreq(BOX_PX, 1 / BOX_PX)
    length = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k**2)
    return np.fft.ifftn(np.fft.fftn(volume) * (length < shell + 0.5)).real.astype(np.float32)


def sphere(radius_px: float, edge_px: float) -> NDArray[np.float32]:
    return as_volume(soft_sphere(BOX_PX, radius_px, edge_px, torch.device("cpu")))


def test_the_resolution_is_where_the_signal_ends() -> None:
    signal = low_passed(noise(0), shell=12) * sphere(6, 14)
    found = half_map_fsc(signal + 0.2 * noise(1), signal + 0.2 * noise(2), sphere(17, 4), PIXEL_A)
    assert found.resolution_A == pytest.approx(BOX_PX * PIXEL_A / 12.5, rel=0.15)
    np.testing.assert_allclose(found.frequency_per_A, np.arange(1, 25) / (BOX_PX * PIXEL_A))


def test_a_tight_mask_does_not_pass_for_signal() -> None:
    # Strong signal at low frequency and none beyond shell 8; a sharp mask carries the former to the latter.
    signal = 20 * low_passed(noise(0), shell=8)
    tight = sphere(5, 0.5)
    found = half_map_fsc(signal + noise(1), signal + noise(2), tight, PIXEL_A)
    beyond = slice(13, None)
    assert np.abs(found.unmasked[beyond]).max() < 0.15
    assert found.masked[beyond].mean() > 0.5
    assert found.corrected[beyond].mean() < 0.5 * found.masked[beyond].mean()


def test_equal_maps_are_resolved_to_the_last_shell_and_noise_nowhere() -> None:
    whole = np.ones((BOX_PX,) * 3, np.float32)
    assert half_map_fsc(noise(0), noise(0), whole, PIXEL_A).resolution_A == pytest.approx(2 * PIXEL_A)
    assert half_map_fsc(noise(0), noise(1), whole, PIXEL_A).resolution_A > 20
    assert half_map_fsc(0 * noise(0), noise(1), whole, PIXEL_A).resolution_A == pytest.approx(BOX_PX * PIXEL_A)
