"""Populations of the states from how likely every image is in each of them, in three ways."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryoarena.metrics.mixture_weights import mixture_weights, weights_covariance

_ITERATIONS = 300


@dataclass(frozen=True)
class Populations:
    """Estimated populations.

    Attributes:
        weights: (K,), sum 1.
        covariance: (K, K) of the weights over particles.
        n: number of particles behind them.
    """

    weights: NDArray[np.float64]
    covariance: NDArray[np.float64]
    n: int


def population_estimates(likelihood: NDArray[np.floating]) -> dict[str, Populations]:
    """Return populations by `counting`, `posterior_mean` and `maximum_likelihood`.

    Counting gives an image to its most likely state (in equal parts where several are); the posterior mean divides it
    in proportion to the likelihoods, that is, with an even prior. Both are biased once states are confused. Maximum
    likelihood is not, but where they are confused strongly its variance is large: it stops where the data can no longer
    tell (a total log likelihood within 1 of the highest), on the way from even populations.

    Args:
        likelihood: (N, K), each row up to a factor.
    """
    rows = np.asarray(likelihood, np.float64)
    n = len(rows)
    best = (rows == rows.max(axis=1, keepdims=True)).astype(np.float64)
    weights = mixture_weights(rows, _ITERATIONS, tolerance=1 / n)
    return {
        "counting": mean_population(best / best.sum(axis=1, keepdims=True)),
        "posterior_mean": mean_population(rows / rows.sum(axis=1, keepdims=True)),
        "maximum_likelihood": Populations(weights, weights_covariance(rows, weights), n),
    }


def mean_population(shares: NDArray[np.float64]) -> Populations:
    """Return the mean of the shares (N, K) that every image has in every state; each row has the sum 1."""
    n = len(shares)
    weights = shares.mean(axis=0)
    return Populations(weights, (shares.T @ shares / n - np.outer(weights, weights)) / n, n)
