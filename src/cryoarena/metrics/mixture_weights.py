"""Populations by maximum likelihood."""

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError

_BACKTRACKS = 10


def mixture_weights(
    likelihood: NDArray[np.floating], iterations: int = 2000, tolerance: float = 1e-6
) -> NDArray[np.float64]:
    """Return the weights w (K,) that maximise mean_i ln sum_k w_k p(y_i | k).

    Counting the most probable states, or averaging posteriors, is biased towards even populations (or towards the
    prior) as soon as states are confused; this is not (Evans et al. 2026, Commun. Biol.). The fixed point is
    w_k <- w_k mean_i p(y_i | k) / sum_l w_l p(y_i | l), reached by squared extrapolation (Varadhan & Roland 2008,
    Scand. J. Stat. 35:335) of that step.

    Args:
        likelihood: (N, K) p(y_i | k) >= 0, each row up to a factor of its own. A posterior will do after division by
            the prior that it was computed with.
        iterations: at most.
        tolerance: stop when the mean log likelihood is proven to be within it of the highest one: the problem is
            concave, and max_k mean_i p(y_i | k) / sum_l w_l p(y_i | l) - 1 bounds what is missing.

    Raises:
        UserError: when a row is negative, not finite, or zero throughout.
    """
    scaled = _scaled(likelihood)
    w = np.full(scaled.shape[1], 1 / scaled.shape[1])
    for _ in range(iterations):
        growth = _growth(scaled, w)
        if growth.max() - 1 < tolerance:
            break
        once = w * growth
        twice = once * _growth(scaled, once)
        w = _extrapolated(scaled, w, once, twice)
    return w


def weights_covariance(likelihood: NDArray[np.floating], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (K, K) covariance of the maximum-likelihood weights from the observed information.

    With J_kl = mean_i p_ik p_il / f_i², f_i = sum_k w_k p_ik, it is (J⁻¹ - w wᵀ) / N on the states whose weight is not
    zero; where the images cannot tell states apart, it is as large as weights can vary.
    """
    scaled = _scaled(likelihood)
    n, k = scaled.shape
    active = np.flatnonzero(weights > 1e-9)
    root = np.sqrt(weights[active])
    relative = scaled[:, active] / (scaled @ weights)[:, None] * root
    # eigenvalues lie in 0 … 1; one below 1/N would mean a standard deviation larger than the range of the weights
    values, vectors = np.linalg.eigh(relative.T @ relative / n)
    inverse = (vectors / np.maximum(values, 1 / n)) @ vectors.T
    covariance = np.zeros((k, k))
    covariance[np.ix_(active, active)] = (inverse - np.outer(root, root)) * np.outer(root, root) / n
    return covariance


def _scaled(likelihood: NDArray[np.floating]) -> NDArray[np.float64]:
    rows = np.asarray(likelihood, np.float64)
    highest = rows.max(axis=1)
    bad = np.flatnonzero(~(np.isfinite(rows).all(axis=1) & (rows >= 0).all(axis=1) & (highest > 0)))
    if bad.size:
        raise UserError(f"row {bad[0]} of the likelihoods is negative, not finite, or zero for every state; correct it")
    return np.asarray(rows / highest[:, None])


def _growth(likelihood: NDArray[np.float64], w: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((1 / (likelihood @ w)) @ likelihood / len(likelihood))


def _extrapolated(
    likelihood: NDArray[np.float64], w: NDArray[np.float64], once: NDArray[np.float64], twice: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a long step along the path of two short ones, shortened until it is no worse than they are."""
    step, bend = once - w, twice - 2 * once + w
    length = np.linalg.norm(step) / max(float(np.linalg.norm(bend)), 1e-300)
    reached = float(np.log(likelihood @ twice).mean())
    for _ in range(_BACKTRACKS):
        if length <= 1:
            break
        # weights that reached 0 could never leave it
        tried = np.maximum(w + 2 * length * step + length**2 * bend, twice * 1e-3)
        tried /= tried.sum()
        if float(np.log(likelihood @ tried).mean()) >= reached:
            return np.asarray(tried)
        length = (length + 1) / 2
    return twice
