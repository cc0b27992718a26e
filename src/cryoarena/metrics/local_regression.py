"""Predict a property of held-out points from their neighbours by local linear regression."""

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

_FOLDS = 5
_NEIGHBOURS_PER_COEFFICIENT = 10
_LEAST_NEIGHBOURS = 30
_LEAST_LOCAL = 50  # neighbours are at most one in so many
_RIDGE = 1e-3  # of the neighbours' mean variance per coordinate
_AT_ONCE = 500


def cross_validated_prediction(
    points: NDArray[np.float64], values: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    """Predict the values (n, c) of points (n, d), each from its neighbours in the other four of five folds.

    A plane is fitted to the nearest neighbours, ten per coefficient. Their mere mean would pull every prediction
    towards where points are dense, and so deepen the wells of a density; a plane does not (Cleveland & Devlin 1988,
    J. Am. Stat. Assoc. 83:596).
    """
    n, dimensions = points.shape
    fold_of = np.random.default_rng(seed).permutation(n) % _FOLDS
    k = max(_LEAST_NEIGHBOURS, min(_NEIGHBOURS_PER_COEFFICIENT * (dimensions + 1), n // _LEAST_LOCAL))
    predicted = np.empty(values.shape)
    for fold in range(_FOLDS):
        training, queries = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        search = NearestNeighbors(n_neighbors=min(k, len(training))).fit(points[training])
        for start in range(0, len(queries), _AT_ONCE):
            rows = queries[start : start + _AT_ONCE]
            neighbours = training[search.kneighbors(points[rows], return_distance=False)]
            predicted[rows] = _on_planes(points[rows], points[neighbours], values[neighbours])
    return predicted


def _on_planes(
    point: NDArray[np.float64], neighbour: NDArray[np.float64], value: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the values (q, c) at points (q, d) of planes through neighbours (q, k, d) with values (q, k, c)."""
    centre, mean = neighbour.mean(axis=1, keepdims=True), value.mean(axis=1, keepdims=True)
    across = neighbour - centre
    moments = np.einsum("qki,qkj->qij", across, across)
    dimensions = moments.shape[-1]
    ridge = _RIDGE * np.trace(moments, axis1=1, axis2=2) / dimensions
    # Where all neighbours are one point there is no slope.
    moments += np.where(ridge > 0, ridge, 1.0)[:, None, None] * np.eye(dimensions)
    slope = np.linalg.solve(moments, np.einsum("qki,qkc->qic", across, value - mean))
    return np.asarray(mean[:, 0] + np.einsum("qi,qic->qc", point - centre[:, 0], slope))
