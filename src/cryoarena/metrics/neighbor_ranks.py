"""How near, in one space, the nearest neighbours of a point in another space are; ties are kept, not broken."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.metrics.embedding_space import EmbeddingSpace, blocks
from cryoarena.metrics.pairwise import ascending, columns_where, distinct_rows, squared_distances


@dataclass(frozen=True)
class NeighborRanks:
    """The nearest neighbours of Q queries in a space A, and where they rank in a space B.

    Truth is often discrete (a thousand images of one conformation), and an embedding may be (classes). Ties are
    broken by lot in either space, and expectations over the lots are taken: the outcome is deterministic and does
    not depend on the order of the images.

    Attributes:
        space: A.
        k: (R,) sizes of neighbourhoods.
        radius: (Q, R) distance in A of the k-th neighbour.
        distance: (Q, M) in A of all neighbours within the largest radius, in no order; infinite where there are fewer.
        nearer: (Q, M) number of points nearer to the query in B than this neighbour.
        tied: (Q, M) number of points as near in B, the neighbour itself included.
    """

    space: EmbeddingSpace
    k: tuple[int, ...]
    radius: Tensor
    distance: Tensor
    nearer: Tensor
    tied: Tensor

    def expected_rank(self) -> Tensor:
        """Return the expected rank (Q, M) in B, 1 for the nearest."""
        return self.nearer + (self.tied + 1).double() / 2

    def expected_excess(self, k: int) -> Tensor:
        """Return the expected max(0, rank - k) (Q, M) in B."""
        beyond = (self.nearer + self.tied - k).clamp(min=0).double()
        partly = beyond * (beyond + 1) / (2 * self.tied)
        return torch.where(self.nearer >= k, self.expected_rank() - k, partly)

    def mean_over_nearest(self, size: int, values: Tensor) -> Tensor:
        """Return the expected mean (Q,) of `values` (Q, M) over the k[size] nearest neighbours in A."""
        k, radius = self.k[size], self.radius[:, size, None]
        slack = self.space.slack(radius)
        within = self.distance < radius - slack
        rim = (self.distance <= radius + slack) & ~within
        drawn = (k - within.sum(dim=1)) * values.where(rim, 0).sum(dim=1) / rim.sum(dim=1)
        return (values.where(within, 0).sum(dim=1) + drawn) / k


def neighbor_ranks(
    a: EmbeddingSpace, b: EmbeddingSpace, queries: NDArray[np.int64], k: NDArray[np.int64], device: str
) -> Iterator[tuple[NDArray[np.int64], NeighborRanks, NeighborRanks]]:
    """Yield, for some queries at a time, their neighbours in `a` ranked in `b`, and those in `b` ranked in `a`.

    Neighbours are looked for among all N points, exactly; the query itself is left out.

    Args:
        a: space of N points.
        b: another of the same N points.
        queries: (Q,) rows.
        k: (R,) sizes of the neighbourhoods that will be asked for, ascending, less than N.
        device: of torch.

    Yields:
        Which queries (a part of 0 … Q - 1; all of them come once), and their neighbours.
    """
    points = [torch.tensor(space.points, device=device) for space in (a, b)]
    here = torch.from_numpy(queries).to(device)
    # queries that are the same point share the search: those of one conformation stand together
    identity_a, identity_b = (distinct_rows(each[here])[1].cpu().numpy() for each in points)
    order = np.lexsort(sorted((identity_a, identity_b), key=np.max, reverse=True))
    sizes = tuple(int(size) for size in k)
    for part in blocks(order, len(a)):
        rows = here[torch.from_numpy(part).to(device)]
        seen_a, seen_b = (
            _Neighborhoods.of(space, each, rows, sizes) for space, each in zip((a, b), points, strict=True)
        )
        yield part, seen_a.ranked_in(seen_b), seen_b.ranked_in(seen_a)


@dataclass(frozen=True)
class _Neighborhoods:
    """What some queries see of one space.

    Attributes:
        space: the space.
        rows: (Q,) queries, as rows of the space.
        k: (R,) sizes of neighbourhoods.
        which: (Q,) the row of the other arrays that belongs to each query: equal queries share it.
        squared: (u, N) squared distances to all points, the queries themselves included.
        in_order: (u, N) the same in ascending order.
    """

    space: EmbeddingSpace
    rows: Tensor
    k: tuple[int, ...]
    which: Tensor
    squared: Tensor
    in_order: Tensor

    @staticmethod
    def of(space: EmbeddingSpace, points: Tensor, rows: Tensor, k: tuple[int, ...]) -> "_Neighborhoods":
        first, which = distinct_rows(points[rows])
        squared = squared_distances(points[rows[first]], points)
        return _Neighborhoods(space, rows, k, which, squared, ascending(squared))

    def ranked_in(self, other: "_Neighborhoods") -> NeighborRanks:
        # the query is nearest of all to itself: entry k is the k-th of the others
        radius = self.in_order[:, list(self.k)].sqrt()
        reach = radius[:, -1] + self.space.slack(radius[:, -1])
        columns, real = columns_where(self.squared <= reach.square()[:, None])
        distance = torch.where(real, self.squared.gather(1, columns).sqrt(), torch.inf)
        columns, distance = columns[self.which], distance[self.which]
        distance[columns == self.rows[:, None]] = torch.inf
        nearer, tied = other._ranks(columns)
        return NeighborRanks(self.space, self.k, radius[self.which], distance, nearer, tied)

    def _ranks(self, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Return how many points but the query are nearer than, and how many as near as, some points (Q, M)."""
        distance = self.squared[self.which[:, None], columns].sqrt()
        slack = self.space.slack(distance)
        nearest, farthest = (distance - slack).clamp(min=0).square(), (distance + slack).square()
        shared = len(self.in_order) < len(self.which)
        in_order = self.in_order[self.which] if shared else self.in_order
        nearer = torch.searchsorted(in_order, nearest)
        up_to = torch.searchsorted(in_order, farthest, right=True)
        # the query is at distance 0: it counts as nearer, or as tied with a point that does not differ from it
        query_nearer = nearest > 0
        return nearer - query_nearer.long(), up_to - nearer - (~query_nearer).long()
