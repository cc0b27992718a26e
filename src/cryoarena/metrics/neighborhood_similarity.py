"""Neighbourhood similarity: do images that are alike in truth lie close together in the embedding?"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.errors import UserError
from cryoarena.metrics.base import Curve, MetricCard, MetricResult, Score, metric
from cryoarena.metrics.neighborhood_overlap import expected_overlap, ordered_overlap
from cryoarena.metrics.pairwise import distinct_rows

RADII_PERCENT = tuple(range(1, 21))
_REPORTED_PERCENT = (1, 5, 10)
_SPLITS = 5
# one array of distances: blocks stay near the cache
_BLOCK_BYTES = 4_000_000


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
        needs=("embedding", "true_embedding", "true_embedding_cryobench", "device"),
    )
)
def neighborhood_similarity(
    embedding: NDArray[np.floating],
    true_embedding: NDArray[np.floating],
    true_embedding_cryobench: NDArray[np.floating],
    device: str = "cpu",
) -> MetricResult:
    """Score an embedding (N, d) against the true coordinates (N, c) of the same images, in the same order.

    Args:
        embedding: (N, d).
        true_embedding: (N, c) CVs of a continuum, or voxel intensities of a set of states.
        true_embedding_cryobench: (N, c) what the paper takes (B.8): for a set of states the rank of their size.
        device: of torch.

    Returns:
        Per variant (`standard`, `cryobench`) pMN at a radius of 1, 5 and 10 % of the images,
        `<variant>/radius_5`, and its mean over radii 1 … 10 %, `<variant>/mean_1_10`; curves over 1 … 20 %.
        The standard errors are over query points for `standard`, over the five splits for `cryobench`.

    Raises:
        UserError: when the embedding holds NaN, its rows do not match the truth, or there are too few images.
    """
    standard = matching_neighbors(embedding, true_embedding, device)
    cryobench = matching_neighbors_cryobench(embedding, true_embedding_cryobench, device)
    scores = _scores("standard", standard) | _scores("cryobench", cryobench)
    return MetricResult(scores, {"standard": _curve(standard), "cryobench": _curve(cryobench)})


def chance_level(k: int, n: int) -> float:
    """Return the mean pMN (%) of random embeddings of n images at k neighbours, the point itself left out."""
    return 100 * k / (n - 1)


def matching_neighbors(
    embedding: NDArray[np.floating],
    true_embedding: NDArray[np.floating],
    device: str = "cpu",
    max_queries: int = 2000,
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
        device: of torch.
        max_queries: above this number of points a fixed random sample of them is queried; neighbours are
            always looked for among all N.

    Returns:
        pMN per query point and radius.

    Raises:
        UserError: see `neighborhood_similarity`.
    """
    found, truth = _on_device(embedding, true_embedding, device)
    n = len(found)
    k = _neighbors(n)
    sizes = torch.from_numpy(k).to(found.device)
    queries = torch.from_numpy(_sample(n, max_queries)).to(found.device)
    overlap = np.empty((len(queries), len(k)))
    for part in _blocks(truth[queries], n):
        overlap[part.cpu()] = expected_overlap(found, truth, queries[part], sizes).cpu()
    return MatchingNeighbors(k, 100 * overlap / k)


def matching_neighbors_cryobench(
    embedding: NDArray[np.floating],
    true_embedding: NDArray[np.floating],
    device: str = "cpu",
    max_queries: int = 100_000,
) -> MatchingNeighbors:
    """Return the pMN as CryoBench computes it, per split.

    Five interleaved splits (rows start::5) are scored apart. A point is its own neighbour, the neighbourhood
    of radius k has k + 1 members, ties go to the lower row, and the count is divided by k: it can exceed
    100 %.

    Args:
        embedding: (N, d).
        true_embedding: (N, c).
        device: of torch.
        max_queries: above this number of points a fixed random sample of them is queried; up to it the
            result is that of CryoBench.

    Returns:
        pMN per split and radius; the authors report its mean and standard deviation (ddof 0) over splits.

    Raises:
        UserError: see `neighborhood_similarity`.
    """
    spaces = _on_device(embedding, true_embedding, device)
    k = _neighbors(len(embedding) // _SPLITS)
    sizes = torch.from_numpy(k).to(spaces[0].device)
    percent = np.empty((_SPLITS, len(k)))
    for start in range(_SPLITS):
        found, truth = (points[start::_SPLITS].contiguous() for points in spaces)
        queries = torch.from_numpy(_sample(len(found), max_queries // _SPLITS)).to(found.device)
        parts = _blocks(truth[queries], len(found))
        hits = torch.stack([ordered_overlap(found, truth, queries[part], sizes) for part in parts]).sum(dim=0)
        percent[start] = 100 * hits.cpu().numpy() / len(queries) / k
    return MatchingNeighbors(k, percent)


def _on_device(
    embedding: NDArray[np.floating], true_embedding: NDArray[np.floating], device: str
) -> tuple[Tensor, Tensor]:
    found, truth = _checked(embedding, true_embedding)
    return torch.tensor(found, device=device), torch.tensor(truth, device=device)


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


def _blocks(truth: Tensor, n: int) -> Iterator[Tensor]:
    """Cut queries at `truth` (Q, c), equal ones together, so that one block of distances to n points stays small."""
    order = distinct_rows(truth)[1].argsort(stable=True)
    size = max(1, _BLOCK_BYTES // (8 * n))
    for start in range(0, len(order), size):
        yield order[start : start + size]


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
