"""Aggregates and other molecules that particle pickers take for the one that is looked for."""

from typing import final

import numpy as np
from numpy.typing import NDArray

from cryoarena.imaging.specimen import Specimen
from cryoarena.imaging.views import random_directions
from cryoarena.structures.density import ScatteringModel, gaussian_model

_POINTS = 1500
_LOBES = (3, 12)
_RESOLUTION_A = 12.0


@final
class Aggregates(Specimen):
    """Random chains of smooth lobes, each different, as large and as heavy as a given molecule."""

    def __init__(self, count: int, radius_A: float, weight: float, seed: int) -> None:
        """Prepare `count` aggregates that reach `radius_A` and whose form factors sum to `weight`."""
        self._count = count
        self._radius_A = radius_A
        self._seed = seed
        self._model = gaussian_model(np.full(_POINTS, weight / _POINTS), _RESOLUTION_A)

    def __len__(self) -> int:
        return self._count

    def position_A(self, conformation: int) -> NDArray[np.float32]:
        """Return the points (n, 3) of an aggregate."""
        rng = np.random.default_rng([self._seed, conformation])
        lobes = np.cumsum(random_directions(int(rng.integers(*_LOBES, endpoint=True)), rng), axis=0)
        points = lobes[rng.integers(len(lobes), size=_POINTS)] + 0.4 * rng.standard_normal((_POINTS, 3))
        points -= points.mean(axis=0)
        return np.asarray(points * (self._radius_A / np.linalg.norm(points, axis=1).max()), np.float32)

    def scattering(self, conformation: int) -> ScatteringModel:
        """Return the form factors of the points."""
        return self._model

    def reach_A(self) -> float:
        """Return how far from the origin a point is at most."""
        return self._radius_A
