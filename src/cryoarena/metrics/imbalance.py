"""Information imbalance between two spaces (Glielmo et al. 2022, PNAS Nexus 1:pgac039).

Delta(A -> B) is 2/N times the mean rank in B of the k nearest neighbours in A: 0 when A tells all about B, 1 when it
tells nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryoarena.metrics.base import Curve, MetricResult, Score
from cryoarena.metrics.embedding_space import EmbeddingSpace, error_of_mean, sampled_rows
from cryoarena.metrics.neighbor_ranks import neighbor_ranks

# what CryoBench's 1, 3, 10 and 30 neighbours are of its 2,000 images; as parts, values do not depend on their number
RADII_PERCENT = (0.05, 0.15, 0.5, 1.5)


@dataclass(frozen=True)
class Imbalance:
    """Information imbalance of two spaces at several neighbourhood sizes.

    Attributes:
        k: (R,) number of neighbours.
        forward: (n, R) Delta(A -> B) of each query point, or of each subset of images.
        backward: (n, R) Delta(B -> A).
        images: N that the query points are among; None for subsets.
    """

    k: NDArray[np.int64]
    forward: NDArray[np.float64]
    backward: NDArray[np.float64]
    images: int | None


def imbalance(
    a: EmbeddingSpace, b: EmbeddingSpace, seed: int, device: str = "cpu", max_queries: int = 2000
) -> Imbalance:
    """Return the imbalance of every query point, neighbours and ranks taken among all N images.

    Ties are counted as in `NeighborRanks`: the limit of jitter that shrinks to nothing, averaged over jitters.
    Without ties and with all points queried, the mean is the imbalance of all images exactly.

    Args:
        a: first space, N images.
        b: second space of the same images.
        seed: of the sample of query points.
        device: of torch.
        max_queries: above this number of images a random sample of them is queried.
    """
    n = len(a)
    k = np.array([max(1, round(percent * n / 100)) for percent in RADII_PERCENT])
    queries = sampled_rows(n, max_queries, seed)
    values = np.empty((2, len(queries), len(k)))
    for part, *both_ways in neighbor_ranks(a, b, queries, k, device):
        for way, ranks in enumerate(both_ways):
            expected = ranks.expected_rank()
            for size in range(len(k)):
                values[way, part, size] = ranks.mean_over_nearest(size, expected).cpu()
    forward, backward = 2 * values / n
    return Imbalance(k, forward, backward, n)


def imbalance_results(variant: str, names: tuple[str, str], found: Imbalance) -> MetricResult:
    """Return scores and curves of both directions.

    Args:
        variant: e.g. "standard".
        names: of the two spaces, e.g. ("latent", "truth").
        found: the imbalance.

    Returns:
        Per direction `<variant>/<a>_to_<b>`, the mean over neighbourhood sizes, and `…/nearest`, the smallest of them;
        NaN when there is nothing to average. Standard errors are over query points or subsets; so are the curves'.
    """
    scores: dict[str, Score] = {}
    curves: dict[str, Curve] = {}
    for (a, b), values in zip((names, names[::-1]), (found.forward, found.backward), strict=True):
        key = f"{variant}/{a}_to_{b}"
        n = len(values)
        at_each = np.column_stack([values, values.mean(axis=1)])
        mean = at_each.mean(axis=0) if n else np.full(at_each.shape[1], np.nan)
        error = error_of_mean(at_each, found.images)
        scores[key] = Score(float(mean[-1]), float(error[-1]), n)
        scores[f"{key}/nearest"] = Score(float(mean[0]), float(error[0]), n)
        x = found.k.astype(np.float64)
        curves[key] = Curve(x, mean[:-1], error[:-1], "number of neighbours", "information imbalance")
    return MetricResult(scores, curves)
