"""A result whose maps are linear in the coordinates of particles: a map plus components."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.files import read_json, write_json
from cryoarena.methods.base import Reconstruction
from cryoarena.methods.external.map_files import MapFiles
from cryoarena.methods.external.representatives import representatives
from cryoarena.particles.particle_set import ParticleSet


class LinearMaps(Reconstruction):
    """Coordinates z, and maps as map + Σ z_k · component_k."""

    def __init__(
        self,
        embedding: NDArray[np.float32],
        maps: MapFiles,
        rows: NDArray[np.int64] | None = None,
        notes: tuple[str, ...] = (),
        found: Mapping[str, Any] | None = None,
    ) -> None:
        """Hold the coordinates (N, d) and the files of the map and the d components, in this order."""
        self.embedding = embedding
        self.posterior = None
        self.history = []
        self.representatives = representatives(embedding)
        self.rows = rows
        self.notes = notes
        self.found = found or {}
        self._maps = maps

    def volumes_at(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the maps (k, D, D, D) at latents (k, d)."""
        volumes = self._maps.read(np.arange(len(self._maps)))
        return np.asarray(volumes[0] + np.tensordot(latents, volumes[1:], axes=1), np.float32)

    def save(self, folder: Path) -> None:
        """Copy the map and the components and write the coordinates."""
        np.save(folder / "embedding.npy", self.embedding)
        write_json(folder / "maps.json", {"opposite": self._maps.opposite})
        self._maps.copy_to(folder / "maps")


def load_linear_maps(folder: Path, particles: ParticleSet) -> LinearMaps:
    """Read back what `save` wrote.

    Raises:
        UserError: when a file is missing.
        OSError, ValueError, KeyError: when one is damaged.
    """
    paths = tuple(sorted((folder / "maps").glob("*.mrc")))
    embedding = np.load(folder / "embedding.npy", allow_pickle=False)
    if len(paths) != embedding.shape[1] + 1:
        raise FileNotFoundError(f"{folder / 'maps'} has {len(paths)} maps, not {embedding.shape[1] + 1}")
    opposite = bool(read_json(folder / "maps.json")["opposite"])
    return LinearMaps(embedding, MapFiles(paths, particles.box_px, particles.pixel_size_A, opposite))
