"""The steps of EM for a linear model of maps."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from cryoarena.methods.band_images import BandImages
from cryoarena.methods.batches import Batch
from cryoarena.methods.checkpoint import History
from cryoarena.methods.joint_maps import JointSums
from cryoarena.methods.latent_posterior import LatentPosterior, latent_posterior
from cryoarena.methods.ppca_model import PpcaModel, shell_power, whiten
from cryoarena.volumes.slicing import FourierGrid

# in log-likelihood per image
_STALLED = 0.1
_LEAST_CONTRAST_DEVIATION, _MOST_CONTRAST_DEVIATION = 1e-3, 0.5


def _expect(images: BandImages, model: PpcaModel, grid: FourierGrid) -> Iterator[tuple[Batch, LatentPosterior]]:
    """Yield each batch with the posterior of its latents."""
    values = grid.from_volumes(model.volumes)
    points, n_shells = images.points, images.n_shells
    for batch in images.batches():
        products = grid.gram(values, points, batch.rotations, batch.data, batch.ctf)
        # The volumes are uncertain: E|V|² is |E V|² plus their variance.
        transfer = torch.zeros(products.shape[:2], device=products.device)
        transfer.index_add_(1, points.shell, batch.ctf**2)
        torch.diagonal(products, dim1=2, dim2=3)[:, :, 1:] += transfer[:, :, None] * model.variance.T[:n_shells]
        yield batch, latent_posterior(products, model.noise[:n_shells], model.contrast_deviation)


def iterate(
    images: BandImages, model: PpcaModel, latents: Tensor | None, step: Callable[[int], None]
) -> tuple[PpcaModel, float]:
    """Do one E-step and one M-step over all images of a band.

    Args:
        images: N of them.
        model: of the iteration before.
        latents: (N, q) that stand for the posterior in the first iteration, whose components are zero.
        step: told how many images are done.

    Returns:
        The next model, and the log-likelihood per image of the one before.
    """
    size, box_px = model.volumes.shape[:2]
    n_shells, count, device = box_px // 2 + 1, images.count, model.volumes.device
    points, radius = images.points, images.grid.radius
    grid = FourierGrid(box_px, radius, device)
    precision = 1 / model.noise[points.shell]
    sums = JointSums(grid, points, size)
    residual_power = torch.zeros(n_shells, dtype=torch.float64, device=device)
    moments = torch.zeros((size, size), dtype=torch.float64, device=device)
    log_likelihood = contrast = contrast_square = 0.0
    done = 0
    for batch, posterior in _expect(images, model, grid):
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
        volumes, variance = whiten(volumes, variance, moments / count)
        # A map that is regularised is too faint: contrasts would grow, and it would fade, without end.
        scale = contrast / count
        volumes, variance = scale * volumes, scale**2 * variance
        deviation = math.sqrt(max(contrast_square / count - (scale - 1) ** 2, 0.0)) / scale
        contrast_deviation = min(max(deviation, _LEAST_CONTRAST_DEVIATION), _MOST_CONTRAST_DEVIATION)
    counts = torch.bincount(points.shell, minlength=n_shells)[:n_shells] * count
    variance = variance * filled
    signal = shell_power(volumes) + variance
    in_band = torch.arange(n_shells, device=device) <= radius
    coefficients = torch.log(precision / math.pi).double().sum()
    return (
        PpcaModel(
            volumes,
            model.mask,
            torch.where(counts > 0, (residual_power / counts.clamp(min=1)).float(), model.noise),
            torch.where(in_band, signal, model.signal),
            variance,
            contrast_deviation,
        ),
        log_likelihood / count + float(coefficients),
    )


def _latent_moments(posterior: LatentPosterior) -> Tensor:
    """Return Σ E[(1, z)(1, z)ᵀ] (q + 1, q + 1) over images."""
    z = torch.cat([torch.ones_like(posterior.mean[:, :1]), posterior.mean], dim=1).double()
    moments = z.T @ z
    moments[1:, 1:] += posterior.covariance.double().sum(dim=0)
    return moments


def told(iteration: int, radius: float, log_likelihood: float, model: PpcaModel) -> dict[str, float]:
    """Return what the history tells of an iteration; the log-likelihood is that of the model before it."""
    flat = model.volumes[1:].flatten(1)
    strengths = torch.linalg.svdvals(flat @ flat.T).sqrt()
    return {
        "iteration": iteration + 1.0,
        "radius_px": radius,
        "log_likelihood_per_image": log_likelihood,
        "contrast_deviation": model.contrast_deviation,
    } | {f"strength_{k + 1}": float(value) for k, value in enumerate(strengths)}


def has_stalled(history: History, radius: float) -> bool:
    """Tell whether the last iteration within `radius` gained hardly any likelihood.

    The first likelihood says little: it is of volumes whose variance is not known.
    """
    found = [row["log_likelihood_per_image"] for row in history if row["radius_px"] == radius]
    return len(found) > 2 and found[-1] - found[-2] < _STALLED


def embed(images: BandImages, model: PpcaModel, step: Callable[[int], None]) -> tuple[Tensor, Tensor, Tensor]:
    """Return posterior mean (N, q) and covariance (N, q, q) of the latents and the contrast (N,) in a band."""
    grid = FourierGrid(model.volumes.shape[-1], images.grid.radius, model.volumes.device)
    found = []
    done = 0
    for batch, posterior in _expect(images, model, grid):
        found.append((posterior.mean, posterior.covariance, posterior.contrast))
        done += len(batch.rows)
        step(done)
    means, covariances, contrasts = zip(*found, strict=True)
    return torch.cat(means), torch.cat(covariances), torch.cat(contrasts)


def principal_turn(components: Tensor) -> Tensor:
    """Return T (q, q): latents z T are along orthogonal axes, the strongest first, with distances as of the maps.

    Args:
        components: (q, D, D, D), whose latents have unit prior variance.
    """
    flat = components.flatten(1)
    variance, axes = torch.linalg.eigh((flat @ flat.T).double())
    order = torch.argsort(variance, descending=True)
    strength = variance[order].clamp(min=1e-12 * variance.max().clamp(min=1e-30)).sqrt()
    turn: Tensor = (axes[:, order] * strength).float()
    return turn
