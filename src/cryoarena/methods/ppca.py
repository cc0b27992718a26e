"""Probabilistic PCA of maps from projections, by expectation maximisation: the family of 3DVA."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.files import read_json, write_json
from cryoarena.methods.backprojection import accumulate, reconstruct
from cryoarena.methods.base import Method, MethodCard, Reconstruction, Run, method
from cryoarena.methods.batches import Batch, fourier_batches
from cryoarena.methods.consensus import random_halves
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.slicing import FourierGrid, ImagePoints, as_volume, shell_means, soft_sphere

_SOLVE_VOXELS = 1 << 18


@dataclass(frozen=True)
class PpcaOptions:
    """Options of `ppca`.

    Attributes:
        components: number of principal volumes q.
        iterations: EM iterations; the band grows to the full one over the first two thirds.
        mask_radius: of the spherical mask, as a fraction of the box.
    """

    components: int = 8
    iterations: int = 15
    mask_radius: float = 0.42


class PpcaReconstruction(Reconstruction):
    """Mean plus latent-weighted principal volumes.

    Latents are scaled so that their Euclidean distance is proportional to the L2 distance of the maps.
    """

    def __init__(
        self,
        mean: NDArray[np.float32],
        components: NDArray[np.float32],
        embedding: NDArray[np.float32],
        history: list[dict[str, float]],
    ) -> None:
        """Hold the mean (D, D, D), components (q, D, D, D) and latents (N, q)."""
        self.mean = mean
        self.components = components
        self.embedding = embedding
        self.posterior = None
        self.history = history
        self.representatives = _along_axes(embedding)

    def volumes_at(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return mean + Σ_k z_k · component_k."""
        return np.asarray(self.mean + np.tensordot(latents, self.components, axes=1), np.float32)

    def save(self, folder: Path) -> None:
        """Write mean, components, latents and history."""
        np.save(folder / "mean.npy", self.mean)
        np.save(folder / "components.npy", self.components)
        np.save(folder / "latents.npy", self.embedding)
        write_json(folder / "history.json", self.history)


def _along_axes(embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return latents at the 5th … 95th percentile along each axis through the mean latent; (5 q, q)."""
    centre = embedding.mean(axis=0)
    rows = []
    for axis in range(embedding.shape[1]):
        for value in np.percentile(embedding[:, axis], [5, 25, 50, 75, 95]):
            row = centre.copy()
            row[axis] = value
            rows.append(row)
    return np.asarray(rows, np.float32)


@method
class Ppca(Method[PpcaOptions]):
    """EM for y = CTF · P(mean + Σ z_k V_k) + noise with z ~ N(0, I) and one noise variance per shell.

    Tipping & Bishop 1999 (doi:10.1111/1467-9868.00196) with the projection operator of Tagare et al. 2015
    (doi:10.1016/j.jsb.2015.05.007) and Punjani & Fleet 2021 (doi:10.1016/j.jsb.2021.107702).
    """

    card = MethodCard(
        name="ppca",
        title="PPCA",
        family="PPCA / 3DVA",
        summary="Probabilistic PCA with CTF and per-frequency noise, by EM.",
        citation=(
            "Tagare et al. 2015, doi:10.1016/j.jsb.2015.05.007; Punjani & Fleet 2021, doi:10.1016/j.jsb.2021.107702"
        ),
        heterogeneity="continuous",
    )
    options = PpcaOptions

    def fit(self, particles: ParticleSet, options: PpcaOptions, run: Run) -> PpcaReconstruction:
        """Run EM from a random start."""
        state = _start(particles, options, torch.device(run.device), run.seed)
        history = []
        for iteration in range(options.iterations):
            radius = _band(particles.box_px, iteration, options.iterations)

            def step(images: int, note: str, iteration: int = iteration) -> None:
                done = iteration * len(particles) + images
                run.progress(done, options.iterations * len(particles), note)

            state, log_likelihood = _iterate(particles, state, radius, options, step)
            strength = state.components.flatten(1).norm(dim=1)
            history.append(
                {
                    "iteration": iteration + 1.0,
                    "radius_px": radius,
                    "log_likelihood_per_image": log_likelihood,
                }
                | {f"strength_{k + 1}": float(value) for k, value in enumerate(strength.sort(descending=True)[0])}
            )
        components, latents = _principal_axes(state)
        return PpcaReconstruction(as_volume(state.mean), as_volume(components), as_volume(latents), history)

    def load(self, folder: Path, particles: ParticleSet) -> PpcaReconstruction:
        """Read a saved PPCA."""
        return PpcaReconstruction(
            np.load(folder / "mean.npy"),
            np.load(folder / "components.npy"),
            np.load(folder / "latents.npy"),
            read_json(folder / "history.json"),
        )


@dataclass(frozen=True)
class _State:
    """Everything that EM carries from one iteration to the next.

    Attributes:
        mean: (D, D, D).
        components: (q, D, D, D); their latents have unit prior variance.
        latents: (N, q) posterior means.
        second_moment: (N, q, q) posterior second moments E[z zᵀ].
        noise: (S,) noise variance per shell.
        signal: (q + 1, S) prior power per shell of the mean and the components.
    """

    mean: Tensor
    components: Tensor
    latents: Tensor
    second_moment: Tensor
    noise: Tensor
    signal: Tensor


def _band(box_px: int, iteration: int, iterations: int) -> float:
    """Return the largest |k| used in an iteration: from a quarter of the band to all of it."""
    full = box_px / 2 - 1
    grown = min(1.0, iteration / max(1.0, 2 * iterations / 3))
    return float(max(4.0, full * (0.25 + 0.75 * grown)))


def _start(particles: ParticleSet, options: PpcaOptions, device: torch.device, seed: int) -> _State:
    """Take a consensus for the mean, the image power for the noise and random latents."""
    radius = particles.box_px / 2 - 1
    grid = FourierGrid(particles.box_px, radius, device)
    points = ImagePoints.within(particles.box_px, radius, device)
    halves = random_halves(len(particles), seed)
    half_a, half_b = (
        accumulate(grid, points, fourier_batches(particles, points, np.flatnonzero(halves == half))) for half in (0, 1)
    )
    mean = reconstruct(half_a, half_b)
    n_shells = particles.box_px // 2
    sample = np.random.default_rng(seed).permutation(len(particles))[:500]
    power = torch.zeros(n_shells, device=device)
    for batch in fourier_batches(particles, points, np.sort(sample)):
        power += _by_shell(batch.data.abs() ** 2, points, n_shells).sum(dim=0) / len(sample)
    noise = power / torch.bincount(points.shell, minlength=n_shells)[:n_shells].clamp(min=1)
    mean_power = _shell_power(mean[None], grid, n_shells)
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn((len(particles), options.components), generator=generator).to(device)
    return _State(
        mean=mean,
        components=torch.zeros((options.components, *mean.shape), device=device),
        latents=latents,
        second_moment=latents[:, :, None] * latents[:, None, :],
        noise=noise,
        signal=torch.cat([mean_power, 0.1 * mean_power.expand(options.components, -1)]),
    )


def _iterate(
    particles: ParticleSet,
    state: _State,
    radius: float,
    options: PpcaOptions,
    step: Callable[[int, str], None],
) -> tuple[_State, float]:
    """Do one E-step and one M-step over all images within `radius`, each batch read once.

    In the first iteration the components are zero and the random latents are kept.
    """
    device = state.mean.device
    box_px = particles.box_px
    q = options.components
    n_shells = box_px // 2
    grid = FourierGrid(box_px, radius, device)
    points = ImagePoints.within(box_px, radius, device)
    first = not bool(state.components.any())
    model = grid.from_volumes(torch.cat([state.mean[None], state.components]))
    precision = 1 / state.noise[points.shell.clamp(max=n_shells - 1)]
    pairs = torch.triu_indices(q + 1, q + 1, device=device)
    sums = grid.accumulator(maps=q + 1, weights=pairs.shape[1])
    residual_power = torch.zeros(n_shells, device=device)
    latents, second_moment = state.latents.clone(), state.second_moment.clone()
    log_likelihood, done = 0.0, 0
    for batch in fourier_batches(particles, points):
        predicted = batch.ctf[:, :, None] * grid.slices(model, points, batch.rotations)
        posterior = _expect(batch, predicted, precision)
        rows = torch.as_tensor(batch.rows, device=device)
        if first:
            moments = state.second_moment[rows]
            means = state.latents[rows]
        else:
            means, moments = posterior.mean, posterior.second_moment
            latents[rows], second_moment[rows] = means, moments
        log_likelihood += float(posterior.log_likelihood.double().sum())
        residual_power += _by_shell(posterior.residual_power, points, n_shells).sum(dim=0)
        augmented = torch.cat([torch.ones_like(means[:, :1]), means], dim=1)
        augmented_moments = _augment(means, moments)[:, pairs[0], pairs[1]]
        grid.insert(
            points,
            batch.rotations,
            batch.ctf * precision * batch.data,
            batch.ctf**2 * precision,
            sums,
            data_by=augmented,
            weight_by=augmented_moments,
        )
        done += len(batch.rows)
        step(done, f"|k| <= {radius:.0f}")
    data, weight = grid.complete(sums, maps=q + 1)
    values, variance = _maximise(data, weight, pairs, state.signal, grid)
    mask = soft_sphere(box_px, options.mask_radius * box_px, 0.06 * box_px, device)
    volumes = grid.to_volumes(values) * mask
    if not first:
        volumes, latents, second_moment, variance = _whiten(volumes, latents, second_moment, variance)
    counts = torch.bincount(points.shell, minlength=n_shells)[:n_shells] * len(particles)
    seen = counts > 0
    noise = torch.where(seen, residual_power / counts.clamp(min=1), state.noise)
    signal = _shell_power(volumes, grid, n_shells) + variance * mask.mean()
    in_band = torch.arange(n_shells, device=device) <= radius
    return (
        _State(
            volumes[0],
            volumes[1:],
            latents,
            second_moment,
            noise,
            torch.where(in_band, signal, state.signal),
        ),
        log_likelihood / len(particles),
    )


@dataclass(frozen=True)
class _Posterior:
    """Latent posterior of a batch and what the noise update needs."""

    mean: Tensor
    second_moment: Tensor
    residual_power: Tensor
    log_likelihood: Tensor


def _expect(batch: Batch, predicted: Tensor, precision: Tensor) -> _Posterior:
    """Return the latent posterior of each image.

    Every independent coefficient has complex noise of variance σ²: log p = -|r|²/σ², hence the factors 2.

    Args:
        batch: n images.
        predicted: (n, P, 1 + q) complex: CTF times the slices of the mean and the components.
        precision: (P,) 1/σ².
    """
    residual = batch.data - predicted[:, :, 0]
    basis = predicted[:, :, 1:]
    weighted = basis * precision[:, None]
    gram = 2 * (weighted.conj().transpose(1, 2) @ basis).real
    projected = 2 * (weighted.conj().transpose(1, 2) @ residual[:, :, None]).real
    identity = torch.eye(gram.shape[1], device=gram.device)
    factor = torch.linalg.cholesky(gram + identity)
    covariance = torch.cholesky_inverse(factor)
    mean = (covariance @ projected)[:, :, 0]
    left = residual - (basis @ mean[:, :, None].to(basis.dtype))[:, :, 0]
    spread = ((basis @ covariance.to(basis.dtype)) * basis.conj()).real.sum(dim=2)
    log_likelihood = (
        (torch.log(precision / math.pi)).sum()
        - (residual.abs() ** 2 * precision).sum(dim=1)
        + 0.5 * (projected[:, :, 0] * mean).sum(dim=1)
        - torch.log(torch.diagonal(factor, dim1=1, dim2=2)).sum(dim=1)
    )
    second_moment = covariance + mean[:, :, None] * mean[:, None, :]
    return _Posterior(mean, second_moment, left.abs() ** 2 + spread, log_likelihood)


def _augment(mean: Tensor, second_moment: Tensor) -> Tensor:
    """Return E[(1, z)(1, z)ᵀ] (n, q + 1, q + 1)."""
    n, q = mean.shape
    augmented = torch.empty((n, q + 1, q + 1), device=mean.device)
    augmented[:, 0, 0] = 1
    augmented[:, 0, 1:] = mean
    augmented[:, 1:, 0] = mean
    augmented[:, 1:, 1:] = second_moment
    return augmented


def _maximise(data: Tensor, weight: Tensor, pairs: Tensor, signal: Tensor, grid: FourierGrid) -> tuple[Tensor, Tensor]:
    """Solve the (q + 1) x (q + 1) normal equations of every grid voxel.

    Returns:
        values (V, q + 1, 2) and the mean posterior variance by shell (q + 1, S).
    """
    size = data.shape[1]
    n_shells = signal.shape[1]
    shells = grid.shells().clamp(max=n_shells - 1)
    prior = 1 / signal.clamp(min=1e-20)
    values = torch.empty_like(data)
    variance = torch.empty((len(data), size), device=data.device)
    for start in range(0, len(data), _SOLVE_VOXELS):
        part = slice(start, start + _SOLVE_VOXELS)
        normal = torch.zeros((len(data[part]), size, size), device=data.device)
        normal[:, pairs[0], pairs[1]] = weight[part]
        normal[:, pairs[1], pairs[0]] = weight[part]
        normal += torch.diag_embed(prior[:, shells[part]].T)
        inverse = torch.linalg.inv(normal)
        values[part] = inverse @ data[part]
        variance[part] = torch.diagonal(inverse, dim1=1, dim2=2)
    return values, shell_means(variance, shells, n_shells).T


def _whiten(
    volumes: Tensor, latents: Tensor, second_moment: Tensor, variance: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rescale components and latents so that the latents have unit second moment; the maps do not change.

    Parameter-expanded EM (Liu, Rubin & Wu 1998, doi:10.1093/biomet/85.4.755): it converges in far fewer steps.
    """
    factor = torch.linalg.cholesky(second_moment.mean(dim=0))
    inverse = torch.linalg.inv(factor)
    components = torch.tensordot(factor.T, volumes[1:], dims=1)
    return (
        torch.cat([volumes[:1], components]),
        latents @ inverse.T,
        inverse @ second_moment @ inverse.T,
        torch.cat([variance[:1], (factor**2).T @ variance[1:]]),
    )


def _by_shell(power: Tensor, points: ImagePoints, n_shells: int) -> Tensor:
    """Sum (n, P) over shells; (n, n_shells)."""
    sums = torch.zeros((len(power), n_shells + 1), device=power.device)
    sums.index_add_(1, points.shell.clamp(max=n_shells), power)
    return sums[:, :n_shells]


def _shell_power(volumes: Tensor, grid: FourierGrid, n_shells: int) -> Tensor:
    """Return the mean |F|² of maps (M, D, D, D) by shell; (M, S)."""
    values = grid.from_volumes(volumes)
    return shell_means((values**2).sum(dim=2), grid.shells(), n_shells).T


def _principal_axes(state: _State) -> tuple[Tensor, Tensor]:
    """Rotate components and latents to orthogonal axes in order of strength (see PpcaReconstruction)."""
    flat = state.components.flatten(1)
    gram = (flat @ flat.T).double()
    variance, axes = torch.linalg.eigh(gram)
    order = torch.argsort(variance, descending=True)
    strength = variance[order].clamp(min=1e-30).sqrt().float()
    axes = axes[:, order].float()
    directions = (axes.T @ flat) / strength[:, None]
    components = (directions * strength[0]).reshape(state.components.shape)
    return components, (state.latents @ axes) * (strength / strength[0])
