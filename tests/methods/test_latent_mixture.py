"""Latents drawn from known mixtures and seen through known noise."""

import numpy as np
import torch

from cryoarena.methods.latent_mixture import LatentLikelihood, latent_mixture, mixture_of_clusters

RNG = np.random.default_rng(0)
N = 3000


def seen(latents: np.ndarray, precision: np.ndarray) -> LatentLikelihood:
    """Add noise of a precision (n, q, q) to latents."""
    root = np.linalg.cholesky(np.linalg.inv(precision))
    measured = latents + np.einsum("nij,nj->ni", root, RNG.normal(size=latents.shape))
    information = np.einsum("nij,nj->ni", precision, measured)
    return LatentLikelihood(torch.from_numpy(information), torch.from_numpy(precision))


def under_standard_normal(likelihood: LatentLikelihood) -> tuple[torch.Tensor, torch.Tensor]:
    covariance = torch.linalg.inv(likelihood.precision + torch.eye(likelihood.information.shape[1]))
    return (covariance @ likelihood.information[:, :, None])[:, :, 0], covariance


def test_one_normal_distribution_gives_the_posterior_of_the_textbook() -> None:
    # z ~ N(2, 0.25), seen with precision 4 each: the posterior is N((4 y + 4 · 2) / 8, 1/8).
    precision = np.full((N, 1, 1), 4.0)
    likelihood = seen(RNG.normal(2, 0.5, size=(N, 1)), precision)
    mean, covariance = latent_mixture(likelihood, torch.ones((N, 1)), torch.zeros((1, 1)))
    measured = likelihood.information / 4
    torch.testing.assert_close(mean, ((4 * measured + 8) / 8).float(), atol=0.1, rtol=0)
    torch.testing.assert_close(covariance, torch.full_like(covariance, 1 / 8), atol=0.01, rtol=0)


def test_states_are_told_apart_by_what_images_of_other_views_say() -> None:
    # Four states; an image sees one of the two directions well and hardly the other.
    state = RNG.integers(4, size=N)
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1.0]])
    well = RNG.random(N) < 0.5
    precision = np.zeros((N, 2, 2))
    precision[:, 0, 0] = np.where(well, 16, 3)
    precision[:, 1, 1] = np.where(well, 3, 16)
    likelihood = seen(corners[state], precision)
    alone = under_standard_normal(likelihood)
    mean, covariance = mixture_of_clusters(*(each.float() for each in alone), seed=0)
    off, off_alone = (np.linalg.norm(each.numpy() - corners[state], axis=1) for each in (mean, alone[0]))
    assert np.mean(off**2) < 0.5 * np.mean(off_alone**2)
    # What it says of its own error is the error, or more: EM ends before the components are points.
    assert 0.6 < np.mean(off**2) / torch.diagonal(covariance, dim1=1, dim2=2).sum(dim=1).mean().item() < 1.25


def test_a_curve_is_not_broken_into_states() -> None:
    angle = RNG.uniform(0, 2 * np.pi, N)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1) * np.sqrt(2)
    likelihood = seen(circle, np.tile(20 * np.eye(2), (N, 1, 1)))
    alone = under_standard_normal(likelihood)
    mean, _ = mixture_of_clusters(*(each.float() for each in alone), seed=0)
    assert np.mean((mean.numpy() - circle) ** 2) < 0.8 * np.mean((alone[0].numpy() - circle) ** 2)
    found = np.arctan2(mean[:, 1].numpy(), mean[:, 0].numpy()) % (2 * np.pi)
    # All angles are equally frequent: gaps and heaps of 20 components would be far beyond chance.
    counts, _ = np.histogram(found, 60, (0, 2 * np.pi))
    assert counts.min() > 20
    assert counts.max() < 95


def test_the_prior_of_a_posterior_is_taken_out() -> None:
    precision = np.tile(np.array([[3.0, 1.0], [1.0, 2.0]]), (5, 1, 1))
    likelihood = seen(RNG.normal(size=(5, 2)), precision)
    again = LatentLikelihood.of_posterior(*under_standard_normal(likelihood))
    torch.testing.assert_close(again.precision, likelihood.precision)
    torch.testing.assert_close(again.information, likelihood.information)


def test_images_that_say_nothing_and_few_images_give_finite_latents() -> None:
    nothing = torch.zeros((40, 3)), torch.eye(3).expand(40, -1, -1)
    mean, covariance = mixture_of_clusters(*nothing, seed=0)
    assert mean.isfinite().all()
    assert covariance.isfinite().all()
    one, _ = mixture_of_clusters(nothing[0][:1], nothing[1][:1], seed=0)
    assert one.isfinite().all()
