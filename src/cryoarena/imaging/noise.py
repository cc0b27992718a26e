"""Noise of unit variance: white, coloured, or that of counted electrons."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.imaging.spectrum import frequencies


class Noise(ABC):
    """What turns noise-free images into images whose noise has unit variance."""

    @abstractmethod
    def add(self, signal: NDArray[np.float32], contrast_sign: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Return noisy images.

        Args:
            signal: (n, D, D) in units of the noise's standard deviation; may be overwritten.
            contrast_sign: +1 where protein is bright in it.
            rng: drawn from in the same way whatever the signal, except to count electrons.
        """


@final
@dataclass(frozen=True)
class WhiteNoise(Noise):
    """Normal, independent in every pixel."""

    def add(self, signal: NDArray[np.float32], contrast_sign: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Add the noise."""
        signal += rng.standard_normal(signal.shape, dtype=np.float32)
        return signal


@final
@dataclass(frozen=True)
class NoiseSpectrum:
    """Noise power over spatial frequency, linear between m points and constant beyond them.

    Attributes:
        frequency_per_A: (m,) ascending, 1/Å.
        power: (m,) positive, in any unit.
    """

    frequency_per_A: NDArray[np.float64]
    power: NDArray[np.float64]

    def at(self, frequency_per_A: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the power at some frequencies."""
        return np.asarray(np.interp(frequency_per_A, self.frequency_per_A, self.power))

    def mean(self, box_px: int, pixel_size_A: float) -> float:
        """Return the mean power over the D x D Fourier coefficients of an image: the variance of a pixel."""
        frequency = np.fft.fftfreq(box_px, pixel_size_A)
        return float(self.at(np.hypot(frequency[:, None], frequency)).mean())


def carbon_spectrum() -> NoiseSpectrum:
    """Return 1 + 9 exp(-k / k₀) with k₀ = 1/50 Å: shot noise, and a background of film and ice at low frequency.

    Estimated noise spectra of particle stacks have this form; the numbers are ours and make the noise power twice
    that of high frequencies at 23 Å and ten times towards zero frequency.
    """
    frequency = np.linspace(0.0, 0.5, 501)
    return NoiseSpectrum(frequency, 1 + 9 * np.exp(-50.0 * frequency))


@final
@dataclass(frozen=True)
class ColouredNoise(Noise):
    """Normal, with a given power spectrum scaled to unit variance.

    Attributes:
        spectrum: of the noise.
        pixel_size_A: of the images.
    """

    spectrum: NoiseSpectrum
    pixel_size_A: float

    def add(self, signal: NDArray[np.float32], contrast_sign: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Add the noise."""
        box_px = signal.shape[-1]
        gain = np.sqrt(
            self.spectrum.at(np.hypot(*frequencies(box_px, self.pixel_size_A)))
            / self.spectrum.mean(box_px, self.pixel_size_A)
        ).astype(np.float32)
        white = scipy.fft.rfft2(rng.standard_normal(signal.shape, dtype=np.float32))
        signal += scipy.fft.irfft2(gain * white, s=(box_px, box_px))
        return signal


@final
@dataclass(frozen=True)
class ShotNoise(Noise):
    """Electrons counted in every pixel: bright field, counts ~ Poisson(N (1 + contrast · image)).

    Counts are written as (counts - N) / √N, with protein bright or dark as asked for, so that the noise has unit
    variance where there is no signal and the signal needs no other scale than with normal noise.

    Attributes:
        electrons_per_px: N, the mean count of a pixel.
    """

    electrons_per_px: float

    def add(self, signal: NDArray[np.float32], contrast_sign: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Replace the signal by counts.

        Raises:
            UserError: when the contrast is so strong that an intensity would be negative.
        """
        root = np.sqrt(self.electrons_per_px)
        # In a micrograph protein is dark, whatever the sign of the stack.
        expected = self.electrons_per_px - contrast_sign * root * signal.astype(np.float64)
        if expected.min() < 0:
            raise UserError("--realism dose_contrast is so high that some intensities would be negative; lower it")
        return np.asarray(-contrast_sign * (rng.poisson(expected) - self.electrons_per_px) / root, np.float32)
