"""Points compared by Euclidean distance, with a notion of what is equally far: the ground of every embedding metric."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch import Tensor

from cryoarena.errors import UserError

# parts of a distance that rounding may change, also that of coordinates kept in single precision
_TIE_TOLERANCE_SINGLE = 1e-6
_TIE_TOLERANCE_DOUBLE = 1e-12
_BLOCK_BYTES = 64_000_000
_ARRAYS_PER_BLOCK = 4


Lengths = TypeVar("Lengths", NDArray[np.float64], Tensor)


@dataclass(frozen=True)
class EmbeddingSpace:
    """Points and the length below which their distances do not differ.

    Attributes:
        points: (N, d).
        scale: median distance from the median point; a few diverged points do not change it.
        tie_tolerance: by what part of themselves and of `scale` equal distances may differ.
    """

    points: NDArray[np.float64]
    scale: float
    tie_tolerance: float

    def __len__(self) -> int:
        return len(self.points)

    def distances(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the distances (Q, N) from some points to all, infinite from a point to itself."""
        distance = np.asarray(cdist(self.points[rows], self.points))
        distance[np.arange(len(rows)), rows] = np.inf
        return distance

    def slack(self, distance: Lengths) -> Lengths:
        """Return by how much a distance may differ and still be equal: rounding chooses no neighbours."""
        return self.tie_tolerance * (distance + self.scale)


def embedding_space(points: NDArray[np.floating], what: str) -> EmbeddingSpace:
    """Return the space of `points` (N, d) or (N,).

    Args:
        points: one row per image.
        what: they are, for errors, e.g. "the embedding".

    Raises:
        UserError: when a row holds NaN or infinity.
    """
    rows = np.asarray(points, np.float64).reshape(len(points), -1)
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if bad.size:
        raise UserError(
            f"{bad.size} of {len(rows)} rows of {what} hold NaN or infinity, the first is row {bad[0]}; "
            "the method diverged, so run it again"
        )
    centre = np.median(rows, axis=0)
    scale = float(np.median(np.linalg.norm(rows - centre, axis=1)))
    single = np.asarray(points).dtype in (np.float16, np.float32)
    return EmbeddingSpace(rows, scale, _TIE_TOLERANCE_SINGLE if single else _TIE_TOLERANCE_DOUBLE)


def matched_spaces(
    embedding: NDArray[np.floating], other: NDArray[np.floating], what: str, least: int
) -> tuple[EmbeddingSpace, EmbeddingSpace]:
    """Return the spaces of an embedding (N, d) and of `other` (N, c), which `what` names in errors.

    Raises:
        UserError: when rows differ in number, are fewer than `least`, or hold NaN.
    """
    if len(embedding) != len(other):
        raise UserError(
            f"the embedding has {len(embedding)} rows but {what} has {len(other)}; match them by particle id"
        )
    if len(embedding) < least:
        raise UserError(f"this metric needs at least {least} images, not {len(embedding)}; score a larger dataset")
    return embedding_space(embedding, "the embedding"), embedding_space(other, what)


def sampled_rows(n: int, most: int, seed: int) -> NDArray[np.int64]:
    """Return all of n rows, or a random sample of `most` of them when they are more, in ascending order."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def blocks(rows: NDArray[np.int64], n: int) -> Iterator[NDArray[np.int64]]:
    """Cut rows so that a few arrays of their distances to n points stay small."""
    size = max(1, _BLOCK_BYTES // (8 * _ARRAYS_PER_BLOCK * n))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def error_of_mean(values: NDArray[np.float64], images: int | None) -> NDArray[np.float64]:
    """Return the standard error (R,) of the mean of values (n, R); NaN for a single one.

    Every image matters twice, as a query and as a neighbour of others: the mean over queries is a U-statistic of
    degree two, whose variance over datasets of N images is at most 4/N times that of the values. Sampling n queries
    adds 1/n - 1/N. Measured with n = N, this error is 0.9 to 1.7 times the scatter between synthetic datasets.

    Args:
        values: of query points, or of parts of the dataset that have no image in common.
        images: N that the queries are among; None for parts.
    """
    if len(values) < 2:
        return np.full(values.shape[1:], np.nan)
    shared = 0 if images is None else 3 / images
    return np.asarray(np.sqrt(values.var(axis=0, ddof=1) * (1 / len(values) + shared)))
