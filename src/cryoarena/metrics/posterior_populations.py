"""Error of the populations that a method's class probabilities imply."""

import numpy as np
from numpy.typing import NDArray

from cryoarena.metrics.base import MetricCard, MetricResult, metric
from cryoarena.metrics.finite_rows import finite_rows
from cryoarena.metrics.population_estimates import Populations, population_estimates
from cryoarena.metrics.populations import checked_weights, particle_sample, population_result, state_of_class
from cryoarena.metrics.probability_rows import probability_rows


@metric(
    MetricCard(
        name="posterior-populations",
        version=2,
        unit="",
        range=(0.0, 2.0),
        direction="lower",
        citation="Earth mover's distance: Rubner et al. 2000, Int. J. Comput. Vis. 40:99",
        summary="Error of the states' populations, as estimated from the method's class probabilities in two ways.",
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
        posterior: (N, K').
        true_labels: (N,) state of every image, 0 … K - 1; names the classes, see `state_of_class`.
        true_weights: (K,) true populations.
        state_embedding: (K, c) true coordinates of the states, for the earth mover's distance.
        seed: of the sample of particles, where images × classes exceed ten million.

    Returns:
        `<estimator>/<distance>` as `population_result` says, for `counting` and `posterior_mean`.
        Populations of classes that stand for one state add up. Maximum likelihood is not among them: a posterior holds
        a prior that nobody tells, and is no likelihood.

    Raises:
        UserError: when the posterior holds no probabilities or its rows do not match.
        NotApplicable: when the states are fewer than 2 or too many.
    """
    true, states = checked_weights(true_weights, true_labels)
    rows = probability_rows(posterior, len(true_labels))
    shared = np.stack([np.bincount(true_labels, column, states) for column in rows.T], axis=1)
    to_state = np.zeros((states, rows.shape[1]))
    to_state[state_of_class(shared), np.arange(rows.shape[1])] = 1
    sample = particle_sample(len(rows), rows.shape[1], seed)
    estimates = {
        name: Populations(to_state @ found.weights, to_state @ found.covariance @ to_state.T, found.n)
        for name, found in population_estimates(rows[sample]).items()
        if name != "maximum_likelihood"
    }
    return population_result(estimates, true, finite_rows("state embedding", state_embedding, states))
