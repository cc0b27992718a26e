"""A result whose maps were made beforehand: a latent has the map of the nearest known latent."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from cryoarena.files import read_json, write_json
from cryoarena.imaging.poses import Poses
from cryoarena.methods.base import NoMaps, Reconstruction
from cryoarena.methods.external.map_files import MapFiles
from cryoarena.methods.principal_coordinates import principal_coordinates
from cryoarena.particles.particle_set import ParticleSet

_NO_MAPS = "the imported result has no maps"
_MOST_SHOWN = 50


class GivenMaps(Reconstruction):
    """Latents, and maps that belong to some of them."""

    def __init__(
        self,
        embedding: NDArray[np.float32],
        centres: NDArray[np.float32],
        which: NDArray[np.int64],
        maps: MapFiles,
        posterior: NDArray[np.float32] | None = None,
        poses: Poses | None = None,
        rows: NDArray[np.int64] | None = None,
        history: list[dict[str, float]] | None = None,
        notes: tuple[str, ...] = (),
        found: Mapping[str, Any] | None = None,
    ) -> None:
        """Hold latents (N, d), and those (m, d) whose maps are known with the number (m,) of the map of each.

        Without maps m is 0. The other arguments are as in `Reconstruction`.
        """
        self.embedding = np.asarray(embedding, np.float32)
        self.posterior = posterior
        self.poses = poses
        self.history = history or []
        self.rows = rows
        self.notes = (*notes, *_nearest(len(np.unique(which)), len(self.embedding), posterior is not None))
        self.found = found or {}
        self._centres = np.asarray(centres, np.float32)
        self._which = which
        self._maps = maps
        shown, first = np.unique(which, return_index=True)
        if len(shown) > _MOST_SHOWN:
            first = first[np.linspace(0, len(first) - 1, _MOST_SHOWN).astype(int)]
        self.representatives = self._centres[first]

    def volumes_at(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the maps (k, D, D, D) that belong to the known latents nearest to (k, d).

        Raises:
            NoMaps: when there are none.
        """
        if not len(self._centres):
            raise NoMaps(_NO_MAPS)
        nearest = KDTree(self._centres).query(latents)[1]
        return self._maps.read(self._which[nearest])

    def save(self, folder: Path) -> None:
        """Copy the maps and write the latents that they belong to."""
        np.save(folder / "embedding.npy", self.embedding)
        np.save(folder / "centres.npy", self._centres)
        np.save(folder / "which.npy", self._which)
        write_json(folder / "maps.json", {"opposite": self._maps.opposite})
        self._maps.copy_to(folder / "maps")


def _nearest(maps: int, particles: int, are_classes: bool) -> tuple[str, ...]:
    """Return what is to be told where a particle is judged by the map of another latent."""
    if are_classes or not 0 < maps < particles:
        return ()
    return (f"a particle has the map of the nearest latent that has one (number of maps: {maps})",)


def load_given_maps(folder: Path, particles: ParticleSet) -> GivenMaps:
    """Read back what `save` wrote.

    Raises:
        UserError: when a file is missing.
        OSError, ValueError, KeyError: when one is damaged.
    """
    paths = tuple(sorted((folder / "maps").glob("*.mrc")))
    opposite = bool(read_json(folder / "maps.json")["opposite"])
    names = ("embedding.npy", "centres.npy", "which.npy")
    embedding, centres, which = (np.load(folder / name, allow_pickle=False) for name in names)
    if len(which) and which.max() >= len(paths):
        raise FileNotFoundError(f"{folder / 'maps'} has {len(paths)} maps, fewer than were written")
    return GivenMaps(embedding, centres, which, MapFiles(paths, particles.box_px, particles.pixel_size_A, opposite))


def given_classes(posterior: NDArray[np.float32], maps: MapFiles, **about: Any) -> GivenMaps:
    """Return the result of a classification: probabilities (N, K) and a map of every class, or none at all.

    The latents of classes are as far apart as their maps; those of particles are means over classes, as in `class3d`.
    Without maps all classes are equally far apart.

    Args:
        posterior: (N, K).
        maps: K, or none.
        about: other arguments of `GivenMaps`.
    """
    numbers = np.arange(len(maps))
    coordinates = (
        principal_coordinates(maps.read(numbers)) if len(maps) else np.eye(posterior.shape[1], dtype=np.float32)
    )
    centres = coordinates[: len(maps)]
    return GivenMaps(posterior @ coordinates, centres, numbers, maps, posterior=posterior, **about)
