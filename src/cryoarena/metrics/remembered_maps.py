"""Remember the maps of an answer, since several metrics ask for the same ones and some take long to make."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class RememberedMaps:
    """Maps of particles, made once and then kept on disk until the object goes."""

    def __init__(self, make: Callable[[NDArray[np.int64]], NDArray[np.float32]]) -> None:
        """Hold what makes maps (k, D, D, D) of rows (k,)."""
        self._make = make
        self._kept = tempfile.TemporaryDirectory(prefix="cryoarena-maps-")

    def __call__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the maps (k, D, D, D) of rows (k,)."""
        paths = [Path(self._kept.name) / f"{row}.npy" for row in rows]
        missing = [number for number, path in enumerate(paths) if not path.exists()]
        if missing:
            for number, volume in zip(missing, self._make(rows[missing]), strict=True):
                np.save(paths[number], volume)
        return np.stack([np.load(path) for path in paths])
