"""Posterior of the latent and the contrast of an image under a linear model of maps."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# The contrast is integrated over on nodes that are laid around its posterior, ever closer.
_NODES, _REFINEMENTS = 13, 3
_REACH_DEVIATIONS = 4.0
_LOWEST_CONTRAST = 1e-2


@dataclass(frozen=True)
class LatentPosterior:
    """What images say of their latents z and contrasts a, given data = a · CTF · P(V₀ + Σ z_k V_k) + noise.

    Attributes:
        mean: (n, q) E[z].
        covariance: (n, q, q) of z.
        contrast: (n,) E[a].
        contrast_square: (n,) E[(a - 1)²].
        of_data: (n, q + 1) E[a (1, z)].
        of_weight: (n, q + 1, q + 1) E[a² (1, z)(1, z)ᵀ].
        residual_power: (n, S) expected |data - prediction|² by shell.
        log_likelihood: (n,) of the data, latent and contrast integrated out, without the constant of the noise.
    """

    mean: Tensor
    covariance: Tensor
    contrast: Tensor
    contrast_square: Tensor
    of_data: Tensor
    of_weight: Tensor
    residual_power: Tensor
    log_likelihood: Tensor


def latent_posterior(products: Tensor, noise: Tensor, contrast_deviation: float) -> LatentPosterior:
    """Integrate over z ~ N(0, I) exactly and over a ~ N(1, s²) by quadrature.

    With y the data, B₀ the CTF times the slice of the mean and B those of the components, and inner products
    weighted by 1/σ² (log p = -|r|²/σ²: complex noise of variance σ² per coefficient), z given a is normal with
    precision Λ = I + 2 a² BᵀB and mean Λ⁻¹ h, h = 2 a Bᵀy - 2 a² BᵀB₀, and

        log p(y | a) = -|y - a B₀|² + ½ hᵀ Λ⁻¹ h - ½ log det Λ.

    The eigenvectors of BᵀB make it a sum over components, so that one decomposition serves all nodes. (Tagare et al.
    2015, doi:10.1016/j.jsb.2015.05.007, without contrast; a contrast per image as in Gilles & Singer 2025,
    doi:10.1073/pnas.2419140122, integrated over here.)

    Args:
        products: (n, S, q + 2, q + 2) inner products by shell of the data, of the CTF times the slice of the mean, and
            of those of the components, in this order (`FourierGrid.gram`).
        noise: (S,) σ² by shell.
        contrast_deviation: s.
    """
    weighted = torch.einsum("nsij,s->nij", products, 1 / noise).double()
    data_data, data_mean, data_basis = weighted[:, 0, 0], weighted[:, 0, 1], weighted[:, 0, 2:]
    mean_mean, mean_basis, basis_basis = weighted[:, 1, 1], weighted[:, 1, 2:], weighted[:, 2:, 2:]
    strength, axes = torch.linalg.eigh(basis_basis)
    strength = strength.clamp(min=0)
    data_axes = (data_basis[:, None] @ axes)[:, 0]
    mean_axes = (mean_basis[:, None] @ axes)[:, 0]

    centre = torch.ones_like(data_data)
    deviation = torch.full_like(data_data, contrast_deviation)
    steps = torch.linspace(-1, 1, _NODES, dtype=torch.float64, device=products.device)
    for _ in range(_REFINEMENTS):
        reach = _REACH_DEVIATIONS * deviation
        nodes = centre[:, None] + reach[:, None] * steps
        a = nodes.clamp(min=_LOWEST_CONTRAST)
        precision = 1 + 2 * a[:, :, None] ** 2 * strength[:, None]
        z = 2 * a[:, :, None] * (data_axes[:, None] - a[:, :, None] * mean_axes[:, None]) / precision
        log_density = (
            2 * a * data_mean[:, None]
            - a**2 * mean_mean[:, None]
            - data_data[:, None]
            + 0.5 * (z**2 * precision).sum(dim=2)
            - 0.5 * torch.log(precision).sum(dim=2)
            - 0.5 * ((a - 1) / contrast_deviation) ** 2
        )
        # Of the nodes below the lowest contrast none counts: together they would weigh several times as much as one.
        log_density = log_density.masked_fill(nodes < _LOWEST_CONTRAST, -torch.inf)
        share = torch.softmax(log_density, dim=1)
        centre = (share * a).sum(dim=1)
        spread = (share * (a - centre[:, None]) ** 2).sum(dim=1).sqrt()
        # Between two nodes the spread is not known.
        deviation = torch.maximum(spread, reach / _NODES)
    spacing = 2 * reach / (_NODES - 1)
    log_likelihood = (
        torch.logsumexp(log_density, dim=1) + torch.log(spacing / contrast_deviation) - 0.5 * math.log(2 * math.pi)
    )

    def moment(power: int) -> tuple[Tensor, Tensor]:
        """Return E[aᵖ z] (n, q) and E[aᵖ z zᵀ] (n, q, q) along the eigenvectors."""
        by_node = share * a**power
        first = (by_node[:, :, None] * z).sum(dim=1)
        variance = (by_node[:, :, None] / precision).sum(dim=1)
        second = torch.einsum("ng,ngi,ngj->nij", by_node, z, z) + torch.diag_embed(variance)
        return first, second

    def turned(first: Tensor) -> Tensor:
        back: Tensor = (axes @ first[:, :, None])[:, :, 0]
        return back

    mean, second = moment(0)
    covariance = axes @ (second - mean[:, :, None] * mean[:, None, :]) @ axes.transpose(1, 2)
    first_by_a, _ = moment(1)
    first_by_square, second_by_square = moment(2)
    of_data = torch.cat([centre[:, None], turned(first_by_a)], dim=1)
    squares = (share * a**2).sum(dim=1)
    border = turned(first_by_square)[:, :, None]
    block = axes @ second_by_square @ axes.transpose(1, 2)
    top = torch.cat([squares[:, None, None], border.transpose(1, 2)], dim=2)
    of_weight = torch.cat([top, torch.cat([border, block], dim=2)], dim=1).float()
    of_data = of_data.float()
    residual_power = (
        products[:, :, 0, 0]
        - 2 * torch.einsum("nsm,nm->ns", products[:, :, 0, 1:], of_data)
        + torch.einsum("nsij,nij->ns", products[:, :, 1:, 1:], of_weight)
    )
    return LatentPosterior(
        mean=turned(mean).float(),
        covariance=covariance.float(),
        contrast=centre.float(),
        contrast_square=(share * (a - 1) ** 2).sum(dim=1).float(),
        of_data=of_data,
        of_weight=of_weight,
        residual_power=residual_power,
        log_likelihood=log_likelihood,
    )
