"""Local resolution of half-maps whose two sides are known to different resolutions."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cryoarena.volumes.local_resolution import local_resolution

BOX_PX, PIXEL_A = 64, 1.5
EVERYWHERE = np.ones((BOX_PX,) * 3, np.float32)


def noise(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((BOX_PX,) * 3, np.float32)


def low_passed(volume: NDArray[np.float32], resolution_A: float) -> NDArray[np.float32]:
    k = np.fft.fftfreq(BOX_PX, PIXEL_A)
    frequency_per_A = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k**2)
    return np.fft.ifftn(np.fft.fftn(volume) * (frequency_per_A < 1 / resolution_A)).real.astype(np.float32)


def test_each_side_has_its_own_resolution() -> None:
    sharp, blurred = low_passed(noise(0), 5.0), low_passed(noise(0), 9.0)
    left = np.arange(BOX_PX) < BOX_PX // 2
    signal = np.where(left, sharp, blurred)
    a, b = (signal + 0.5 * noise(seed) for seed in (1, 2))
    found = local_resolution(a, b, EVERYWHERE, PIXEL_A)
    inner = slice(16, 48)
    assert np.median(found[inner, inner, 10:24]) == pytest.approx(5.0, rel=0.2)
    assert np.median(found[inner, inner, 42:56]) == pytest.approx(9.0, rel=0.2)
    assert found.shape == a.shape
    assert found.min() >= 2 * PIXEL_A


def test_it_turns_with_the_map() -> None:
    # Resolved along x only: frequencies along x and those across it must count alike.
    signal = low_passed(noise(0), 5.0)
    k = np.fft.fftfreq(BOX_PX)
    signal = np.fft.ifftn(np.fft.fftn(signal) * (np.abs(k)[:, None, None] < 0.1)).real.astype(np.float32)
    a, b = (signal + 0.3 * signal.std() * noise(seed) for seed in (1, 2))
    found = local_resolution(a, b, EVERYWHERE, PIXEL_A)
    turned = local_resolution(a.T.copy(), b.T.copy(), EVERYWHERE, PIXEL_A)
    np.testing.assert_allclose(turned, found.T, rtol=1e-3)


def test_it_does_not_depend_on_the_scale_of_a_map() -> None:
    signal = low_passed(noise(0), 6.0)
    a, b = (signal + 0.1 * noise(seed) for seed in (1, 2))
    mask = np.zeros_like(EVERYWHERE)
    mask[20:44, 20:44, 20:44] = 1
    np.testing.assert_allclose(
        local_resolution(a, 7 * b, mask, PIXEL_A), local_resolution(a, b, mask, PIXEL_A), rtol=1e-3
    )


def test_nothing_is_resolved_where_half_maps_are_noise_or_empty() -> None:
    worst_A = 12 * PIXEL_A
    assert np.median(local_resolution(noise(0), noise(1), EVERYWHERE, PIXEL_A)) > 0.8 * worst_A
    empty = 0 * EVERYWHERE
    np.testing.assert_array_equal(local_resolution(empty, empty, EVERYWHERE, PIXEL_A), worst_A)
    np.testing.assert_array_equal(local_resolution(noise(0), noise(1), empty, PIXEL_A), worst_A)
