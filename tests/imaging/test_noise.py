"""Noise: unit variance, the spectrum asked for, and the statistics of counted electrons."""

import numpy as np
import pytest

from cryoarena.errors import UserError
from cryoarena.imaging.noise import ColouredNoise, Noise, NoiseSpectrum, ShotNoise, WhiteNoise, carbon_spectrum


def noise_alone(noise: Noise, n: int = 200, box_px: int = 32) -> np.ndarray:
    return noise.add(np.zeros((n, box_px, box_px), np.float32), 1, np.random.default_rng(0))


def test_coloured_noise_has_its_spectrum_and_unit_variance() -> None:
    spectrum = carbon_spectrum()
    images = noise_alone(ColouredNoise(spectrum, 4.0))
    assert images.var() == pytest.approx(1.0, abs=0.02)
    power = np.square(np.abs(np.fft.fft2(images))).mean(axis=0) / 32**2
    frequency = np.fft.fftfreq(32, 4.0)
    radius = np.hypot(frequency[:, None], frequency)
    low, high = radius < 0.01, radius > 0.1
    expected = spectrum.at(radius)
    assert power[low].mean() / power[high].mean() == pytest.approx(
        expected[low].mean() / expected[high].mean(), rel=0.1
    )
    assert power[low].mean() > 4 * power[high].mean()


def test_a_flat_spectrum_is_white_noise() -> None:
    flat = ColouredNoise(NoiseSpectrum(np.array([0.0]), np.array([7.0])), 2.0)
    np.testing.assert_allclose(noise_alone(flat, 5), noise_alone(WhiteNoise(), 5), atol=1e-5)


@pytest.mark.parametrize("electrons", [3.0, 60.0])
def test_counts_have_the_variance_and_skewness_of_poisson(electrons: float) -> None:
    images = noise_alone(ShotNoise(electrons))
    assert images.mean() == pytest.approx(0.0, abs=0.01)
    assert images.var() == pytest.approx(1.0, abs=0.02)
    # Bright: turned round, so that the long tail of the counts is below zero.
    assert np.mean(images.astype(np.float64) ** 3) == pytest.approx(-1 / np.sqrt(electrons), abs=0.03)
    counts = electrons - images * np.sqrt(electrons)
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-4)


@pytest.mark.parametrize("contrast_sign", [1, -1])
def test_counts_follow_the_signal_in_either_contrast(contrast_sign: int) -> None:
    signal = np.zeros((4000, 16, 16), np.float32)
    signal[:, 4:8, 4:8] = contrast_sign * 2.0
    noisy = ShotNoise(50.0).add(signal.copy(), contrast_sign, np.random.default_rng(1))
    np.testing.assert_allclose(noisy.mean(axis=0), signal[0], atol=0.08)
    # Fewer electrons where the protein is, hence less noise.
    protein = signal[0] != 0
    assert noisy[:, protein].var(axis=0).mean() == pytest.approx(1 - 2 / np.sqrt(50), abs=0.015)


def test_negative_intensity_is_refused() -> None:
    with pytest.raises(UserError, match="dose_contrast is so high"):
        ShotNoise(4.0).add(np.full((1, 4, 4), 3.0, np.float32), 1, np.random.default_rng(0))
