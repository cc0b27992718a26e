"""Latents of images under a mixture of normal distributions that is learnt from the same images."""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from torch import Tensor

_COMPONENTS = 20
_LEAST_IMAGES_PER_COMPONENT = 50
_KMEANS_STARTS, _KMEANS_ITERATIONS = 10, 30
# of images, in so many dimensions as a latent has, that pull the covariance of a component to the one of all
_PRIOR_IMAGES = 5
# of the variance of all latents
_LEAST_VARIANCE = 1e-6
_LEAST_WEIGHT = 1e-6
_LEARNT_FROM = 20_000
_ITERATIONS = 60
# in log-likelihood per image
_STALLED = 2e-3
_NUMBERS_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class LatentLikelihood:
    """What images alone say of their latents, log p(image | z) = hᵀz - ½ zᵀGz + constant.

    Attributes:
        information: h (N, q).
        precision: G (N, q, q).
    """

    information: Tensor
    precision: Tensor

    @staticmethod
    def of_posterior(mean: Tensor, covariance: Tensor) -> "LatentLikelihood":
        """Take N(0, I) out of posterior means (N, q) and covariances (N, q, q)."""
        both = torch.linalg.inv(covariance.double())
        values, axes = torch.linalg.eigh(both - torch.eye(both.shape[1], dtype=both.dtype, device=both.device))
        precision = axes @ torch.diag_embed(values.clamp(min=0)) @ axes.transpose(1, 2)
        return LatentLikelihood((both @ mean.double()[:, :, None])[:, :, 0], precision)

    def __len__(self) -> int:
        return len(self.information)

    def some(self, rows: slice) -> "LatentLikelihood":
        """Return those of some images."""
        return LatentLikelihood(self.information[rows], self.precision[rows])


def latent_mixture(likelihood: LatentLikelihood, share: Tensor, means: Tensor) -> tuple[Tensor, Tensor]:
    """Return the posterior mean (N, q) and covariance (N, q, q) of latents under z ~ Σ π_k N(m_k, S_k).

    A normal prior draws all latents to one centre, wherever the others are; a mixture draws them to where latents are.
    It is learnt by EM from the likelihoods (extreme deconvolution: Bovy, Hogg & Roweis 2011, doi:10.1214/10-AOAS439),
    of 20,000 images at most, with covariances that are drawn to their mean (Fraley & Raftery 2007,
    doi:10.1007/s00357-007-0004-5).

    Args:
        likelihood: of N images, for latents of about unit variance.
        share: (N, K) of each image in the components, where EM starts.
        means: (K, q) of the components, where EM starts.
    """
    every = max(1, math.ceil(len(likelihood) / _LEARNT_FROM))
    learnt = likelihood.some(slice(None, None, every))
    mixture = _Mixture.start(learnt, share[::every].double(), means.double())
    before = -math.inf
    for _ in range(_ITERATIONS):
        mixture, log_likelihood = mixture.improved(learnt)
        if log_likelihood - before < _STALLED:
            break
        before = log_likelihood
    found = [(part.mean, part.covariance) for part in mixture.posteriors(likelihood)]
    mean, covariance = (torch.cat(parts).float() for parts in zip(*found, strict=True))
    return mean, covariance


def mixture_of_clusters(mean: Tensor, covariance: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Return `latent_mixture` of posteriors under N(0, I), from clusters of their means.

    Args:
        mean: (N, q).
        covariance: (N, q, q).
        seed: of the clusters.
    """
    count = min(_COMPONENTS, max(1, len(mean) // _LEAST_IMAGES_PER_COMPONENT))
    labels = torch.as_tensor(clusters(mean.cpu().numpy(), count, seed), device=mean.device)
    share = torch.nn.functional.one_hot(labels, count).to(mean.dtype)
    means = share.T @ mean / share.sum(dim=0).clamp(min=1)[:, None]
    return latent_mixture(LatentLikelihood.of_posterior(mean, covariance), share, means)


def clusters(latents: NDArray[np.float32], n_clusters: int, seed: int) -> NDArray[np.int64]:
    """Return (N,) clusters of latents (N, q) by k-means: the tightest of ten that start from other centres."""
    rng = np.random.default_rng(seed)
    tried = []
    for _ in range(_KMEANS_STARTS):
        with warnings.catch_warnings():
            # of empty clusters
            warnings.simplefilter("ignore", UserWarning)
            centres, labels = kmeans2(latents, n_clusters, _KMEANS_ITERATIONS, minit="++", rng=rng)
        tried.append((float(((latents - centres[labels]) ** 2).sum()), labels.astype(np.int64)))
    return min(tried, key=lambda found: found[0])[1]


@dataclass(frozen=True)
class _Posterior:
    """Of n images: log-likelihood (n,), share (n, K), and per component E[z] (n, K, q) and covariance (n, K, q, q)."""

    log_likelihood: Tensor
    share: Tensor
    means: Tensor
    covariances: Tensor

    @property
    def mean(self) -> Tensor:
        return torch.einsum("nk,nki->ni", self.share, self.means)

    @property
    def second(self) -> Tensor:
        """Return E[zzᵀ] (n, K, q, q) per component."""
        return self.covariances + self.means[..., :, None] * self.means[..., None, :]

    @property
    def covariance(self) -> Tensor:
        mean = self.mean
        return torch.einsum("nk,nkij->nij", self.share, self.second) - mean[:, :, None] * mean[:, None, :]


@dataclass(frozen=True)
class _Mixture:
    """Weights (K,), means (K, q) and covariances (K, q, q)."""

    weights: Tensor
    means: Tensor
    covariances: Tensor

    @staticmethod
    def start(likelihood: LatentLikelihood, share: Tensor, means: Tensor) -> "_Mixture":
        """Take the spread of latents around the means, each image by itself under N(0, I)."""
        identity = torch.eye(means.shape[1], dtype=means.dtype, device=means.device)
        alone = torch.linalg.solve(likelihood.precision + identity, likelihood.information)
        off = alone - share @ means
        spread = off.T @ off / len(off) + _LEAST_VARIANCE * identity
        weights = share.mean(dim=0).clamp(min=_LEAST_WEIGHT)
        return _Mixture(weights, means, spread.expand(len(means), -1, -1))

    def improved(self, likelihood: LatentLikelihood) -> tuple["_Mixture", float]:
        """Do one step of EM; also return the log-likelihood per image of this mixture."""
        total = 0.0
        count, first, second = (torch.zeros_like(each) for each in (self.weights, self.means, self.covariances))
        for part in self.posteriors(likelihood):
            total += float(part.log_likelihood.sum())
            count += part.share.sum(dim=0)
            first += torch.einsum("nk,nki->ki", part.share, part.means)
            second += torch.einsum("nk,nkij->kij", part.share, part.second)
        some = count.clamp(min=_LEAST_WEIGHT)
        means = torch.where(count[:, None] > _LEAST_WEIGHT, first / some[:, None], self.means)
        scatter = second - count[:, None, None] * means[:, :, None] * means[:, None, :]
        identity = torch.eye(means.shape[1], dtype=means.dtype, device=means.device)
        common = scatter.sum(dim=0) / count.sum() + _LEAST_VARIANCE * identity
        prior = _PRIOR_IMAGES * means.shape[1]
        covariances = (scatter + prior * common) / (count + prior)[:, None, None]
        return _Mixture(some / some.sum(), means, covariances), total / len(likelihood)

    def posteriors(self, likelihood: LatentLikelihood) -> Iterator[_Posterior]:
        """Yield posteriors of all images in batches."""
        precision = torch.linalg.inv(self.covariances)
        information = (precision @ self.means[:, :, None])[:, :, 0]
        constant = torch.log(self.weights) + 0.5 * torch.logdet(precision) - 0.5 * (information * self.means).sum(dim=1)
        at_once = max(1, _NUMBERS_AT_ONCE // precision.numel())
        for start in range(0, len(likelihood), at_once):
            some = likelihood.some(slice(start, start + at_once))
            root = torch.linalg.cholesky(some.precision[:, None] + precision)
            covariances = torch.cholesky_inverse(root)
            both = some.information[:, None] + information
            means = (covariances @ both[..., None])[..., 0]
            log_share = (
                constant
                + 0.5 * (both * means).sum(dim=2)
                - torch.log(torch.diagonal(root, dim1=-2, dim2=-1)).sum(dim=2)
            )
            total = torch.logsumexp(log_share, dim=1)
            yield _Posterior(total, torch.exp(log_share - total[:, None]), means, covariances)
