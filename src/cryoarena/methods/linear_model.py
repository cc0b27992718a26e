"""The linear latent model of images: y = a · CTF · slice(mean + Σ_m z_m component_m) + noise, with z ~ N(0, prior).

Posterior and updates are those of probabilistic PCA (Tipping & Bishop 1999, doi:10.1111/1467-9868.00196) for
projections (Tagare et al. 2015, doi:10.1016/j.jsb.2015.05.007), with a contrast a ~ N(1, s²) per image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from cryoarena.volumes.slicing import FourierGrid, shell_means

_SOLVE_VOXELS = 1 << 18
_CONTRAST_TURNS = 3


@dataclass(frozen=True)
class LatentPosterior:
    """Gaussian posteriors of N images.

    Attributes:
        mean: (N, q).
        covariance: (N, q, q).
        contrast: (N,) posterior mean of the contrast.
        contrast_square: (N,) its posterior second moment.
        prior: (q, q) covariance of the latents.
        contrast_variance: s².
    """

    mean: Tensor
    covariance: Tensor
    contrast: Tensor
    contrast_square: Tensor
    prior: Tensor
    contrast_variance: float

    @property
    def second_moment(self) -> Tensor:
        """Return E[z zᵀ] (N, q, q)."""
        return self.covariance + self.mean[:, :, None] * self.mean[:, None, :]


def latent_posterior(
    products: Tensor, prior: Tensor, contrast_variance: float, before: LatentPosterior | None = None
) -> LatentPosterior:
    """Return the posterior given the prior; contrast and latents by turns, independent given the images.

    Args:
        products: (N, q + 2, q + 2) inner products over half the noise variance: of the image (index 0), the mean (1)
            and the components.
        prior: (q, q).
        contrast_variance: s²; 0 fixes every contrast at 1.
        before: a posterior to take one turn from; by default several turns are taken from a contrast of 1.
    """
    gram, with_mean, with_image = products[:, 2:, 2:], products[:, 2:, 1], products[:, 2:, 0]
    precision = torch.linalg.inv(prior)
    contrast = torch.ones(len(products), device=products.device) if before is None else before.contrast
    square = contrast**2 if before is None else before.contrast_square
    for _ in range(_CONTRAST_TURNS if contrast_variance and before is None else 1):
        factor = torch.linalg.cholesky(precision + square[:, None, None] * gram)
        covariance = torch.cholesky_inverse(factor)
        right = contrast[:, None] * with_image - square[:, None] * with_mean
        mean = (covariance @ right[:, :, None])[:, :, 0]
        if contrast_variance:
            power = (
                products[:, 1, 1]
                + 2 * (mean * with_mean).sum(dim=1)
                + (gram * (covariance + mean[:, :, None] * mean[:, None, :])).sum(dim=(1, 2))
            )
            likeness = products[:, 0, 1] + (mean * with_image).sum(dim=1)
            variance = 1 / (power + 1 / contrast_variance)
            contrast = (likeness + 1 / contrast_variance) * variance
            square = contrast**2 + variance
    return LatentPosterior(mean, covariance, contrast, square, prior, contrast_variance)


def fit_prior(products: Tensor, prior: Tensor, contrast_variance: float, iterations: int) -> LatentPosterior:
    """Return the posterior with the prior covariance and contrast variance of largest likelihood, by EM."""
    found = latent_posterior(products, prior, contrast_variance)
    for _ in range(iterations):
        prior = found.second_moment.mean(dim=0)
        if contrast_variance:
            contrast_variance = float((found.contrast_square - 2 * found.contrast + 1).mean())
        found = latent_posterior(products, prior, contrast_variance, found)
    return found


def residual_power(gram: Tensor, posterior: LatentPosterior) -> Tensor:
    """Return E|image - contrast · prediction|² summed by shell (S,).

    Args:
        gram: (n, S, q + 2, q + 2) inner products by shell.
        posterior: of the n images.
    """
    mean, second_moment = posterior.mean, posterior.second_moment
    one = torch.ones_like(mean[:, :1])
    first = torch.cat([one, mean], dim=1)
    moments = torch.cat(
        [first[:, None, :], torch.cat([mean[:, :, None], second_moment], dim=2)],
        dim=1,
    )
    likeness = torch.einsum("nsm,nm->ns", gram[:, :, 0, 1:], first)
    power = torch.einsum("nsab,nab->ns", gram[:, :, 1:, 1:], moments)
    by_image = (
        gram[:, :, 0, 0] - 2 * posterior.contrast[:, None] * likeness + posterior.contrast_square[:, None] * power
    )
    return by_image.sum(dim=0)


def solve_maps(data: Tensor, weight: Tensor, pairs: Tensor, signal: Tensor, grid: FourierGrid) -> tuple[Tensor, Tensor]:
    """Solve the normal equations of M maps at every grid voxel.

    Args:
        data: (V, M, 2).
        weight: (V, W) of the pairs of maps.
        pairs: (2, W) their numbers, upper triangle.
        signal: (M, S) prior power by shell.
        grid: of the sums.

    Returns:
        values (V, M, 2) and the mean posterior variance by shell (M, S).
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
