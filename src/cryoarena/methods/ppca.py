"""Probabilistic PCA of maps from projections, by expectation maximisation: the family of 3DVA."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cryoarena.errors import UserError
from cryoarena.methods.band_images import BandImages
from cryoarena.methods.base import Method, MethodCard, Run, method
from cryoarena.methods.checkpoint import History
from cryoarena.methods.latent_mixture import mixture_of_clusters
from cryoarena.methods.linear_reconstruction import LinearReconstruction
from cryoarena.methods.ppca_model import PpcaModel, start_model
from cryoarena.methods.ppca_steps import embed, has_stalled, iterate, told
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.slicing import as_volume

_LOWEST_BAND = 4.0
_GROWTH = 1.25


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
    (doi:10.1016/j.jsb.2015.05.007) and Punjani & Fleet 2021 (doi:10.1016/j.jsb.2021.107702). The posterior variance of
    the volumes counts in the E-step (variational principal components: Bishop 1999, doi:10.1049/cp:19991160).
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
        """Run EM from random latents, from low to high resolution.

        Raises:
            UserError: when an option makes no sense, or an image holds NaN.
        """
        if options.components < 1:
            raise UserError(f"option components must be at least 1, not {options.components}")
        device = torch.device(run.device)
        total = (options.iterations + 1) * len(particles)
        saved = run.checkpoint.load()
        if saved is None:
            model, history = start_model(particles, options.components, device, run.seed), []
        else:
            model, history = PpcaModel.of_state(saved[0], device), saved[1]
        images = BandImages(particles, _band(particles.box_px, len(history)), device)
        while not _finished(history, options, particles.box_px):
            iteration = len(history)
            radius = _band(particles.box_px, iteration)
            images = images.in_band(radius)
            latents = _random_latents(len(particles), options.components, run.seed) if iteration == 0 else None

            def step(done: int, before: int = iteration * len(particles), radius: float = radius) -> None:
                run.progress(before + done, total, f"|k| <= {radius:.0f}")

            model, log_likelihood = iterate(images, model, latents, step)
            history.append(told(iteration, radius, log_likelihood, model))
            run.checkpoint.save(model.to_state(), history)
        latents, covariance, contrast = embed(
            images.in_band(particles.box_px / 2),
            model,
            lambda n: run.progress(total - len(particles) + n, total, "latents"),
        )
        latents, covariance = mixture_of_clusters(latents, covariance, run.seed)
        return _principal_axes(model, latents, covariance, contrast, history)

    def load(self, folder: Path, particles: ParticleSet) -> LinearReconstruction:
        """Read a saved PPCA."""
        return LinearReconstruction.read(folder)


def _band(box_px: int, iteration: int) -> float:
    """Return the largest |k| used in an iteration; it grows by a constant factor up to the full band."""
    return float(min(_LOWEST_BAND * _GROWTH**iteration, box_px / 2))


def _finished(history: History, options: PpcaOptions, box_px: int) -> bool:
    """Tell whether all iterations are done, or the full band is reached and the log-likelihood stalls."""
    return len(history) >= options.iterations or has_stalled(history, box_px / 2)


def _random_latents(n: int, q: int, seed: int) -> Tensor:
    return torch.randn((n, q), generator=torch.Generator().manual_seed(seed))


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
