"""Simulate what images show of particles: project, apply the CTF.

Cropping from the source box D₀ to D is done by sampling only the wanted band: the spectrum of a projection does
not depend on the box, so the images equal those simulated at D₀ and then Fourier-cropped (tested).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.imaging.ctf import CtfParameters, ctf
from cryoarena.imaging.imperfections import Imperfections
from cryoarena.imaging.poses import Poses
from cryoarena.imaging.project import AtomProjector, VolumeProjector
from cryoarena.imaging.specimen import Specimen
from cryoarena.imaging.spectrum import frequencies, sum_of_squares
from cryoarena.structures.density import ScatteringModel
from cryoarena.structures.render import render_volume

_BATCH = 50
_TAPER_SHELLS = 10

# Seconds on one core, fitted to measurements of finufft 2.5 at tolerance 2e-5.
_SECONDS_PER_SPREAD_ATOM = 4e-8
_SECONDS_PER_INTERPOLATED_POINT = 4e-7
_SECONDS_PER_FFT_OPERATION = 1e-9


@dataclass(frozen=True)
class Particles:
    """What each of N particles is and how it lies under the microscope.

    Attributes:
        conformation: (N,) index into the specimen's conformations.
        poses: true poses.
        ctf: CTF parameters.
        imperfections: of specimen and microscope, or None where there are none.
    """

    conformation: NDArray[np.int64]
    poses: Poses
    ctf: CtfParameters
    imperfections: Imperfections | None = None

    def __len__(self) -> int:
        return len(self.conformation)

    def __getitem__(self, index: NDArray[np.int64] | slice) -> "Particles":
        """Return some of the particles."""
        return Particles(
            self.conformation[index],
            self.poses[index],
            self.ctf[index],
            None if self.imperfections is None else self.imperfections[index],
        )


def projection_cost_s(
    n_atoms: int, n_components: int, box_px: int, images_per_conformation: float
) -> tuple[float, float]:
    """Estimate the CPU seconds of one projection (straight from atoms, through a map).

    Atoms: spread every atom, then one 2-D FFT, for each form-factor component. Map: one 3-D NUFFT of the atoms
    and one 3-D FFT, shared by the images of a conformation, then interpolation at half a plane of points.
    """

    def fft_s(points: float) -> float:
        return _SECONDS_PER_FFT_OPERATION * points * math.log2(points)

    from_atoms = n_components * (_SECONDS_PER_SPREAD_ATOM * n_atoms + fft_s((1.25 * box_px) ** 2))
    # Spreading in 3-D touches 8 times the points of 2-D.
    render = n_components * (8 * _SECONDS_PER_SPREAD_ATOM * n_atoms + fft_s((1.25 * _map_box_px(box_px)) ** 3))
    through_map = 2 * render / images_per_conformation + _SECONDS_PER_INTERPOLATED_POINT * box_px**2 / 2
    return float(from_atoms), float(through_map)


def project(specimen: Specimen, particles: Particles, box_px: int, pixel_size_A: float) -> NDArray[np.complex64]:
    """Return the CTF-free, noise-free spectra (n, D, D//2 + 1) of some particles by the cheaper exact projector."""
    present = np.unique(particles.conformation)
    n_atoms, n_components = specimen.scattering(int(present[0])).weights.shape
    from_atoms, through_map = projection_cost_s(n_atoms, n_components, box_px, len(particles) / len(present))
    if from_atoms <= through_map:
        return project_from_atoms(specimen, particles, box_px, pixel_size_A)
    return project_through_maps(specimen, particles, box_px, pixel_size_A)


def project_from_atoms(
    specimen: Specimen, particles: Particles, box_px: int, pixel_size_A: float
) -> NDArray[np.complex64]:
    """Project every particle straight from its atoms; (n, D, D//2 + 1)."""
    projectors: dict[int, AtomProjector] = {}
    spectra = np.empty((len(particles), box_px, box_px // 2 + 1), np.complex64)
    for i, conformation in enumerate(particles.conformation):
        scattering = specimen.scattering(int(conformation))
        if id(scattering) not in projectors:
            projectors[id(scattering)] = AtomProjector(scattering, box_px, pixel_size_A)
        spectra[i] = projectors[id(scattering)].project(
            specimen.position_A(int(conformation)),
            particles.poses.rotation_object_to_image[i],
            particles.poses.shift_A[i],
        )
    return spectra


def project_through_maps(
    specimen: Specimen, particles: Particles, box_px: int, pixel_size_A: float
) -> NDArray[np.complex64]:
    """Render each conformation that occurs, then slice its map; (n, D, D//2 + 1)."""
    spectra = np.empty((len(particles), box_px, box_px // 2 + 1), np.complex64)
    map_box_px = _map_box_px(box_px)
    map_pixel_size_A = pixel_size_A * box_px / map_box_px
    band_per_A = 1 / (math.sqrt(2) * pixel_size_A), 1 / (2 * map_pixel_size_A)
    for conformation in np.unique(particles.conformation):
        here = np.flatnonzero(particles.conformation == conformation)
        scattering = _tapered(specimen.scattering(int(conformation)), *band_per_A)
        volume = render_volume(specimen.position_A(int(conformation)), scattering, map_box_px, map_pixel_size_A)
        projector = VolumeProjector(volume, map_pixel_size_A, box_px, pixel_size_A)
        poses = particles.poses[here]
        spectra[here] = projector.project(poses.rotation_object_to_image, poses.shift_A)
    return spectra


def _map_box_px(box_px: int) -> int:
    """Return the even box whose Nyquist sphere holds the corners of the image's square band and the taper."""
    return 2 * (math.ceil(box_px / math.sqrt(2)) + _TAPER_SHELLS)


def _tapered(scattering: ScatteringModel, start_per_A: float, end_per_A: float) -> ScatteringModel:
    """Let the form factors fall to zero between the wanted band and the map's Nyquist frequency.

    A sharp cut would ring across the whole box, wrap around, and spoil the slices between grid points by 0.4 %.
    """

    def profile(frequency_per_A: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        fall = np.clip((frequency_per_A - start_per_A) / (end_per_A - start_per_A), 0, 1)
        return np.asarray(scattering.profile(frequency_per_A) * (0.5 + 0.5 * np.cos(np.pi * fall)))

    return ScatteringModel(scattering.weights, profile)


def apply_ctf(
    spectra: NDArray[np.complex64], parameters: CtfParameters, pixel_size_A: float, contrast_sign: int
) -> NDArray[np.complex64]:
    """Multiply spectra (n, D, D//2 + 1) by -contrast_sign · CTF (contrast_sign +1: protein bright)."""
    frequency_x, frequency_y = frequencies(spectra.shape[-2], pixel_size_A)
    return np.asarray(spectra * (-contrast_sign * ctf(parameters, frequency_x, frequency_y)), np.complex64)


def signal_spectra(
    specimen: Specimen, particles: Particles, box_px: int, pixel_size_A: float, contrast_sign: int
) -> NDArray[np.complex64]:
    """Return the noise-free spectra (n, D, D//2 + 1) of some particles as the microscope shows them."""
    spectra = project(specimen, particles, box_px, pixel_size_A)
    spectra = apply_ctf(spectra, particles.ctf, pixel_size_A, contrast_sign)
    if particles.imperfections is not None:
        spectra *= particles.imperfections.transfer(particles.ctf, *frequencies(box_px, pixel_size_A))
    return spectra


def signal_sums(specimen: Specimen, particles: Particles, box_px: int, pixel_size_A: float) -> tuple[float, float]:
    """Return Σ x and Σ x² over all pixels of the noise-free, CTF-applied images at box `box_px`.

    At the source box these give the variance that the SNR refers to.
    """
    total, total_squares = 0.0, 0.0
    for start in range(0, len(particles), _BATCH):
        batch = particles[start : start + _BATCH]
        spectra = signal_spectra(specimen, batch, box_px, pixel_size_A, 1)
        total += float(spectra[:, 0, 0].real.sum(dtype=np.float64))
        total_squares += float(sum_of_squares(spectra).sum())
    return total, total_squares
