"""Information imbalance as CryoBench computes it: with DADApy, on random subsets of images that all differ."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.metrics.base import MetricResult, NotApplicable
from cryoarena.metrics.embedding_space import EmbeddingSpace
from cryoarena.metrics.imbalance import Imbalance, imbalance_results
from cryoarena.metrics.pairwise import ascending, columns_where, squared_distances

NEIGHBORS = (1, 3, 10, 30)
SUBSET_SIZE = 2000
# DADApy draws its subsets with this seed always
_DADAPY_SEED = 42
# a block of distances stays in the cache
_ROWS_AT_ONCE = 50


def cryobench_results(names: tuple[str, str], a: EmbeddingSpace, b: EmbeddingSpace, device: str) -> MetricResult:
    """Return scores and curves of `imbalance_cryobench` as `imbalance_results` says, or why there are none."""
    try:
        return imbalance_results("cryobench", names, imbalance_cryobench(a, b, device))
    except NotApplicable as reason:
        keys = [f"cryobench/{one}_to_{other}{end}" for one, other in (names, names[::-1]) for end in ("", "/nearest")]
        return MetricResult({}, absent=dict.fromkeys(keys, str(reason)))


def imbalance_cryobench(
    a: EmbeddingSpace,
    b: EmbeddingSpace,
    device: str = "cpu",
    subset_size: int = SUBSET_SIZE,
    k: tuple[int, ...] = NEIGHBORS,
) -> Imbalance:
    """Return the imbalance of every subset, as CryoBench calls DADApy 0.3.4.

    Rows that repeat another in either space are dropped; the rest is dealt into random disjoint subsets, drawn with
    DADApy's own seed, so that its numbers are reproduced to rounding. Where subsets are larger than `subset_size`
    (N no multiple of it), DADApy draws each rank beyond it at random; here it is the mean of those draws, as it is of
    those among neighbours at equal distance.

    Args:
        a: first space, N images.
        b: second space of the same images.
        device: of torch.
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
    points_a, points_b = (torch.tensor(space.points, device=device) for space in (a, b))
    values = np.array([_both_ways(points_a[chosen], points_b[chosen], k, subset_size) for chosen in subsets])
    return Imbalance(sizes, values[:, 0], values[:, 1], None)


def _dadapy_subsets(rows: NDArray[np.int64], subset_size: int) -> list[NDArray[np.int64]]:
    repeats = len(rows) // subset_size
    if repeats < 2:
        return [rows]
    order = np.random.default_rng(_DADAPY_SEED).choice(len(rows), len(rows), replace=False)
    subsets = np.array_split(rows[order], repeats)
    return subsets[:-1] if len(subsets[-1]) != len(subsets[-2]) else subsets


def _both_ways(a: Tensor, b: Tensor, k: tuple[int, ...], subset_size: int) -> NDArray[np.float64]:
    """Return Delta(A -> B) and Delta(B -> A) of one subset (n, d) and (n, c) for each k, as (2, R)."""
    n = len(a)
    total = np.zeros((2, len(k)))
    for start in range(0, n, _ROWS_AT_ONCE):
        spaces = [squared_distances(points[start : start + _ROWS_AT_ONCE], points) for points in (a, b)]
        in_order = [ascending(squared) for squared in spaces]
        for way, there in ((0, 1), (1, 0)):
            total[way] += _sums_of_ranks(spaces[way], in_order[way], spaces[there], in_order[there], k, subset_size)
    return 2 * total / n**2


def _sums_of_ranks(
    squared_a: Tensor, ordered_a: Tensor, squared_b: Tensor, ordered_b: Tensor, k: tuple[int, ...], subset_size: int
) -> NDArray[np.float64]:
    """Return the sum (R,) over queries of the mean rank in B of the k nearest in A, from squared distances (Q, n)."""
    n = squared_a.shape[1]
    # the query itself is nearest of all, so that the number of nearer points is the rank among the others
    columns, real = columns_where(squared_a <= ordered_a[:, max(k), None])
    of_columns = squared_a.gather(1, columns)
    nearest = ordered_a[:, : columns.shape[1]].contiguous()
    first = torch.searchsorted(nearest, of_columns)
    tied = torch.searchsorted(nearest, of_columns, right=True) - first
    ranks = torch.searchsorted(ordered_b, squared_b.gather(1, columns))
    known = torch.where(ranks < subset_size, ranks.double(), (subset_size + n - 1) / 2)
    known[~real | (first == 0)] = 0
    chances = [((size - first + 1).double() / tied).clamp(0, 1) for size in k]
    return np.array([float((chance * known).sum()) / size for chance, size in zip(chances, k, strict=True)])
