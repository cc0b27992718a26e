"""Information imbalance as CryoBench computes it: with DADApy, on random subsets of images that all differ."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from cryoarena.metrics.embedding_space import EmbeddingSpace
from cryoarena.metrics.imbalance import Imbalance

NEIGHBORS = (1, 3, 10, 30)
SUBSET_SIZE = 2000
# DADApy draws its subsets with this seed always
_DADAPY_SEED = 42


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
        One row per subset; none when there are not more than max(k) rows that differ.
    """
    first_a, first_b = (np.unique(space.points, axis=0, return_index=True)[1] for space in (a, b))
    rows = np.intersect1d(first_a, first_b)
    sizes = np.array(k)
    if len(rows) <= sizes.max():
        return Imbalance(sizes, np.empty((0, len(k))), np.empty((0, len(k))), None)
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
) -> list[NDArray[np.float64]]:
    distances = [np.asarray(cdist(points, points)) for points in (a, b)]
    in_order = [np.sort(distance, axis=1) for distance in distances]
    return [_one_way(distances[i], distances[1 - i], in_order[1 - i], k, subset_size) for i in (0, 1)]


def _one_way(
    from_a: NDArray[np.float64],
    from_b: NDArray[np.float64],
    sorted_b: NDArray[np.float64],
    k: NDArray[np.int64],
    subset_size: int,
) -> NDArray[np.float64]:
    n, most = len(from_a), int(k.max())
    nearest = np.argpartition(from_a, most, axis=1)[:, : most + 1]
    order = np.argsort(np.take_along_axis(from_a, nearest, axis=1), axis=1, kind="stable")
    nearest = np.take_along_axis(nearest, order, axis=1)[:, 1:]  # the first is the point itself
    of_nearest = np.take_along_axis(from_b, nearest, axis=1)
    # the point itself is nearest of all, so that the number of nearer points is the rank among the others
    rank = torch.searchsorted(torch.from_numpy(sorted_b), torch.from_numpy(of_nearest)).numpy()
    rank = np.where(rank < subset_size, rank, (subset_size + n - 1) / 2)
    return np.array([2 * rank[:, :size].mean() / n for size in k])
