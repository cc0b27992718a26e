"""Error of the populations that a method's class probabilities imply."""

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.metrics.base import MetricCard, MetricResult, metric
from cryoarena.metrics.finite_rows import finite_rows
from cryoarena.metrics.population_estimates import Populations, population_estimates
from cryoarena.metrics.populations import checked_weights, particle_sample, population_result, state_of_class


@metric(
    MetricCard(
        name="posterior-populations",
        version=1,
        unit="",
        range=(0.0, float("inf")),
        direction="lower",
        citation=(
            "Maximum likelihood of mixture weights: Evans et al. 2026, Commun. Biol.; earth mover's distance: "
            "Rubner et al. 2000, Int. J. Comput. Vis. 40:99"
        ),
        summary="Error of the states' populations, as estimated from the method's class probabilities in three ways.",
        needs=("posterior", "true_labels", "true_weights", "state_embedding", "seed"),
    )
)
def posterior_populations(
    posterior: NDArray[np.floating],
    true_labels: NDArray[np.int64],
    true_weights: NDArray[np.floating],
    state_embedding: NDArray[np.floating],
    seed: int,
) -> MetricResult:
    """Score the populations that class probabilities (N, K') imply against the true ones.

    Args:
        posterior: (N, K'), rows up to a factor; `maximum_likelihood` takes them as likelihoods, that is, as
            computed with an even prior.
        true_labels: (N,) state of every image, 0 … K - 1; names the classes, see `state_of_class`.
        true_weights: (K,) true populations.
        state_embedding: (K, c) true coordinates of the states, for the earth mover's distance.
        seed: of the sample of particles, where images × classes exceed ten million.

    Returns:
        `<estimator>/<distance>` as `population_result` says, for `counting`, `posterior_mean` and
        `maximum_likelihood`. Populations of classes that stand for one state add up.

    Raises:
        NotApplicable: when the states are fewer than 2 or too many.
        UserError: when a row of the posterior holds NaN, is negative or has no class, or its rows do not match.
    """
    true, states = checked_weights(true_weights, true_labels)
    rows = finite_rows("posterior", posterior, len(true_labels))
    bad = np.flatnonzero((rows < 0).any(axis=1) | (rows.sum(axis=1) == 0))
    if bad.size:
        raise UserError(f"row {bad[0]} of the posterior is negative or zero for every class; write probabilities")
    share = rows / rows.sum(axis=1, keepdims=True)
    shared = np.stack([np.bincount(true_labels, column, states) for column in share.T], axis=1)
    to_state = np.zeros((states, rows.shape[1]))
    to_state[state_of_class(shared), np.arange(rows.shape[1])] = 1
    sample = particle_sample(len(rows), rows.shape[1], seed)
    estimates = {
        name: Populations(to_state @ found.weights, to_state @ found.covariance @ to_state.T, found.n)
        for name, found in population_estimates(rows[sample]).items()
    }
    return population_result(estimates, true, finite_rows("state embedding", state_embedding, states))
