"""Distances between estimated and true populations, each with its derivative so that errors carry over."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import eye_array, kron
from scipy.spatial.distance import cdist


@dataclass(frozen=True)
class Distance:
    """A distance between populations.

    Attributes:
        value: of the distance.
        gradient: (K,) derivative with respect to the estimated populations.
    """

    value: float
    gradient: NDArray[np.float64]

    def standard_error(self, covariance: NDArray[np.float64]) -> float:
        """Return the standard error that the covariance (K, K) of the estimated populations brings (delta method)."""
        return float(np.sqrt(np.maximum(self.gradient @ covariance @ self.gradient, 0)))


def l1_distance(estimated: NDArray[np.float64], true: NDArray[np.float64]) -> Distance:
    """Return sum_k |estimated - true| (0 … 2) of populations (K,)."""
    difference = estimated - true
    return Distance(float(np.abs(difference).sum()), np.sign(difference))


def kl_divergence(estimated: NDArray[np.float64], true: NDArray[np.float64], n: int) -> Distance:
    """Return the Kullback-Leibler divergence sum_k true ln(true / estimated) in nats.

    A state that was never found would make it infinite, so that half a particle is added to every state: estimated
    becomes (n estimated + 1/2) / (n + K/2) (Krichevsky & Trofimov 1981, IEEE Trans. Inf. Theory 27:199).

    Args:
        estimated: (K,).
        true: (K,).
        n: number of particles behind the estimate.
    """
    total = n + len(estimated) / 2
    smoothed = (n * estimated + 0.5) / total
    in_use = true > 0
    value = float(np.sum(true[in_use] * np.log(true[in_use] / smoothed[in_use])))
    return Distance(value, -true / smoothed * n / total)


def earth_movers_distance(
    estimated: NDArray[np.float64], true: NDArray[np.float64], state_embedding: NDArray[np.float64]
) -> Distance:
    """Return the least mass times distance that turns the estimated populations into the true ones.

    The distance is Euclidean, so that only what is too much has to be moved to where it lacks: a linear program over
    surplus × deficit (Rubner et al. 2000, Int. J. Comput. Vis. 40:99).

    Args:
        estimated: (K,).
        true: (K,).
        state_embedding: (K, c) coordinates of the states.
    """
    difference = estimated - true
    source, sink = np.flatnonzero(difference > 0), np.flatnonzero(difference < 0)
    if not (source.size and sink.size):
        return Distance(0.0, np.zeros(len(true)))
    cost = cdist(state_embedding[source], state_embedding[sink])
    moved = difference[source].sum()
    leaves: Any = kron(eye_array(len(source)), np.ones((1, len(sink))))
    arrives: Any = kron(np.ones((1, len(source))), eye_array(len(sink)))
    # masses add up to 1 and not to something near the solver's tolerance: surplus and deficit, which rounding leaves
    # unequal, are each scaled by their own sum, and sinks may take a little more
    plan = linprog(
        cost.ravel(),
        A_eq=leaves,
        b_eq=difference[source] / moved,
        A_ub=arrives,
        b_ub=difference[sink] / difference[sink].sum() + 1e-12,
        method="highs",
    )
    # the dual solution is the derivative; its extension to all states is 1-Lipschitz (Kantorovich & Rubinstein)
    height_of_sink = -np.asarray(plan.ineqlin.marginals)
    potential = (height_of_sink + cdist(state_embedding, state_embedding[sink])).min(axis=1)
    return Distance(float(potential @ difference), potential)
