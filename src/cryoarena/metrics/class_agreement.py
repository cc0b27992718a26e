"""Agreement between the classes that an embedding falls into and the true conformations."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cryoarena.metrics.base import Curve, MetricCard, MetricResult, NotApplicable, Score, metric
from cryoarena.metrics.contingency import STATISTICS, Agreement, agreement, bootstrap_errors, contingency_table
from cryoarena.metrics.finite_rows import finite_rows
from cryoarena.metrics.kmeans_labels import kmeans_labels

_SEEDS = 5
_VARIANTS: dict[str, tuple[Literal["ward", "k-means++"], tuple[str, ...]]] = {
    "standard": ("ward", STATISTICS),
    "cryobench": ("k-means++", ("ari", "ami")),
}
_MOST_STATES = 1000
_MOST_STATES_DRAWN = 100


@metric(
    MetricCard(
        name="class-agreement",
        version=1,
        unit="",
        range=(-0.5, 1.0),
        direction="higher",
        citation=(
            "Jeon et al., CryoBench, NeurIPS 2024 Datasets & Benchmarks, §4.1.1 and Table 2; ARI: Hubert & Arabie "
            "1985, J. Classif. 2:193; AMI: Vinh et al. 2010, JMLR 11:2837"
        ),
        summary="Agreement of k-means classes of the embedding, k the number of true states, with the true states.",
        needs=("embedding", "true_labels", "seed"),
    )
)
def class_agreement(embedding: NDArray[np.floating], true_labels: NDArray[np.int64], seed: int) -> MetricResult:
    """Score an embedding (N, d) by its k-means classes against the true states (N,) of the same images.

    Returns:
        `<variant>/<statistic>`, each the mean over five k-means runs; its standard error joins that over runs and
        that over particles (bootstrap). Variant `standard` starts k-means from Ward's tree; `cryobench` from
        k-means++, the usual start (the paper does not say which it took, and no code is public). The statistics are
        `ari`, `ami` and, after a one-to-one matching of classes and states, `accuracy`, `balanced_accuracy` (mean
        recall) and `macro_f1`. The matching looks at the truth, so chance is a little above 1/K. Curves as
        `class_curves` says, over the standard runs.

    Raises:
        UserError: when the embedding holds NaN or its rows do not match.
        NotApplicable: when the states are fewer than 2 or too many.
    """
    states = checked_states(true_labels)
    rows = finite_rows("embedding", embedding, len(true_labels))
    scores: dict[str, Score] = {}
    curves: dict[str, Curve] = {}
    for variant, (start, statistics) in _VARIANTS.items():
        found = [kmeans_labels(rows, len(states), seed + run, start) for run in range(_SEEDS)]
        tables = [contingency_table(true_labels, labels) for labels in found]
        runs = [agreement(table) for table in tables]
        over_particles = bootstrap_errors(tables[0], seed)
        for name in statistics:
            values = np.array([run.values[name] for run in runs])
            error = np.hypot(over_particles[name], values.std(ddof=1) / np.sqrt(_SEEDS))
            scores[f"{variant}/{name}"] = Score(float(values.mean()), float(error), len(rows))
        curves = curves or class_curves(runs, states)
    return MetricResult(scores, curves)


def checked_states(true_labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the true states in use.

    Raises:
        NotApplicable: when there is only one, or there are too many to speak of classes.
    """
    states = np.unique(true_labels)
    if len(states) < 2:
        raise NotApplicable("classes and populations need at least 2 true states, but all images are of one")
    if len(states) > min(_MOST_STATES, len(true_labels) // 2):
        raise NotApplicable(
            f"classes and populations need at most {_MOST_STATES} true states of 2 or more images each, but "
            f"{len(true_labels)} images have {len(states)}: a continuum, which pmn and cv-regression judge"
        )
    return states


def class_curves(runs: list[Agreement], states: NDArray[np.int64]) -> dict[str, Curve]:
    """Return `recall` per state and `confusion`, both mean and standard deviation over runs.

    `confusion` holds the K × K matrix row by row: x = K i + j, mean = share of state i in the class matched with
    state j. It is left out above 100 states.
    """
    recall = np.stack([run.recall for run in runs])
    curves = {
        "recall": Curve(states.astype(np.float64), recall.mean(0), recall.std(0), "true state", "recall"),
    }
    if len(states) <= _MOST_STATES_DRAWN:
        cells = np.stack([run.confusion.ravel() for run in runs])
        cell = np.arange(cells.shape[1], dtype=np.float64)
        label = "true state × K + matched state"
        curves["confusion"] = Curve(cell, cells.mean(0), cells.std(0), label, "share of the true state")
    return curves
