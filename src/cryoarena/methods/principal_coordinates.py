"""Latents of maps that are given one by one: as far apart as the maps."""

import numpy as np
from numpy.typing import NDArray


def principal_coordinates(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return coordinates (K, K - 1, at least 1) with the same distances as the maps, the largest axis first."""
    flat = (maps - maps.mean(axis=0)).reshape(len(maps), -1)
    values, vectors = np.linalg.eigh((flat @ flat.T).astype(np.float64))
    coordinates = (vectors * np.sqrt(values.clip(min=0)))[:, ::-1]
    # The sign of an eigenvector is arbitrary.
    coordinates *= np.where(coordinates[np.abs(coordinates).argmax(axis=0), np.arange(len(maps))] < 0, -1, 1)
    return np.asarray(coordinates[:, : max(1, len(maps) - 1)], np.float32)
