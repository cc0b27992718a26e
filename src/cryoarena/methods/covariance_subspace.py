"""Principal volumes and latent posteriors: begun from columns of the covariance, refined by EM."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.methods.batches import fourier_batches
from cryoarena.methods.checkpoint import State
from cryoarena.methods.covariance_columns import ColumnSums, choose_pivots, regularised_columns
from cryoarena.methods.image_passes import ImagePasses
from cryoarena.methods.linear_model import LatentPosterior, fit_prior, latent_posterior, residual_power, solve_maps
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.slicing import FourierGrid, ImagePoints, shell_means

_PRIOR_STEPS = 40
_FIRST_CONTRAST_VARIANCE = 0.01
# Pivots as close as the correlation length of a particle in a mask of this radius say the same.
_PIVOT_SPACING = 0.6
_LEAST_SIGNAL = 0.03
_SAMPLED_IMAGES = 500


@dataclass(frozen=True)
class Subspace:
    """A linear latent model of the images within a band.

    Attributes:
        mean: (D, D, D) in the box of the band.
        components: (q, D, D, D), orthogonal, the strongest first; their latents have unit prior covariance.
        noise: (S,) variance per shell.
        signal: (q + 1, S) prior power per shell of mean and components.
        latents: (N, q) posterior means.
        covariance: (N, q, q) posterior covariances.
        contrast: (N, 2) posterior first and second moment of the contrast.
        contrast_variance: () its prior variance.
    """

    mean: Tensor
    components: Tensor
    noise: Tensor
    signal: Tensor
    latents: Tensor
    covariance: Tensor
    contrast: Tensor
    contrast_variance: Tensor

    def arrays(self) -> State:
        """Return what `of_arrays` reads."""
        return {field.name: getattr(self, field.name).cpu().numpy() for field in fields(self)}

    @staticmethod
    def of_arrays(arrays: State, device: torch.device) -> "Subspace":
        """Return what `arrays` gave."""
        return Subspace(**{field.name: torch.as_tensor(arrays[field.name]).to(device) for field in fields(Subspace)})

    @property
    def strength(self) -> Tensor:
        """Return the standard deviation (q,) of the maps along each component."""
        strength: Tensor = self.components.flatten(1).norm(dim=1)
        return strength


@dataclass(frozen=True)
class BandImages:
    """The images within a band.

    Attributes:
        particles: N images.
        radius: of the band, cycles per box.
        mask: (D, D, D) in the box of the band.
        passes: counts what was read.
    """

    particles: ParticleSet
    radius: float
    mask: Tensor
    passes: ImagePasses

    @property
    def grid(self) -> FourierGrid:
        """Return the grid of maps in the band."""
        return FourierGrid(len(self.mask), self.radius, self.mask.device)

    @property
    def points(self) -> ImagePoints:
        """Return the image points in the band."""
        return ImagePoints.within(self.particles.box_px, self.radius, self.mask.device)


def first_subspace(
    images: BandImages, half_set: NDArray[np.int64], mean: Tensor, components: int, pivots: int
) -> Subspace:
    """Return the model of the leading singular vectors of covariance columns.

    Args:
        images: all of them.
        half_set: (N,) 0 or 1.
        mean: (D, D, D) in the box of the band.
        components: number q.
        pivots: number of columns.
    """
    device = images.mask.device
    columns, noise = _columns(images, half_set, mean, pivots)
    flat = columns.flatten(1)
    # The left singular vectors, by way of the small Gram matrix.
    _, vectors = torch.linalg.eigh((flat @ flat.T).double())
    leading = vectors[:, -min(components, len(flat)) :].flip(1).float()
    basis = leading.T @ flat
    if not bool(basis.any()):
        raise ValueError(f"the stack of {len(images.particles)} images shows no covariance that its two halves share")
    basis = (basis / basis.norm(dim=1, keepdim=True).clamp(min=1e-30)).reshape(-1, *mean.shape)
    n_shells = len(noise)
    products, _ = _products(images, mean, basis, noise, None)
    posterior = fit_prior(products, _isotropic(products), _FIRST_CONTRAST_VARIANCE, _PRIOR_STEPS)
    own = _shell_power(torch.cat([mean[None], basis]), images.grid, n_shells)
    none = torch.zeros((len(basis) + 1, n_shells), device=device)
    subspace = _orthogonal(mean, basis, noise, none, posterior, images.grid)
    shared = subspace.signal[1:].mean(dim=0) + _LEAST_SIGNAL * own[0]
    signal = torch.cat([own[:1], shared.expand(len(basis), -1)])
    return Subspace(**{**{f.name: getattr(subspace, f.name) for f in fields(Subspace)}, "signal": signal})


def refined(images: BandImages, subspace: Subspace) -> Subspace:
    """Return the model after one step of EM: maps given the latents, then latents given the maps."""
    grid, points = images.grid, images.points
    size = len(subspace.components) + 1
    pairs = torch.triu_indices(size, size, device=images.mask.device)
    sums = grid.accumulator(maps=size, weights=pairs.shape[1])
    precision = 1 / subspace.noise[points.shell]
    for batch in images.passes.count(fourier_batches(images.particles, points), "principal volumes"):
        rows = torch.as_tensor(batch.rows, device=images.mask.device)
        one = torch.ones((len(rows), 1), device=images.mask.device)
        first = torch.cat([one, subspace.latents[rows]], dim=1)
        moments = first[:, :, None] * first[:, None, :]
        moments[:, 1:, 1:] += subspace.covariance[rows]
        grid.insert(
            points,
            batch.rotations,
            batch.ctf * precision * batch.data,
            batch.ctf**2 * precision,
            sums,
            data_by=first * subspace.contrast[rows, :1],
            weight_by=moments[:, pairs[0], pairs[1]] * subspace.contrast[rows, 1:],
        )
    data, weight = grid.complete(sums, maps=size)
    values, variance = solve_maps(data, weight, pairs, subspace.signal, grid)
    maps = grid.to_volumes(values) * images.mask
    variance = variance * images.mask.mean()
    before = LatentPosterior(
        subspace.latents,
        subspace.covariance,
        subspace.contrast[:, 0],
        subspace.contrast[:, 1],
        torch.eye(size - 1, device=images.mask.device),
        float(subspace.contrast_variance),
    )
    products, noise = _products(images, maps[0], maps[1:], subspace.noise, before)
    posterior = fit_prior(products, before.prior, before.contrast_variance, _PRIOR_STEPS)
    return _orthogonal(maps[0], maps[1:], noise, variance, posterior, grid)


def _columns(images: BandImages, half_set: NDArray[np.int64], mean: Tensor, pivots: int) -> tuple[Tensor, Tensor]:
    """Return regularised covariance columns (2 J, D, D, D) and the power of the residuals by shell (S,)."""
    grid, points = images.grid, images.points
    coarse = FourierGrid(len(images.mask), images.radius, images.mask.device, oversampling=1)
    # A particle that fills a fraction of the box correlates frequencies up to about the inverse of its diameter.
    diameter = 2 * (3 * float(images.mask.mean()) / (4 * np.pi)) ** (1 / 3)
    values = grid.from_volumes(mean[None])
    shells = int(points.shell.max()) + 1
    chosen = choose_pivots(pivots, max(1.0, _PIVOT_SPACING / diameter), _signal_to_noise(images, values, shells))
    halves = [ColumnSums.empty(coarse, chosen) for _ in range(2)]
    power = torch.zeros(shells, device=images.mask.device)
    for half in (0, 1):
        rows = np.flatnonzero(half_set == half)
        for batch in images.passes.count(fourier_batches(images.particles, points, rows), "covariance"):
            residual = batch.data - batch.ctf * grid.slices(values, points, batch.rotations)[:, :, 0]
            halves[half].add(batch, residual, points)
            power.index_add_(0, points.shell, (residual.abs() ** 2).sum(dim=0))
    noise = power / torch.bincount(points.shell) / len(images.particles)
    return regularised_columns(halves[0], halves[1], images.mask), noise


def _signal_to_noise(images: BandImages, values: Tensor, shells: int) -> NDArray[np.float64]:
    """Return power of CTF · slice of the mean over that of the images by shell (S - 1,), from some of the images."""
    some = np.arange(0, len(images.particles), max(1, len(images.particles) // _SAMPLED_IMAGES))
    power = torch.zeros((2, shells), device=values.device)
    for batch in fourier_batches(images.particles, images.points, some):
        gram = images.grid.gram(values, images.points, batch.rotations, batch.data, batch.ctf)
        power += torch.stack([gram[:, :, 1, 1], gram[:, :, 0, 0]]).sum(dim=1)
    # The last shell holds corners of the grid that no image reaches.
    return np.asarray((power[0] / power[1].clamp(min=1e-30)).cpu().numpy()[:-1], np.float64)


def _products(
    images: BandImages, mean: Tensor, components: Tensor, noise: Tensor, before: LatentPosterior | None
) -> tuple[Tensor, Tensor]:
    """Return products (N, q + 2, q + 2) for `latent_posterior`, and the noise by shell that is left.

    Args:
        images: all of them.
        mean: (D, D, D).
        components: (q, D, D, D).
        noise: (S,).
        before: whose prior gives the posterior that the noise is estimated with; None keeps the noise.
    """
    grid, points = images.grid, images.points
    values = grid.from_volumes(torch.cat([mean[None], components]))
    found, left = [], torch.zeros_like(noise)
    for batch in images.passes.count(fourier_batches(images.particles, points), "latents"):
        gram = grid.gram(values, points, batch.rotations, batch.data, batch.ctf)
        # log p = -|r|²/σ² for complex coefficients: as if real ones of variance σ²/2.
        found.append(torch.einsum("nsab,s->nab", gram, 2 / noise))
        if before is not None:
            posterior = latent_posterior(found[-1], before.prior, before.contrast_variance)
            left += residual_power(gram, posterior)
    counts = torch.bincount(points.shell) * len(images.particles)
    return torch.cat(found), noise if before is None else left / counts


def _isotropic(products: Tensor) -> Tensor:
    """Return the covariance s · 1 (q, q) of the latents that explains the power of the residuals, by least squares.

    Where they show none, s is a hundredth of what an image could tell from noise.
    """
    gram, right = products[:, 2:, 2:], products[:, 2:, 0] - products[:, 2:, 1]
    trace = torch.einsum("naa->", gram).clamp(min=1e-20)
    scale = ((right**2).sum() - trace) / (gram**2).sum().clamp(min=1e-30)
    return scale.clamp(min=0.01 * gram.shape[1] * len(gram) / trace) * torch.eye(gram.shape[1], device=gram.device)


def _orthogonal(
    mean: Tensor, components: Tensor, noise: Tensor, variance: Tensor, posterior: LatentPosterior, grid: FourierGrid
) -> Subspace:
    """Return the same model with orthogonal components in order of strength and unit prior."""
    flat = components.flatten(1)
    lower = torch.linalg.cholesky((flat @ flat.T).double() + 1e-12 * (flat**2).sum().double() * _eye(flat))
    power, axes = torch.linalg.eigh(lower.T @ posterior.prior.double() @ lower)
    power, axes = power.flip(0).clamp(min=1e-12 * power.max()), axes.flip(1)
    to_latents = (axes / power.sqrt()).T @ lower.T
    to_components = torch.linalg.inv(to_latents).T.float()
    to_latents = to_latents.float()
    turned = torch.tensordot(to_components, components, dims=1)
    spread = torch.cat([variance[:1], to_components**2 @ variance[1:]])
    signal = _shell_power(torch.cat([mean[None], turned]), grid, variance.shape[1]) + spread
    return Subspace(
        mean,
        turned,
        noise,
        signal,
        posterior.mean @ to_latents.T,
        to_latents @ posterior.covariance @ to_latents.T,
        torch.stack([posterior.contrast, posterior.contrast_square], dim=1),
        torch.tensor(posterior.contrast_variance),
    )


def _eye(flat: Tensor) -> Tensor:
    return torch.eye(len(flat), dtype=torch.float64, device=flat.device)


def _shell_power(volumes: Tensor, grid: FourierGrid, n_shells: int) -> Tensor:
    """Return the mean |F|² of maps (M, D, D, D) by shell; (M, S)."""
    return shell_means((grid.from_volumes(volumes) ** 2).sum(dim=2), grid.shells(), n_shells).T
