"""Information imbalance as CryoBench computes it: with DADApy, on random subsets of images that all differ."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from cryoarena.metrics.base import MetricResult, NotApplicable
from cryoarena.metrics.embedding_space import EmbeddingSpace
from cryoarena.metrics.imbalance import Imbalance, imbalance_results

NEIGHBORS = (1, 3, 10, 30)
SUBSET_SIZE = 2000
# DADApy draws its subsets with this seed always
_DADAPY_SEED = 42
# a block of distances stays in the cache
_ROWS_AT_ONCE = 100


def cryobench_results(names: tuple[str, str], a: EmbeddingSpace, b: EmbeddingSpace) -> MetricResult:
    """Return scores and curves of `imbalance_cryobench` as `imbalance_results` says, or why there are none."""
    try:
        return imbalance_results("cryobench", names, imbalance_cryobench(a, b))
    except NotApplicable as reason:
        keys = [f"cryobench/{one}_to_{other}{end}" for one, other in (names, names[::-1]) for end in ("", "/nearest")]
        return MetricResult({}, absent=dict.fromkeys(keys, str(reason)))


def imbalance_cryobench(
    a: EmbeddingSpace, b: EmbeddingSpace, subset_size: int = SUBSET_SIZE, k: tuple[int, ...] = NEIGHBORS
) -> Imbalance:
    """Return the imbalance of every subset, as CryoBench calls DADApy 0.3.4.

    Rows that repeat another in either space are dropped; the rest is dealt into random disjoint subsets, drawn with
    DADApy's own seed, so that its numbers are reproduced to rounding. Where subsets are larger than `subset_size`
    (N no multiple of it), DADApy draws each rank beyond it at random; here it is the mean of those draws.

    Args:
        a: first space, N images.
        b: second space of the same images.
        subset_size: aimed at; all images are one subset when they are fewer than twice as many.
        k: numbers of neighbours.

    Returns:
        One row per subset.

    Raises:
        NotApplicable: when there are not more than max(k) rows that differ.
    """
    first_a, first_b = (np.unique(space.points, axis=0, return_index=True)[1] for space in (a, b))
    rows = np.intersect1d(first_a, first_b)
    sizes = np.array(k)
    if len(rows) <= sizes.max():
        raise NotApplicable(
            f"of {len(a)} images only {len(rows)} differ from all before them in both spaces; DADApy drops the others, "
            f"and {sizes.max()} neighbours need more"
        )
    subsets = _dadapy_subsets(rows, subset_size)
    values = np.array([_both_ways(a.points[chosen], b.points[chosen], sizes, subset_size) for chosen in subsets])
    return Imbalance(sizes, values[:, 0], values[:, 1], None)


def _dadapy_subsets(rows: NDArray[np.int64], subset_size: int) -> list[NDArray[np.int64]]:
    repeats = len(rows) // subset_size
    if repeats < 2:
        return [rows]
    order = np.random.default_rng(_DADAPY_SEED).choice(len(rows), len(rows), replace=False)
    subsets = np.array_split(rows[order], repeats)
    return subsets[:-1] if len(subsets[-1]) != len(subsets[-2]) else subsets


def _both_ways(
    a: NDArray[np.float64], b: NDArray[np.float64], k: NDArray[np.int64], subset_size: int
) -> NDArray[np.float64]:
    """Return Delta(A -> B) and Delta(B -> A) of one subset (n, d) and (n, c) for each k, as (2, R)."""
    n = len(a)
    total = np.zeros((2, len(k)))
    for start in range(0, n, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        distances = [np.asarray(cdist(points[rows], points)) for points in (a, b)]
        nearest = [_nearest(distance, k.max()) for distance in distances]
        of_nearest = [np.take_along_axis(distances[1 - way], nearest[way], axis=1) for way in (0, 1)]
        for way in (0, 1):
            in_order = distances[1 - way]
            in_order.sort(axis=1)
            # the point itself is nearest of all, so that the number of nearer points is the rank among the others
            ranks = torch.searchsorted(torch.from_numpy(in_order), torch.from_numpy(of_nearest[way])).numpy()
            known = np.where(ranks < subset_size, ranks, (subset_size + n - 1) / 2)
            total[way] += [known[:, :size].sum() / size for size in k]
    return 2 * total / n**2


def _nearest(distance: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Return the rows (Q, most) of the nearest points, nearest first, without the point itself."""
    nearest = np.argpartition(distance, most, axis=1)[:, : most + 1]
    order = np.argsort(np.take_along_axis(distance, nearest, axis=1), axis=1, kind="stable")
    return np.take_along_axis(nearest, order, axis=1)[:, 1:]
