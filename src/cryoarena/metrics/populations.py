"""Error of the populations that an embedding implies."""

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.metrics.base import Curve, MetricCard, MetricResult, Score, metric
from cryoarena.metrics.class_agreement import checked_states
from cryoarena.metrics.contingency import UNMATCHED, contingency_table, match_classes
from cryoarena.metrics.finite_rows import finite_rows
from cryoarena.metrics.kmeans_labels import kmeans_labels
from cryoarena.metrics.population_distance import earth_movers_distance, kl_divergence, l1_distance
from cryoarena.metrics.population_estimates import Populations, population_estimates
from cryoarena.metrics.state_likelihood import state_likelihood

_MOST_LIKELIHOODS = 10_000_000


@metric(
    MetricCard(
        name="populations",
        version=2,
        unit="",
        range=(0.0, 2.0),
        direction="lower",
        citation=(
            "Maximum likelihood of mixture weights: Evans et al. 2026, Commun. Biol.; earth mover's distance: "
            "Rubner et al. 2000, Int. J. Comput. Vis. 40:99"
        ),
        summary="Error of the states' populations, as estimated from the embedding in four ways.",
        needs=("embedding", "true_labels", "true_weights", "state_embedding", "seed"),
    )
)
def populations(
    embedding: NDArray[np.floating],
    true_labels: NDArray[np.int64],
    true_weights: NDArray[np.floating],
    state_embedding: NDArray[np.floating],
    seed: int,
) -> MetricResult:
    """Score the populations that an embedding (N, d) implies against the true ones.

    Args:
        embedding: (N, d).
        true_labels: (N,) state of every image, 0 … K - 1.
        true_weights: (K,) true populations.
        state_embedding: (K, c) true coordinates of the states, for the earth mover's distance.
        seed: of k-means and of the halves.

    Returns:
        `<estimator>/<distance>` as `population_result` says. `kmeans_counting` counts the k-means classes and uses
        the truth only to name them. `counting`, `posterior_mean` and `maximum_likelihood` measure what the latents
        allow: they know where each state lies (from the other half of the images), not how many images it has; see
        `population_estimates`. They use a random sample where images × states exceed ten million.

    Raises:
        UserError: when the embedding holds NaN or its rows do not match.
        NotApplicable: when the states are fewer than 2 or too many.
    """
    true, states = checked_weights(true_weights, true_labels)
    rows = finite_rows("embedding", embedding, len(true_labels))
    found = kmeans_labels(rows, len(np.unique(true_labels)), seed, "ward")
    sample = particle_sample(len(rows), len(true), seed)
    likelihood = state_likelihood(rows[sample], true_labels[sample], len(true), seed)
    estimates = {"kmeans_counting": _counted(found, true_labels, len(true))} | population_estimates(likelihood)
    return population_result(estimates, true, finite_rows("state embedding", state_embedding, states))


def population_result(
    estimates: dict[str, Populations], true: NDArray[np.float64], state_embedding: NDArray[np.float64]
) -> MetricResult:
    """Compare estimated with true populations (K,).

    Returns:
        `<estimator>/l1` (sum of absolute differences, 0 … 2), `…/kl` (nats, half a particle added to every state) and
        `…/emd` (earth mover's distance in the unit of the state embedding), with errors over particles. An error
        of 0 stands where an estimate meets the truth exactly. Curves: the populations, `true` and per estimator.
    """
    scores, curves = {}, {"true": _curve(true, np.zeros(len(true)))}
    for name, found in estimates.items():
        curves[name] = _curve(found.weights, np.sqrt(np.maximum(found.covariance.diagonal(), 0)))
        for kind, unit, distance in (
            ("l1", None, l1_distance(found.weights, true)),
            ("kl", "nat", kl_divergence(found.weights, true, found.n)),
            ("emd", "CV", earth_movers_distance(found.weights, true, state_embedding)),
        ):
            error = distance.standard_error(found.covariance)
            scores[f"{name}/{kind}"] = Score(distance.value, error, found.n, unit)
    return MetricResult(scores, curves)


def checked_weights(
    true_weights: NDArray[np.floating], true_labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], int]:
    """Return the true populations (K,), of sum 1, and K.

    Raises:
        UserError: when they are negative, have no sum, or miss the state of an image.
        NotApplicable: when the states are fewer than 2 or too many.
    """
    checked_states(true_labels)
    true = finite_rows("true populations", true_weights, len(true_weights))[:, 0]
    if (true < 0).any() or true.sum() == 0:
        raise UserError("the true populations must not be negative and must not all be 0; correct the truth")
    if true_labels.min() < 0 or true_labels.max() >= len(true):
        raise UserError(
            f"an image has state {true_labels.max()} but there are populations of {len(true)} states; correct the truth"
        )
    return true / true.sum(), len(true)


def particle_sample(n: int, n_states: int, seed: int) -> NDArray[np.int64]:
    """Return the rows whose likelihoods (n, K) are computed: all, or a random sample of ten million entries."""
    most = _MOST_LIKELIHOODS // n_states
    return np.arange(n) if n <= most else np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def state_of_class(agreement: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the state (K',) that each class stands for, given what they share (K, K').

    One class for every state where there are enough (so that the most is shared); further classes belong to the state
    with which they share most.
    """
    state = agreement.argmax(axis=0)
    for row, column in enumerate(match_classes(agreement)):
        if column != UNMATCHED:
            state[column] = row
    return np.asarray(state, np.int64)


def _counted(found: NDArray[np.int64], true_labels: NDArray[np.int64], n_states: int) -> Populations:
    table = np.zeros((n_states, len(np.unique(found))), np.int64)
    table[np.unique(true_labels)] = contingency_table(true_labels, found)
    weights = np.bincount(state_of_class(table), table.sum(axis=0), n_states) / len(found)
    return Populations(weights, (np.diag(weights) - np.outer(weights, weights)) / len(found), len(found))


def _curve(weights: NDArray[np.float64], spread: NDArray[np.float64]) -> Curve:
    return Curve(np.arange(len(weights), dtype=np.float64), weights, spread, "state", "population")
