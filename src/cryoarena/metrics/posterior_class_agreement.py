"""Agreement between a method's own classes and the true conformations."""

import numpy as np
from numpy.typing import NDArray

from cryoarena.metrics.base import MetricCard, MetricResult, Score, metric
from cryoarena.metrics.class_agreement import checked_states, class_curves
from cryoarena.metrics.contingency import STATISTICS, agreement, bootstrap_errors, contingency_table
from cryoarena.metrics.probability_rows import probability_rows


@metric(
    MetricCard(
        name="posterior-class-agreement",
        version=1,
        unit="",
        range=(-0.5, 1.0),
        direction="higher",
        citation="ARI: Hubert & Arabie 1985, J. Classif. 2:193; AMI: Vinh et al. 2010, JMLR 11:2837",
        summary="Agreement of the method's own classes (the most probable one of each image) with the true states.",
        needs=("posterior", "true_labels", "seed"),
    )
)
def posterior_class_agreement(
    posterior: NDArray[np.floating], true_labels: NDArray[np.int64], seed: int
) -> MetricResult:
    """Score class probabilities (N, K') by their most probable class against the true states (N,).

    K' need not be the number of states: superfluous classes and unmatched states count as errors.

    Returns:
        `standard/<statistic>` with bootstrap errors over particles, and curves, as `class_agreement` says.

    Raises:
        UserError: when the posterior holds no probabilities or its rows do not match.
        NotApplicable: when the states are fewer than 2 or too many.
    """
    states = checked_states(true_labels)
    rows = probability_rows(posterior, len(true_labels))
    table = contingency_table(true_labels, rows.argmax(axis=1))
    found, errors = agreement(table), bootstrap_errors(table, seed)
    scores = {f"standard/{name}": Score(found.values[name], errors[name], len(rows)) for name in STATISTICS}
    return MetricResult(scores, class_curves([found], states))
