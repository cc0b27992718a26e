"""The posterior of latents and contrast against brute force on images made by the model itself."""

import math

import pytest
import torch
from torch import Tensor

from cryoarena.methods.latent_posterior import latent_posterior

POINTS, Q, SHELLS = 60, 2, 3
SHELL = torch.arange(POINTS) % SHELLS
NOISE = torch.tensor([0.5, 1.0, 2.0])


def model(n: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return slices (n, P, 1 + q), latents, contrasts and noisy data of n images."""
    generator = torch.Generator().manual_seed(seed)
    slices = torch.randn((n, POINTS, 1 + Q), generator=generator, dtype=torch.complex64)
    slices[:, :, 0] *= 2
    z = torch.randn((n, Q), generator=generator)
    a = 1 + 0.2 * torch.randn(n, generator=generator)
    clean = a[:, None] * torch.einsum("npm,nm->np", slices, torch.cat([torch.ones(n, 1), z], dim=1).to(slices.dtype))
    noise = torch.randn((n, POINTS), generator=generator, dtype=torch.complex64) * NOISE[SHELL].sqrt()
    return slices, z, a, clean + noise


def products(slices: Tensor, data: Tensor) -> Tensor:
    every = torch.cat([data[:, :, None], slices], dim=2)
    by_shell = [every[:, shell == SHELL] for shell in range(SHELLS)]
    return torch.stack([(part.mH @ part).real for part in by_shell], dim=1)


@pytest.mark.parametrize("deviation", [0.2, 0.02])
def test_it_is_the_integral_over_latents_and_contrast(deviation: float) -> None:
    slices, _, _, data = model(3)
    found = latent_posterior(products(slices, data), NOISE, deviation)
    axis = torch.linspace(-4, 4, 121, dtype=torch.float64)
    contrasts = torch.linspace(1 - 5 * deviation, 1 + 5 * deviation, 101, dtype=torch.float64)
    for i in range(3):
        a, z1, z2 = torch.meshgrid(contrasts, axis, axis, indexing="ij")
        x = torch.stack([torch.ones_like(z1), z1, z2], dim=-1)
        matrix = (slices[i].mH / NOISE[SHELL] @ slices[i]).real.double()
        onto = (slices[i].mH / NOISE[SHELL] @ data[i]).real.double()
        power = float((data[i].abs() ** 2 / NOISE[SHELL]).sum())
        log = -(a**2) * torch.einsum("...i,ij,...j", x, matrix, x) + 2 * a * (x @ onto) - power
        log = log - (z1**2 + z2**2) / 2 - ((a - 1) / deviation) ** 2 / 2
        cell = float((axis[1] - axis[0]) ** 2 * (contrasts[1] - contrasts[0]))
        expected = float(torch.logsumexp(log.ravel(), 0)) + math.log(cell / ((2 * math.pi) ** 1.5 * deviation))
        assert float(found.log_likelihood[i]) == pytest.approx(expected, abs=0.02)
        share = torch.softmax(log.ravel(), 0).reshape(log.shape)
        assert float(found.contrast[i]) == pytest.approx(float((share * a).sum()), abs=1e-3)
        mean = torch.einsum("abc,abci->i", share, x)[1:]
        torch.testing.assert_close(found.mean[i].double(), mean, atol=2e-3, rtol=0)
        second = torch.einsum("abc,abci,abcj->ij", share, x, x)[1:, 1:]
        torch.testing.assert_close(found.covariance[i].double(), second - mean[:, None] * mean, atol=1e-3, rtol=0)
        weight = torch.einsum("abc,abci,abcj->ij", share * a**2, x, x)
        torch.testing.assert_close(found.of_weight[i].double(), weight, atol=5e-3, rtol=0)
        torch.testing.assert_close(
            found.of_data[i].double(), torch.einsum("abc,abci->i", share * a, x), atol=5e-3, rtol=0
        )


def test_posteriors_are_calibrated_and_the_residual_is_the_noise() -> None:
    slices, z, a, data = model(400)
    found = latent_posterior(products(slices, data), NOISE, 0.2)
    deviation = torch.linalg.solve(found.covariance, (z - found.mean)[:, :, None])[:, :, 0]
    squares = ((z - found.mean) * deviation).sum(dim=1)
    # A χ² of two degrees of freedom: its mean is 2 ± 0.1 over 400 images.
    assert float(squares.mean()) == pytest.approx(Q, abs=0.35)
    assert torch.corrcoef(torch.stack([found.contrast, a]))[0, 1] > 0.8
    per_coefficient = found.residual_power.mean(dim=0) / torch.bincount(SHELL)
    torch.testing.assert_close(per_coefficient, NOISE, rtol=0.03, atol=0)


def test_images_of_nothing_leave_the_prior() -> None:
    found = latent_posterior(torch.zeros(1, SHELLS, Q + 2, Q + 2), NOISE, 0.1)
    torch.testing.assert_close(found.covariance[0], torch.eye(Q))
    assert float(found.contrast) == pytest.approx(1, abs=1e-6)
    assert float(found.contrast_square.sqrt()) == pytest.approx(0.1, rel=0.02)
    assert float(found.log_likelihood) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(("deviation", "strength"), [(0.3, 0.0), (0.5, 0.0), (0.5, 4.0)])
def test_contrasts_that_reach_down_to_zero_are_not_counted_twice(deviation: float, strength: float) -> None:
    """An image that says little of its contrast leaves it to the prior, cut off at the lowest contrast."""
    products = torch.zeros((1, 1, 3, 3))
    products[0, 0, 1, 1] = strength
    found = latent_posterior(products, torch.ones(1), deviation)
    a = torch.linspace(0.01, 5, 50_000, dtype=torch.float64)
    share = torch.softmax(-strength * a**2 - ((a - 1) / deviation) ** 2 / 2, 0)
    assert float(found.contrast[0]) == pytest.approx(float((share * a).sum()), abs=0.02)
    assert float(found.contrast_square[0]) == pytest.approx(float((share * (a - 1) ** 2).sum()), abs=0.02)
