"""Compare two partitions of the same particles through their contingency table.

ARI: Hubert & Arabie 1985, J. Classif. 2:193. AMI: Vinh, Epps & Bailey 2010, JMLR 11:2837, arithmetic mean of the
entropies. One-to-one matching of classes: Kuhn 1955, Nav. Res. Logist. Q. 2:83 (the Hungarian method).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.special import xlogy
from sklearn.metrics.cluster import expected_mutual_information

UNMATCHED = -1
STATISTICS = ("ari", "ami", "accuracy", "balanced_accuracy", "macro_f1")

_BOOTSTRAPS = 200


@dataclass(frozen=True)
class Agreement:
    """How well found classes agree with true ones.

    Attributes:
        values: each of STATISTICS.
        recall: (K,) share of every true class that lies in the class matched with it.
        confusion: (K, K) share of true class i in the class matched with j; what a row lacks to 1 lies in classes
            matched with none.
    """

    values: dict[str, float]
    recall: NDArray[np.float64]
    confusion: NDArray[np.float64]


def contingency_table(true_labels: NDArray[np.int64], found_labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the (K, K') number of particles per true and found class; rows and columns are the labels in use."""
    true_names, row = np.unique(true_labels, return_inverse=True)
    found_names, column = np.unique(found_labels, return_inverse=True)
    cells = np.bincount(row * len(found_names) + column, minlength=len(true_names) * len(found_names))
    return cells.reshape(len(true_names), len(found_names))


def match_classes(table: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the (K,) column matched one-to-one with every row so that most particles agree, or UNMATCHED."""
    matched = np.full(table.shape[0], UNMATCHED)
    rows, columns = linear_sum_assignment(table, maximize=True)
    matched[rows] = columns
    return matched


def agreement(table: NDArray[np.int64]) -> Agreement:
    """Return how well the classes of a contingency table (K, K') agree."""
    matched = match_classes(table)
    size = table.sum(axis=1)
    present = matched != UNMATCHED
    confusion = np.zeros((len(table), len(table)))
    confusion[:, present] = table[:, matched[present]] / size[:, None]
    chance = float(expected_mutual_information(table, int(table.sum())))
    values = _statistics(*_cells(table), table.shape, matched, chance)
    return Agreement(dict(zip(STATISTICS, values, strict=True)), confusion.diagonal().copy(), confusion)


def bootstrap_errors(table: NDArray[np.int64], seed: int) -> dict[str, float]:
    """Return the standard error of each of STATISTICS over particles.

    Drawing particles with replacement draws the table from a multinomial distribution. The matching and the mutual
    information expected by chance are those of the table itself.
    """
    rng = np.random.default_rng(seed)
    row, column, count = _cells(table)
    matched = match_classes(table)
    chance = float(expected_mutual_information(table, int(table.sum())))
    drawn = rng.multinomial(int(table.sum()), count / count.sum(), size=_BOOTSTRAPS)
    values = np.array([_statistics(row, column, again, table.shape, matched, chance) for again in drawn])
    return dict(zip(STATISTICS, values.std(axis=0, ddof=1).tolist(), strict=True))


def _cells(table: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    row, column = np.nonzero(table)
    return row, column, table[row, column]


def _statistics(
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    count: NDArray[np.int64],
    shape: tuple[int, ...],
    matched: NDArray[np.int64],
    chance: float,
) -> tuple[float, ...]:
    """Return STATISTICS of a table given by its cells that are not empty."""
    true_size = np.bincount(row, count, shape[0]).astype(np.float64)
    found_size = np.bincount(column, count, shape[1]).astype(np.float64)
    hit = np.bincount(row, count * (column == matched[row]), shape[0])
    matched_size = np.where(matched == UNMATCHED, 0.0, found_size[matched])
    in_use = true_size > 0
    recall = hit[in_use] / true_size[in_use]
    f1 = 2 * hit[in_use] / (true_size + matched_size)[in_use]
    return (
        _rand(count, true_size, found_size),
        _mutual_information(count, true_size, found_size, chance),
        float(hit.sum() / count.sum()),
        float(recall.mean()),
        float(f1.mean()),
    )


def _rand(count: NDArray[np.int64], true_size: NDArray[np.float64], found_size: NDArray[np.float64]) -> float:
    together, in_true, in_found, pairs = (
        float(np.sum(size * (size - 1.0))) for size in (count, true_size, found_size, count.sum())
    )
    expected = in_true * in_found / pairs
    highest = (in_true + in_found) / 2
    return (together - expected) / (highest - expected) if highest > expected else 1.0


def _mutual_information(
    count: NDArray[np.int64], true_size: NDArray[np.float64], found_size: NDArray[np.float64], chance: float
) -> float:
    of_cells, of_true, of_found = (_entropy(size) for size in (count, true_size, found_size))
    mean = (of_true + of_found) / 2
    return (of_true + of_found - of_cells - chance) / (mean - chance) if mean > chance else 1.0


def _entropy(size: NDArray[np.int64] | NDArray[np.float64]) -> float:
    share = size / size.sum()
    return float(-xlogy(share, share).sum())
