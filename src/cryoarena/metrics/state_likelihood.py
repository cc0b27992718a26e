"""How likely the latent of an image is in each true state."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

_NO_SPREAD = 1e-9


def state_likelihood(
    embedding: NDArray[np.float64], labels: NDArray[np.int64], n_states: int, seed: int
) -> NDArray[np.float64]:
    """Return (N, K) likelihoods of every row of `embedding` in each state, each row up to a factor.

    A state is a normal distribution with the mean of its own latents and the covariance common to all states (as in
    linear discriminant analysis, Fisher 1936). Means and covariance come from the other half of the images, so that no
    image votes for itself. No population enters. Directions without any spread are ignored; a state that the other
    half lacks has likelihood 0.

    Args:
        embedding: (N, d) without NaN.
        labels: (N,) true state of each row, 0 … K - 1.
        n_states: K.
        seed: of the halves, which share every state evenly.
    """
    half = _even_halves(labels, seed)
    likelihood = np.empty((len(embedding), n_states))
    for which in (0, 1):
        learn, judge = half != which, half == which
        likelihood[judge] = _likelihood(embedding[judge], embedding[learn], labels[learn], n_states)
    return likelihood


def _even_halves(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return 0 or 1 per row, alternating within every state in random order."""
    lot = np.random.default_rng(seed).permutation(len(labels))
    order = lot[np.argsort(labels[lot], kind="stable")]
    half = np.empty(len(labels), np.int64)
    half[order] = np.arange(len(labels)) % 2
    return half


def _likelihood(
    rows: NDArray[np.float64], learned: NDArray[np.float64], labels: NDArray[np.int64], n_states: int
) -> NDArray[np.float64]:
    size = np.bincount(labels, minlength=n_states)
    total = np.stack([np.bincount(labels, column, n_states) for column in learned.T], axis=1)
    means = total / np.maximum(size, 1)[:, None]
    freedom = max(1, len(labels) - int(np.count_nonzero(size)))
    whiten = _whitening(learned - means[labels], learned.var(axis=0).sum(), freedom)
    squared = cdist(rows @ whiten, means @ whiten, "sqeuclidean")
    squared[:, size == 0] = np.inf
    return np.asarray(np.exp((squared.min(axis=1, keepdims=True) - squared) / 2))


def _whitening(deviation: NDArray[np.float64], variance: float, freedom: int) -> NDArray[np.float64]:
    """Return (d, r) that makes the covariance of the deviations the identity in the r directions that have spread.

    Where states have no spread at all, their distance decides: the spread is then taken as a tiny one.
    """
    values, vectors = np.linalg.eigh(deviation.T @ deviation / freedom)
    # Not smaller: squares of whitened coordinates have to stay finite.
    floor = max(_NO_SPREAD**2 * variance, 1e-200)
    return np.asarray(vectors / np.sqrt(np.maximum(values, floor)))
