"""The Bayes posterior: what an observer who knows maps, poses, CTF and noise can tell about each image."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from torch import Tensor

from cryoarena.datasets.truth import Truth
from cryoarena.imaging.project import VolumeProjector
from cryoarena.methods.batches import Batch, fourier_batches
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.progress import Report
from cryoarena.volumes.slicing import ImagePoints

_PROJECTIONS = 100_000
_LEAST_IMAGES, _MOST_IMAGES = 100, 1000
# A transform of few points costs as much as its FFT; so many coefficients of images are projected at once.
_COEFFICIENTS_AT_ONCE = 500_000


@dataclass(frozen=True)
class BayesPosterior:
    """What the true maps say about a sample of n images.

    Attributes:
        rows: (n,) of the particles.
        log_likelihood: (n, M) log p(image | conformation), of those that have a true map, up to a constant per image.
        posterior: (n, M) p(conformation | image) with `prior_of` as prior; rows sum to 1.
    """

    rows: NDArray[np.int64]
    log_likelihood: NDArray[np.float64]
    posterior: NDArray[np.float64]

    def mean(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the posterior mean (n, c) of a property (M, c) of the conformations."""
        return (self.posterior @ values).astype(np.float32)


def bayes_posterior(
    particles: ParticleSet, truth: Truth, rows: NDArray[np.int64], report: Report, device: str = "cpu"
) -> BayesPosterior:
    """Compute the posterior over conformations given everything but the conformation.

    An image is y = -contrast_sign · CTF · P_c + noise of unit variance, with P_c the projection of map c, hence
    log p(y | c) = -½ Σ_k |y - y_c|² / N(k) + constant, summed over half of the Fourier plane (Parseval's theorem), with
    N the power of the noise, 1 where it is white. Ice, beam tilt and grey scale are taken into account where known.
    Coefficients beyond |k| = D/2 - 1, which true maps do not fill, are left out. Projections are exact (NUFFT).

    Args:
        particles: whose rows match the truth.
        truth: of the dataset.
        rows: (n,) particles to look at; they are kept in memory.
        report: told how many conformations are done.
        device: of torch, where images are compared; projections are made on the CPU.
    """
    box_px = particles.box_px
    points = ImagePoints.within(box_px, box_px / 2 - 1, torch.device("cpu"))
    batch_images = max(1, _COEFFICIENTS_AT_ONCE // len(points.kx))
    batches = [
        _recorded(batch, particles, truth, points).on(device)
        for batch in fourier_batches(particles, points, rows, batch_images)
    ]
    mapped = truth.mapped
    weight = torch.from_numpy(_weight(points, truth)).to(device)
    log_likelihood = np.empty((len(rows), len(mapped)))
    for number, conformation in enumerate(mapped):
        # In image units the sum of a true map along z is the projection; the projector multiplies by the pixel.
        volume = truth.volume(int(conformation)) / np.float32(truth.pixel_size_A)
        projector = VolumeProjector(volume, truth.pixel_size_A, box_px, truth.pixel_size_A)
        log_likelihood[:, number] = np.concatenate(list(_log_likelihoods(projector, batches, points, weight)))
        report(number + 1, len(mapped), f"maps compared with {len(rows)} images")
    return from_log_likelihood(rows, log_likelihood, prior_of(truth))


def prior_of(truth: Truth) -> NDArray[np.float64]:
    """Return the prior (M,) of the conformations with a true map: the population of all that are nearest to each.

    Their own population would count twice where those with a map were drawn by population.
    """
    nearest = truth.nearest_mapped()
    represented = nearest >= 0
    share = np.bincount(nearest[represented], truth.population[represented], len(truth.mapped))
    return np.asarray(share, np.float64)


def from_log_likelihood(
    rows: NDArray[np.int64], log_likelihood: NDArray[np.float64], prior: NDArray[np.float64]
) -> BayesPosterior:
    """Weigh log-likelihoods (n, M) by a prior (M,)."""
    with np.errstate(divide="ignore"):
        joint = log_likelihood + np.log(prior)
    return BayesPosterior(rows, log_likelihood, np.exp(joint - logsumexp(joint, axis=1, keepdims=True)))


def sample_rows(n: int, conformations: int, seed: int = 0) -> NDArray[np.int64]:
    """Return sorted rows of a random sample: 1,000 images, or fewer where that is more than 100,000 projections.

    Never fewer than 100, unless n is less.
    """
    size = min(_MOST_IMAGES, max(_LEAST_IMAGES, _PROJECTIONS // conformations))
    if n <= size:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, size, replace=False))


def _weight(points: ImagePoints, truth: Truth) -> NDArray[np.float64]:
    """Return how much every point of the half plane counts."""
    ky, kx = points.ky.numpy(), points.kx.numpy()
    # Every pair ±k counts twice, the origin once.
    weight = np.where((kx == 0) & (ky == 0), 1.0, 2.0) / points.box_px**2
    if truth.noise_spectrum is not None:
        frequency_per_A = np.hypot(ky, kx) / (points.box_px * truth.pixel_size_A)
        weight *= truth.noise_spectrum.mean(points.box_px, truth.pixel_size_A) / truth.noise_spectrum.at(
            frequency_per_A
        )
    return np.asarray(weight)


@dataclass(frozen=True)
class _Recorded:
    """Some images as data = transfer · slice + noise of unit variance.

    Attributes:
        data: (n, P).
        transfer: (n, P) CTF and what ice and beam do besides.
        rotations: (n, 3, 3).
    """

    data: Tensor
    transfer: Tensor
    rotations: NDArray[np.float64]

    def on(self, device: str) -> "_Recorded":
        """Return the same images on a device of torch."""
        return _Recorded(self.data.to(device), self.transfer.to(device), self.rotations)


def _recorded(batch: Batch, particles: ParticleSet, truth: Truth, points: ImagePoints) -> _Recorded:
    rotations = batch.rotations.double().numpy()
    if truth.imperfections is None or particles.ctf is None:
        return _Recorded(batch.data, batch.ctf, rotations)
    imperfections = truth.imperfections[batch.rows]
    field_of_view_A = particles.box_px * particles.pixel_size_A
    frequency_x, frequency_y = (axis.numpy() / field_of_view_A for axis in (points.kx, points.ky))
    besides = imperfections.transfer(particles.ctf[batch.rows], frequency_x, frequency_y)
    in_grey = torch.from_numpy(imperfections.grey_scale[:, None].astype(np.float32))
    return _Recorded(batch.data / in_grey, batch.ctf * torch.from_numpy(np.asarray(besides)), rotations)


def _log_likelihoods(
    projector: VolumeProjector, batches: list[_Recorded], points: ImagePoints, weight: Tensor
) -> Iterator[NDArray[np.float64]]:
    """Yield Re<y, y_c> - ½|y_c|² of each batch, weighted: |y|² is the same for every conformation."""
    ky, kx = points.ky.numpy(), points.kx.numpy()
    for batch in batches:
        spectra = projector.project(batch.rotations, np.zeros((len(batch.data), 2)))
        predicted = batch.transfer * torch.from_numpy(spectra[:, ky, kx]).to(weight.device)
        products = (predicted.conj() * (batch.data - predicted / 2)).real.double()
        yield (products @ weight).cpu().numpy()
