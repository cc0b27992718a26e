"""Latents of an outside program, and the program that makes maps of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cryoarena.imaging.poses import Poses
from cryoarena.methods.base import Reconstruction
from cryoarena.methods.external.representatives import maps_at_once, representatives

_LATENTS = "latents.npy"


class MapMaker(Protocol):
    """The program of a trained decoder, and its files."""

    @property
    def box_px(self) -> int:
        """Return the box of the dataset."""

    def volumes_at(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the maps (k, D, D, D) at latents (k, d), in the box of the dataset."""

    def save(self, folder: Path) -> None:
        """Copy the files of the decoder into an existing folder."""


class DecodedReconstruction(Reconstruction):
    """Latents, and the decoder that turns them into maps."""

    def __init__(
        self,
        decoder: MapMaker,
        embedding: NDArray[np.float32],
        rows: NDArray[np.int64] | None = None,
        poses: Poses | None = None,
        history: list[dict[str, float]] | None = None,
        notes: tuple[str, ...] = (),
        found: Mapping[str, Any] | None = None,
    ) -> None:
        """Hold a decoder and the latents (N, d) of the particles in `rows`."""
        self.embedding = embedding
        self.posterior = None
        self.poses = poses
        self.representatives = representatives(embedding)
        self.maps_at_once = maps_at_once(decoder.box_px)
        self.history = history or []
        self.rows = rows
        self.notes = notes
        self.found = found or {}
        self._decoder = decoder

    def volumes_at(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the maps (k, D, D, D) at latents (k, d)."""
        return self._decoder.volumes_at(latents)

    def save(self, folder: Path) -> None:
        """Copy the decoder and write the latents."""
        self._decoder.save(folder)
        np.save(folder / _LATENTS, self.embedding)


def saved_latents(folder: Path) -> NDArray[np.float32]:
    """Return the latents (N, d) that `save` wrote.

    Raises:
        OSError, ValueError: when the file is missing or damaged.
    """
    return np.asarray(np.load(folder / _LATENTS, allow_pickle=False), np.float32)


def require_files(folder: Path, *names: str) -> None:
    """Check that the files of a saved decoder are there.

    Raises:
        FileNotFoundError: when one is not.
    """
    for name in names:
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name} does not exist")
