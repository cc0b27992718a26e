"""How many neighbours of some points are the same in two spaces, for neighbourhoods of many sizes at once."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from cryoarena.metrics.pairwise import columns_where, distinct_rows, smallest, squared_distances, stable_order

# distances that differ by less are ties: rounding must not choose among equally distant conformations
_TIE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class _Membership:
    """How likely some points are in neighbourhoods of each size k, where ties at the rim are broken by lot.

    Attributes:
        first_within: (Q, M) number of the first radius within which a point lies, R where it lies within none.
        first_within_or_on: (Q, M) the same, radii on which it lies included.
        chance_on: (Q, R) of the points on each radius.
    """

    first_within: Tensor
    first_within_or_on: Tensor
    chance_on: Tensor

    @staticmethod
    def of(squared: Tensor, in_order: Tensor, radius: Tensor, k: Tensor, with_query: bool) -> "_Membership":
        """Place points in neighbourhoods.

        Args:
            squared: (Q, M) squared distances of the points.
            in_order: (Q, m) squared distances of all points up to the largest radius and on it, ascending.
            radius: (Q, R) squared distance of the k-th neighbour.
            k: (R,) sizes.
            with_query: whether the query, which is not its own neighbour, is among `in_order`.
        """
        inner, outer = radius * (1 - _TIE_TOLERANCE) ** 2, radius * (1 + _TIE_TOLERANCE) ** 2
        within = torch.searchsorted(in_order, inner)
        on = torch.searchsorted(in_order, outer, right=True) - within
        if with_query:
            within -= (inner > 0).long()
            on -= (inner <= 0).long()
        return _Membership(
            torch.searchsorted(inner, squared, right=True, out_int32=True),
            torch.searchsorted(outer, squared, out_int32=True),
            (k - within).double() / on,
        )

    def shared(self, which: Tensor) -> "_Membership":
        """Return the membership (Q, …) of queries of which each has row `which` (Q,) of this one."""
        return _Membership(self.first_within[which], self.first_within_or_on[which], self.chance_on[which])

    def parts(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """Return the membership as a sum: first radius (Q, M) from which on a point counts, and how much (Q, R)."""
        return (self.first_within, 1 - self.chance_on), (self.first_within_or_on, self.chance_on)


def expected_overlap(found: Tensor, truth: Tensor, queries: Tensor, k: Tensor) -> Tensor:
    """Return the expected number of common members of two neighbourhoods, where ties at the rim are broken by lot.

    Args:
        found: (N, d).
        truth: (N, c).
        queries: (Q,) rows; none is its own neighbour.
        k: (R,) sizes, ascending.

    Returns:
        (Q, R).
    """
    first, which = distinct_rows(truth[queries])
    in_truth = squared_distances(truth[queries[first]], truth)
    ordered_truth = _nearest_and_tied(in_truth, int(k[-1]) + 1)
    # the query is the nearest of all to itself: entry k is the k-th of the others
    radius_truth = ordered_truth[:, k]
    columns, real = columns_where(in_truth <= radius_truth[:, -1:] * (1 + _TIE_TOLERANCE) ** 2)
    of_columns = in_truth.gather(1, columns).where(real, torch.inf)
    truly = _Membership.of(of_columns, ordered_truth, radius_truth, k, with_query=True).shared(which)

    in_found = squared_distances(found[queries], found)
    in_found[torch.arange(len(queries), device=queries.device), queries] = torch.inf
    ordered_found = _nearest_and_tied(in_found, int(k[-1]))
    of_columns = in_found.gather(1, columns[which])
    seemingly = _Membership.of(of_columns, ordered_found, ordered_found[:, k - 1], k, with_query=False)
    overlap = torch.zeros(len(queries), len(k), dtype=torch.float64, device=queries.device)
    for first_found, weight_found in seemingly.parts():
        for first_truth, weight_truth in truly.parts():
            both = _within_each(torch.maximum(first_found, first_truth), len(k))
            overlap += weight_found * weight_truth * both
    return overlap


def _within_each(first: Tensor, radii: int) -> Tensor:
    """Count (Q, R) the entries of each row of `first` (Q, M), numbers of radii up to R, that are at most 0 … R - 1."""
    cells = first + (radii + 1) * torch.arange(len(first), device=first.device)[:, None]
    counts = torch.bincount(cells.reshape(-1), minlength=len(first) * (radii + 1))
    return counts.reshape(len(first), -1)[:, :radii].cumsum(dim=1)


def _nearest_and_tied(squared: Tensor, members: int) -> Tensor:
    """Return the smallest squared distances (Q, m) in order, at least as many as tie with the last of `members`."""
    chosen = smallest(squared, members)
    reach = chosen[:, -1:] * (1 + _TIE_TOLERANCE) ** 2
    most = int((squared <= reach).sum(dim=1).max())
    return chosen if most <= members else smallest(squared, most)


def ordered_overlap(found: Tensor, truth: Tensor, queries: Tensor, k: Tensor) -> Tensor:
    """Return how many points have a rank of at most k in both spaces; the lower row wins a tie.

    Args:
        found: (N, d).
        truth: (N, c).
        queries: (Q,) rows; each has rank 0 in its own neighbourhood, unless a lower row equals it.
        k: (R,) ranks, ascending.

    Returns:
        (R,) of all queries together.
    """
    first, which = distinct_rows(truth[queries])
    # roots are taken because rounding them makes ties, which the lower row wins
    in_truth = squared_distances(truth[queries[first]], truth).sqrt_()
    columns, real = columns_where(in_truth <= smallest(in_truth, int(k[-1]) + 1)[:, -1:])
    in_found = squared_distances(found[queries], found).sqrt_()
    first_truth = _first_neighborhood(in_truth, columns, k).where(real, len(k))[which]
    first_found = _first_neighborhood(in_found, columns[which], k)
    # a point is in both neighbourhoods from the larger of its two on
    return _within_each(torch.maximum(first_found, first_truth).reshape(1, -1), len(k))[0]


def _first_neighborhood(distance: Tensor, columns: Tensor, k: Tensor) -> Tensor:
    """Return in which neighbourhood, of ranks up to k, some points (Q, M) are first; the lower row wins a tie."""
    members = int(k[-1]) + 1
    nearest = pad(smallest(distance, min(members + 1, distance.shape[1])), (0, 1), value=torch.inf)
    first = torch.searchsorted(nearest[:, k], distance.gather(1, columns), out_int32=True)
    cut = (nearest[:, k] == nearest[:, k + 1]).any(dim=1).nonzero()[:, 0]
    if len(cut):
        order = stable_order(distance[cut])[:, :members]
        of_rank = torch.searchsorted(k, torch.arange(members, device=k.device), out_int32=True)
        of_all = torch.full((len(cut), distance.shape[1]), len(k), dtype=torch.int32, device=k.device)
        of_all.scatter_(1, order, of_rank.expand(len(cut), -1))
        first[cut] = of_all.gather(1, columns[cut])
    return first
