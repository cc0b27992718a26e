"""How near, in one space, the nearest neighbours of a point in another space are; ties are kept, not broken."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryoarena.metrics.embedding_space import EmbeddingSpace, blocks


@dataclass(frozen=True)
class NeighborRanks:
    """The nearest neighbours of one query in a space A, nearest first, and where they rank in a space B.

    Truth is often discrete (a thousand images of one conformation), and an embedding may be (classes). Ties are
    broken by lot in either space, and expectations over the lots are taken: the outcome is deterministic and does
    not depend on the order of the images.

    Attributes:
        space: A.
        distance: (m,) in A, ascending; as many as asked for, and all that tie with the last.
        nearer: (m,) number of points nearer to the query in B than this neighbour.
        tied: (m,) number of points as near in B, the neighbour itself included.
    """

    space: EmbeddingSpace
    distance: NDArray[np.float64]
    nearer: NDArray[np.int64]
    tied: NDArray[np.int64]

    def expected_rank(self) -> NDArray[np.float64]:
        """Return the expected rank (m,) in B, 1 for the nearest."""
        return self.nearer + (self.tied + 1) / 2

    def expected_excess(self, k: int) -> NDArray[np.float64]:
        """Return the expected max(0, rank - k) (m,) in B."""
        beyond = np.maximum(0, self.nearer + self.tied - k).astype(np.float64)
        partly = beyond * (beyond + 1) / (2 * self.tied)
        return np.where(self.nearer >= k, self.expected_rank() - k, partly)

    def mean_over_nearest(self, k: int, values: NDArray[np.float64]) -> float:
        """Return the expected mean of `values` (m,) over the k nearest neighbours in A."""
        radius = self.distance[k - 1]
        slack = self.space.slack(radius)
        within = int(np.searchsorted(self.distance, radius - slack, side="left"))
        up_to = int(np.searchsorted(self.distance, radius + slack, side="right"))
        drawn = (k - within) * values[within:up_to].mean()
        return float((values[:within].sum() + drawn) / k)


def neighbor_ranks(
    a: EmbeddingSpace, b: EmbeddingSpace, queries: NDArray[np.int64], most: int
) -> Iterator[tuple[NeighborRanks, NeighborRanks]]:
    """Yield for each query its neighbours in `a` ranked in `b`, and its neighbours in `b` ranked in `a`.

    Neighbours are looked for among all N points, exactly; the query itself is left out.

    Args:
        a: space of N points.
        b: another of the same N points.
        queries: (Q,) rows.
        most: size of the largest neighbourhood that will be asked for, less than N.
    """
    for rows in blocks(queries, len(a)):
        in_a, in_b = a.distances(rows), b.distances(rows)
        sorted_a, sorted_b = np.sort(in_a, axis=1), np.sort(in_b, axis=1)
        for row in range(len(rows)):
            ranked_a, ranked_b = (in_a[row], sorted_a[row], a), (in_b[row], sorted_b[row], b)
            yield _ranks(*ranked_a, *ranked_b, most), _ranks(*ranked_b, *ranked_a, most)


def _ranks(
    distance_a: NDArray[np.float64],
    sorted_a: NDArray[np.float64],
    a: EmbeddingSpace,
    distance_b: NDArray[np.float64],
    sorted_b: NDArray[np.float64],
    b: EmbeddingSpace,
    most: int,
) -> NeighborRanks:
    reach = sorted_a[most - 1]
    members = np.flatnonzero(distance_a <= reach + a.slack(reach))
    members = members[np.argsort(distance_a[members], kind="stable")]
    of_members = distance_b[members]
    slack = b.slack(of_members)
    nearer = np.searchsorted(sorted_b, of_members - slack, side="left")
    up_to = np.searchsorted(sorted_b, of_members + slack, side="right")
    return NeighborRanks(a, distance_a[members], nearer, up_to - nearer)
