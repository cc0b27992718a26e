"""Neighbourhood similarity: do images that are alike in truth lie close together in the embedding?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from cryoarena.errors import UserError
from cryoarena.metrics.base import Curve, MetricCard, MetricResult, Score, metric

RADII_PERCENT = tuple(range(1, 21))
_REPORTED_PERCENT = (1, 5, 10)
_SPLITS = 5
# distances that differ by less are ties: rounding must not choose among equally distant conformations
_TIE_TOLERANCE = 1e-6
_BLOCK_BYTES = 32_000_000


@dataclass(frozen=True)
class MatchingNeighbors:
    """pMN at several radii.

    Attributes:
        k: (R,) number of neighbours.
        percent: (Q, R) pMN of every query point, or of every split for `matching_neighbors_cryobench`.
    """

    k: NDArray[np.int64]
    percent: NDArray[np.float64]


@metric(
    MetricCard(
        name="pmn",
        version=1,
        unit="%",
        # standard ends at 100; cryobench counts the image itself as well, and divides by k >= 1
        range=(0.0, 200.0),
        direction="higher",
        citation=(
            "Jeon et al., CryoBench, NeurIPS 2024 Datasets & Benchmarks, eq. 2 and B.9; "
            "after Boggust et al., Embedding Comparator, IUI 2022"
        ),
        summary="Percentage of an image's k nearest neighbours in truth that are so in the embedding.",
        needs=("embedding", "true_embedding", "true_embedding_cryobench"),
    )
)
def neighborhood_similarity(
    embedding: NDArray[np.floating],
    true_embedding: NDArray[np.floating],
    true_embedding_cryobench: NDArray[np.floating],
) -> MetricResult:
    """Score an embedding (N, d) against the true coordinates (N, c) of the same images, in the same order.

    Args:
        embedding: (N, d).
        true_embedding: (N, c) CVs of a continuum, or voxel intensities of a set of states.
        true_embedding_cryobench: (N, c) what the paper takes (B.8): for a set of states the rank of their size.

    Returns:
        Per variant (`standard`, `cryobench`) pMN at a radius of 1, 5 and 10 % of the images,
        `<variant>/radius_5`, and its mean over radii 1 … 10 %, `<variant>/mean_1_10`; curves over 1 … 20 %.
        The standard errors are over query points for `standard`, over the five splits for `cryobench`.

    Raises:
        UserError: when the embedding holds NaN, its rows do not match the truth, or there are too few images.
    """
    standard = matching_neighbors(embedding, true_embedding)
    cryobench = matching_neighbors_cryobench(embedding, true_embedding_cryobench)
    scores = _scores("standard", standard) | _scores("cryobench", cryobench)
    return MetricResult(scores, {"standard": _curve(standard), "cryobench": _curve(cryobench)})


def chance_level(k: int, n: int) -> float:
    """Return the mean pMN (%) of random embeddings of n images at k neighbours, the point itself left out."""
    return 100 * k / (n - 1)


def matching_neighbors(
    embedding: NDArray[np.floating], true_embedding: NDArray[np.floating], max_queries: int = 2000
) -> MatchingNeighbors:
    """Return the pMN of query points with an exact treatment of ties; a point is not its own neighbour.

    Truth is often discrete (a thousand images of one conformation) and so may an embedding be (classes).
    Where the k-th neighbour is one of several at equal distance, the neighbourhood is completed by lot in
    either space; the value is the expectation over those lots, hence deterministic and independent of the
    order of the images. So a discrete truth scored against itself may stay below 100 %: that value is the
    ceiling of its dataset.

    Args:
        embedding: (N, d).
        true_embedding: (N, c).
        max_queries: above this number of points a fixed random sample of them is queried; neighbours are
            always looked for among all N.

    Returns:
        pMN per query point and radius.

    Raises:
        UserError: see `neighborhood_similarity`.
    """
    found, truth = _checked(embedding, true_embedding)
    n = len(found)
    k = _neighbors(n)
    queries = _sample(n, max_queries)
    overlap = np.empty((len(queries), len(k)))
    for block in _blocks(queries, n):
        rows = slice(block.start, block.stop)
        distances = [cdist(points[queries[rows]], points) for points in (found, truth)]
        for row, query in enumerate(queries[rows]):
            of_found, of_truth = (distance[row] for distance in distances)
            of_found[query] = of_truth[query] = np.inf
            overlap[block.start + row] = _expected_overlap(of_found, of_truth, k)
    return MatchingNeighbors(k, 100 * overlap / k)


def matching_neighbors_cryobench(
    embedding: NDArray[np.floating], true_embedding: NDArray[np.floating], max_queries: int = 100_000
) -> MatchingNeighbors:
    """Return the pMN as CryoBench computes it, per split.

    Five interleaved splits (rows start::5) are scored apart. A point is its own neighbour, the neighbourhood
    of radius k has k + 1 members, ties go to the lower row, and the count is divided by k: it can exceed
    100 %.

    Args:
        embedding: (N, d).
        true_embedding: (N, c).
        max_queries: above this number of points a fixed random sample of them is queried; up to it the
            result is that of CryoBench.

    Returns:
        pMN per split and radius; the authors report its mean and standard deviation (ddof 0) over splits.

    Raises:
        UserError: see `neighborhood_similarity`.
    """
    found, truth = _checked(embedding, true_embedding)
    k = _neighbors(len(found) // _SPLITS)
    percent = np.empty((_SPLITS, len(k)))
    for start in range(_SPLITS):
        spaces = found[start::_SPLITS], truth[start::_SPLITS]
        n = len(spaces[0])
        queries = _sample(n, max_queries // _SPLITS)
        hits = np.zeros(len(k))
        for block in _blocks(queries, n):
            distances = [cdist(points[queries[block.start : block.stop]], points) for points in spaces]
            for of_found, of_truth in zip(*distances, strict=True):
                hits += _ordered_overlap(of_found, of_truth, k)
        percent[start] = 100 * hits / len(queries) / k
    return MatchingNeighbors(k, percent)


def _expected_overlap(
    of_found: NDArray[np.float64], of_truth: NDArray[np.float64], k: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the expected number of common members of two neighbourhoods of each size k."""
    radius_found = np.partition(of_found, k - 1)[k - 1]
    radius_truth = np.partition(of_truth, k - 1)[k - 1]
    sizes = [_strict_and_tied(of_found, radius_found), _strict_and_tied(of_truth, radius_truth)]
    (strict_found, tied_found), (strict_truth, tied_truth) = sizes
    candidates = of_found <= radius_found[-1] * (1 + _TIE_TOLERANCE)
    of_found, of_truth = of_found[candidates], of_truth[candidates]
    overlap = np.empty(len(k))
    for i, size in enumerate(k):
        chance_found = _membership(of_found, radius_found[i], (size - strict_found[i]) / tied_found[i])
        chance_truth = _membership(of_truth, radius_truth[i], (size - strict_truth[i]) / tied_truth[i])
        overlap[i] = chance_found @ chance_truth
    return overlap


def _strict_and_tied(
    distance: NDArray[np.float64], radius: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many points lie within each radius and how many on it."""
    nearest = np.sort(distance[distance <= radius[-1] * (1 + _TIE_TOLERANCE)])
    within = np.searchsorted(nearest, radius * (1 - _TIE_TOLERANCE), side="left")
    up_to = np.searchsorted(nearest, radius * (1 + _TIE_TOLERANCE), side="right")
    return within, up_to - within


def _membership(distance: NDArray[np.float64], radius: float, tied: float) -> NDArray[np.float64]:
    within = distance < radius * (1 - _TIE_TOLERANCE)
    return np.where(within, 1.0, np.where(distance <= radius * (1 + _TIE_TOLERANCE), tied, 0.0))


def _ordered_overlap(
    of_found: NDArray[np.float64], of_truth: NDArray[np.float64], k: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the number of points whose rank is at most k in both orders, for each k."""
    members = k[-1] + 1
    rank = np.full(len(of_truth), members)
    rank[_nearest(of_truth, members)] = np.arange(members)
    # a point is in both neighbourhoods from the larger of its two ranks on
    later = np.maximum(np.arange(members), rank[_nearest(of_found, members)])
    return np.asarray(np.bincount(later, minlength=members + 1).cumsum()[k], np.int64)


def _nearest(distance: NDArray[np.float64], members: int) -> NDArray[np.int64]:
    """Return the rows of the nearest points in order, the lower row first among equals."""
    reach = np.partition(distance, members - 1)[members - 1]
    rows = np.flatnonzero(distance <= reach)
    return rows[np.argsort(distance[rows], kind="stable")[:members]]


def _checked(
    embedding: NDArray[np.floating], true_embedding: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    found, truth = (np.asarray(points, np.float64).reshape(len(points), -1) for points in (embedding, true_embedding))
    if len(found) != len(truth):
        raise UserError(
            f"the embedding has {len(found)} rows but the truth has {len(truth)}; match them by particle id"
        )
    if len(found) < 2 * _SPLITS:
        raise UserError(f"pMN needs at least {2 * _SPLITS} images, not {len(found)}; score a larger data set")
    bad = np.flatnonzero(~np.isfinite(found).all(1))
    if bad.size:
        raise UserError(f"row {bad[0]} of the embedding holds NaN or infinity; the method diverged, run it again")
    return found, truth


def _neighbors(n: int) -> NDArray[np.int64]:
    return np.array([max(1, percent * n // 100) for percent in RADII_PERCENT])


def _sample(n: int, max_queries: int) -> NDArray[np.int64]:
    if n <= max_queries:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, max_queries, replace=False))


def _blocks(queries: NDArray[np.int64], n: int) -> list[range]:
    """Cut the queries so that one block of distances to n points stays small."""
    size = max(1, _BLOCK_BYTES // (16 * n))
    return [range(start, min(start + size, len(queries))) for start in range(0, len(queries), size)]


def _scores(variant: str, matching: MatchingNeighbors) -> dict[str, Score]:
    columns = {f"radius_{percent}": [RADII_PERCENT.index(percent)] for percent in _REPORTED_PERCENT}
    columns["mean_1_10"] = [i for i, percent in enumerate(RADII_PERCENT) if percent <= 10]
    scores = {}
    for name, column in columns.items():
        values = matching.percent[:, column].mean(1)
        error = float(values.std(ddof=1) / np.sqrt(len(values)))
        scores[f"{variant}/{name}"] = Score(float(values.mean()), error, len(values))
    return scores


def _curve(matching: MatchingNeighbors) -> Curve:
    return Curve(
        np.array(RADII_PERCENT, np.float64),
        matching.percent.mean(0),
        matching.percent.std(0),
        "neighbourhood radius (% of images)",
        "matching neighbours (%)",
    )
