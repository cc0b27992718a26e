"""Measure the contrast, scale and noise of images from maps, poses and CTF; refuse what does not agree."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.imaging.ctf import ctf
from cryoarena.imaging.poses import Poses
from cryoarena.imaging.project import VolumeProjector
from cryoarena.imaging.spectrum import frequencies, origin_phase
from cryoarena.particles.particle_set import ParticleSet

# Of the correlation, in standard deviations of noise.
_LEAST_SIGNIFICANCE = 8.0
# Blobs in the middle of all images resemble each other: by this factor a pose must do better than another's.
_LEAST_LEAD = 1.2
# Of the Nyquist frequency: what of an image a map explains ends at the sphere in its box.
_BAND = 0.9


@dataclass(frozen=True)
class Agreement:
    """How images follow from maps: image = -gain · CTF · Σ_z map + noise.

    Attributes:
        gain: of the maps; negative where protein is dark.
        noise_sigma: standard deviation of the rest.
        significance: of the correlation, in standard deviations of noise.
    """

    gain: float
    noise_sigma: float
    significance: float


def measure_agreement(
    particles: ParticleSet,
    map_of: Callable[[int], NDArray[np.float32]],
    conformation: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> Agreement:
    """Fit one gain to some images (least squares, means left out) and take the rest for noise.

    The poses are also read in the two ways in which programs differ, shifts of the opposite sign and rotations from
    image to object, and exchanged: they must explain the images best as they are.

    Args:
        particles: with poses and CTF; their contrast is not looked at.
        map_of: conformation -> map (D, D, D).
        conformation: (N,) of every image.
        rows: images to look at.

    Raises:
        UserError: when the images do not follow from the maps, or do so better with the poses read otherwise.
    """
    if (given := particles.poses) is None:
        raise ValueError("poses are needed")
    changes: dict[str, Callable[[NDArray[np.float64], NDArray[np.float64]], Poses]] = {
        "as they are": lambda rotation, shift_A: Poses(rotation, shift_A),
        "with shifts of the opposite sign": lambda rotation, shift_A: Poses(rotation, -shift_A),
        "with rotations from image to object": lambda rotation, shift_A: Poses(np.swapaxes(rotation, 1, 2), shift_A),
        "of the next image": lambda rotation, shift_A: Poses(np.roll(rotation, 1, 0), np.roll(shift_A, 1, 0)),
    }
    found = {
        name: _fit(
            replace(particles, poses=change(given.rotation_object_to_image, given.shift_A)), map_of, conformation, rows
        )
        for name, change in changes.items()
    }
    significance = {name: abs(fit.significance) for name, fit in found.items()}
    stated = significance.pop("as they are")
    least = max(_LEAST_SIGNIFICANCE, _LEAST_LEAD * significance.pop("of the next image"))
    best = max(significance, key=lambda name: significance[name])
    # Where all shifts are 0 two readings are one.
    if significance[best] > max(least, stated * (1 + 1e-6)):
        raise UserError(f"the images agree better with the maps if their poses are read {best}; report this")
    if stated < least:
        raise UserError(
            f"{len(rows)} images do not show the maps at their poses (correlation of {stated:.1f} standard deviations "
            "of noise): stacks, poses and maps do not belong together; report this"
        )
    return found["as they are"]


def _fit(
    particles: ParticleSet,
    map_of: Callable[[int], NDArray[np.float32]],
    conformation: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> Agreement:
    box_px, pixel_size_A = particles.box_px, particles.pixel_size_A
    frequency_x, frequency_y = frequencies(box_px, pixel_size_A)
    radius = np.hypot(frequency_x, frequency_y)
    weight = np.where(frequency_x > 0, 2.0, 1.0) * ((radius > 0) & (radius < _BAND / (2 * pixel_size_A)))
    cross, power, total = 0.0, 0.0, 0.0
    for number in np.unique(conformation[rows]):
        here = particles.subset(rows[conformation[rows] == number])
        if here.poses is None or here.ctf is None:
            raise ValueError("poses and CTF parameters are needed")
        # So scaled, a projection is the sum of the map along z.
        projector = VolumeProjector(map_of(int(number)) / np.float32(pixel_size_A), pixel_size_A, box_px, pixel_size_A)
        predicted = projector.project(here.poses.rotation_object_to_image, here.poses.shift_A)
        predicted = predicted * -ctf(here.ctf, frequency_x, frequency_y)
        spectra = np.fft.rfft2(here.images(slice(None))) * origin_phase(box_px)
        cross += float(np.sum(weight * (spectra * predicted.conj()).real))
        power += float(np.sum(weight * np.abs(predicted) ** 2))
        total += float(np.sum(weight * np.abs(spectra) ** 2))
    if power == 0 or total == 0:
        raise UserError("maps or images are empty; report this")
    # Of a Fourier coefficient; that of a pixel is 1/D of it.
    sigma = float(np.sqrt(max(total - cross**2 / power, 1e-6 * total) / (len(rows) * weight.sum())))
    return Agreement(cross / power, sigma / box_px, float(cross / (np.sqrt(power) * sigma)))
