"""Particle images: what the microscope shows of particles and of whatever else is there, and noise."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cryoarena.imaging.layer import Layer
from cryoarena.imaging.noise import Noise, WhiteNoise
from cryoarena.imaging.simulate import Particles, signal_spectra
from cryoarena.imaging.specimen import Specimen
from cryoarena.imaging.spectrum import to_images


def simulate_images(
    specimen: Specimen,
    particles: Particles,
    box_px: int,
    pixel_size_A: float,
    amplitude: float,
    contrast_sign: int,
    rng: np.random.Generator,
    noise: Noise = WhiteNoise(),
    layers: Sequence[Layer] = (),
) -> NDArray[np.float32]:
    """Return images (n, D, D) = -contrast_sign · amplitude · CTF·projection + noise of unit variance.

    Where particles have a grey scale of their own, their images are multiplied by it.
    """
    if particles.imperfections is None:
        images = to_images(signal_spectra(specimen, particles, box_px, pixel_size_A, contrast_sign))
    else:
        images = np.zeros((len(particles), box_px, box_px), np.float32)
        if len(rows := np.flatnonzero(particles.imperfections.visible)):
            images[rows] = to_images(signal_spectra(specimen, particles[rows], box_px, pixel_size_A, contrast_sign))
    images *= np.float32(amplitude)
    for layer in layers:
        layer.add_to(images, pixel_size_A, amplitude, contrast_sign)
    images = noise.add(images, contrast_sign, rng)
    if particles.imperfections is not None:
        images *= particles.imperfections.grey_scale[:, None, None].astype(np.float32)
    return images
