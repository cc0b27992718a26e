"""Probabilistic PCA of maps from projections, by expectation maximisation: the family of 3DVA."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cryoarena.methods.base import Method, MethodCard, Run, method
from cryoarena.methods.batches import Batch, fourier_batches
from cryoarena.methods.checkpoint import History
from cryoarena.methods.joint_maps import JointSums
from cryoarena.methods.latent_posterior import LatentPosterior, latent_posterior
from cryoarena.methods.linear_reconstruction import LinearReconstruction
from cryoarena.methods.ppca_model import PpcaModel, shell_power, start_model, whiten
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.slicing import FourierGrid, ImagePoints, as_volume

_LOWEST_BAND = 4.0
_GROWTH = 1.25
# in log-likelihood per image
_STALLED = 0.1
_LEAST_CONTRAST_DEVIATION, _MOST_CONTRAST_DEVIATION = 1e-3, 0.5


@dataclass(frozen=True)
class PpcaOptions:
    """Options of `ppca`.

    Attributes:
        components: number of principal volumes q.
        iterations: most EM iterations; they end earlier where the log-likelihood stalls.
    """

    components: int = 8
    iterations: int = 25


@method
class Ppca(Method[PpcaOptions]):
    """EM for data = a · CTF · P(V₀ + Σ z_k V_k) + noise with z ~ N(0, I), a ~ N(1, s²) and a noise variance per shell.

    Tipping & Bishop 1999 (doi:10.1111/1467-9868.00196) with the projection operator of Tagare et al. 2015
    (doi:10.1016/j.jsb.2015.05.007) and Punjani & Fleet 2021 (doi:10.1016/j.jsb.2021.107702).
    """

    card = MethodCard(
        name="ppca",
        title="PPCA",
        family="PPCA / 3DVA",
        summary="Probabilistic PCA with CTF, contrast and per-frequency noise and priors, by EM.",
        citation=(
            "Tagare et al. 2015, doi:10.1016/j.jsb.2015.05.007; Punjani & Fleet 2021, doi:10.1016/j.jsb.2021.107702"
        ),
        heterogeneity="continuous",
    )
    options = PpcaOptions

    def fit(self, particles: ParticleSet, options: PpcaOptions, run: Run) -> LinearReconstruction:
        """Run EM from random latents, from low to high resolution."""
        device = torch.device(run.device)
        total = (options.iterations + 1) * len(particles)
        saved = run.checkpoint.load()
        if saved is None:
            model, history = start_model(particles, options.components, device, run.seed), []
        else:
            model, history = PpcaModel.of_state(saved[0], device), saved[1]
        while not _finished(history, options, particles.box_px):
            iteration = len(history)
            radius = _band(particles.box_px, iteration)
            latents = _random_latents(len(particles), options.components, run.seed) if iteration == 0 else None

            def step(images: int, before: int = iteration * len(particles), radius: float = radius) -> None:
                run.progress(before + images, total, f"|k| <= {radius:.0f}")

            model, log_likelihood = _iterate(particles, model, radius, latents, step)
            history.append(_row(iteration, radius, log_likelihood, model))
            run.checkpoint.save(model.to_state(), history)
        latents, covariance, contrast = _embed(
            particles, model, lambda n: run.progress(total - len(particles) + n, total, "latents")
        )
        return _principal_axes(model, latents, covariance, contrast, history)

    def load(self, folder: Path, particles: ParticleSet) -> LinearReconstruction:
        """Read a saved PPCA."""
        return LinearReconstruction.read(folder)


def _band(box_px: int, iteration: int) -> float:
    """Return the largest |k| used in an iteration; it grows by a constant factor up to the full band."""
    return float(min(_LOWEST_BAND * _GROWTH**iteration, box_px / 2 - 1))


def _finished(history: History, options: PpcaOptions, box_px: int) -> bool:
    """Tell whether all iterations are done, or the full band is reached and the log-likelihood stalls."""
    if len(history) >= options.iterations:
        return True
    full = [row["log_likelihood_per_image"] for row in history if row["radius_px"] == box_px / 2 - 1]
    return len(full) > 1 and full[-1] - full[-2] < _STALLED


def _random_latents(n: int, q: int, seed: int) -> Tensor:
    return torch.randn((n, q), generator=torch.Generator().manual_seed(seed))


def _expect(
    particles: ParticleSet, model: PpcaModel, grid: FourierGrid, points: ImagePoints
) -> Iterator[tuple[Batch, LatentPosterior]]:
    """Yield each batch with the posterior of its latents."""
    values = grid.from_volumes(model.volumes)
    n_shells = int(points.shell.max()) + 1
    for batch in fourier_batches(particles, points):
        products = grid.gram(values, points, batch.rotations, batch.data, batch.ctf)
        yield batch, latent_posterior(products, model.noise[:n_shells], model.contrast_deviation)


def _iterate(
    particles: ParticleSet, model: PpcaModel, radius: float, latents: Tensor | None, step: Callable[[int], None]
) -> tuple[PpcaModel, float]:
    """Do one E-step and one M-step over all images within `radius`, each batch read once.

    Args:
        particles: the images.
        model: of the iteration before.
        radius: of the band.
        latents: (N, q) that stand for the posterior in the first iteration, whose components are zero.
        step: told how many images are done.

    Returns:
        The next model, and the log-likelihood per image of the one before.
    """
    box_px, size, n_shells = particles.box_px, len(model.volumes), particles.box_px // 2
    device = model.volumes.device
    grid = FourierGrid(box_px, radius, device)
    points = ImagePoints.within(box_px, radius, device)
    precision = 1 / model.noise[points.shell]
    sums = JointSums(grid, points, size)
    residual_power = torch.zeros(n_shells, dtype=torch.float64, device=device)
    moments = torch.zeros((size, size), dtype=torch.float64, device=device)
    log_likelihood = contrast = contrast_square = 0.0
    done = 0
    for batch, posterior in _expect(particles, model, grid, points):
        if latents is None:
            of_data, of_weight = posterior.of_data, posterior.of_weight
        else:
            z = latents[batch.rows].to(device)
            of_data = torch.cat([torch.ones_like(z[:, :1]), z], dim=1)
            of_weight = of_data[:, :, None] * of_data[:, None, :]
        sums.add(batch, precision, of_data, of_weight)
        log_likelihood += float(posterior.log_likelihood.sum())
        contrast += float(posterior.contrast.double().sum())
        contrast_square += float(posterior.contrast_square.double().sum())
        found = posterior.residual_power.double().sum(dim=0)
        residual_power[: len(found)] += found
        moments += _latent_moments(posterior)
        done += len(batch.rows)
        step(done)
    # What fills a share f of the box with power τ² per coefficient is told from noise as well as 1/f times the power
    # that fills all of it would be: its coefficients are correlated, and the voxels are solved one by one.
    filled = model.mask.mean()
    values, variance = sums.solve(model.signal / filled)
    volumes = grid.to_volumes(values) * model.mask
    contrast_deviation = model.contrast_deviation
    if latents is None:
        volumes, variance = whiten(volumes, variance, moments / len(particles))
        # A map that is regularised is too faint: contrasts would grow, and it would fade, without end.
        scale = contrast / len(particles)
        volumes, variance = scale * volumes, scale**2 * variance
        deviation = math.sqrt(max(contrast_square / len(particles) - (scale - 1) ** 2, 0.0)) / scale
        contrast_deviation = min(max(deviation, _LEAST_CONTRAST_DEVIATION), _MOST_CONTRAST_DEVIATION)
    counts = torch.bincount(points.shell, minlength=n_shells)[:n_shells] * len(particles)
    signal = shell_power(volumes) + variance * filled
    in_band = torch.arange(n_shells, device=device) <= radius
    coefficients = torch.log(precision / math.pi).double().sum()
    return (
        PpcaModel(
            volumes,
            model.mask,
            torch.where(counts > 0, (residual_power / counts.clamp(min=1)).float(), model.noise),
            torch.where(in_band, signal, model.signal),
            contrast_deviation,
        ),
        log_likelihood / len(particles) + float(coefficients),
    )


def _latent_moments(posterior: LatentPosterior) -> Tensor:
    """Return Σ E[(1, z)(1, z)ᵀ] (q + 1, q + 1) over images."""
    z = torch.cat([torch.ones_like(posterior.mean[:, :1]), posterior.mean], dim=1).double()
    moments = z.T @ z
    moments[1:, 1:] += posterior.covariance.double().sum(dim=0)
    return moments


def _row(iteration: int, radius: float, log_likelihood: float, model: PpcaModel) -> dict[str, float]:
    """Return what the history tells of an iteration; the log-likelihood is that of the model before it."""
    flat = model.volumes[1:].flatten(1)
    strengths = torch.linalg.svdvals(flat @ flat.T).sqrt()
    return {
        "iteration": iteration + 1.0,
        "radius_px": radius,
        "log_likelihood_per_image": log_likelihood,
        "contrast_deviation": model.contrast_deviation,
    } | {f"strength_{k + 1}": float(value) for k, value in enumerate(strengths)}


def _embed(particles: ParticleSet, model: PpcaModel, step: Callable[[int], None]) -> tuple[Tensor, Tensor, Tensor]:
    """Return posterior mean (N, q) and covariance (N, q, q) of the latents and the contrast (N,) in the full band."""
    radius = particles.box_px / 2 - 1
    grid = FourierGrid(particles.box_px, radius, model.volumes.device)
    points = ImagePoints.within(particles.box_px, radius, model.volumes.device)
    found = []
    done = 0
    for batch, posterior in _expect(particles, model, grid, points):
        found.append((posterior.mean, posterior.covariance, posterior.contrast))
        done += len(batch.rows)
        step(done)
    means, covariances, contrasts = zip(*found, strict=True)
    return torch.cat(means), torch.cat(covariances), torch.cat(contrasts)


def _principal_axes(
    model: PpcaModel, latents: Tensor, covariance: Tensor, contrast: Tensor, history: History
) -> LinearReconstruction:
    """Rotate components to orthogonal ones in order of strength, scaled as `LinearReconstruction` wants them."""
    flat = model.volumes[1:].flatten(1)
    variance, axes = torch.linalg.eigh((flat @ flat.T).double())
    order = torch.argsort(variance, descending=True)
    strength = variance[order].clamp(min=1e-30).sqrt().float()
    axes = axes[:, order].float()
    directions = (axes.T @ flat) / strength[:, None]
    components = (directions * strength[0]).reshape(model.volumes[1:].shape)
    turn = axes * (strength / strength[0])
    return LinearReconstruction(
        mean=as_volume(model.volumes[0]),
        components=as_volume(components),
        embedding=as_volume(latents @ turn),
        covariance=as_volume(turn.T @ covariance @ turn),
        contrast=as_volume(contrast),
        history=history,
    )
