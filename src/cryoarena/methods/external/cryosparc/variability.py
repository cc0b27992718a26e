"""3D Variability: a map plus components (Punjani and Fleet 2021, doi:10.1016/j.jsb.2021.107702)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.files import read_json, write_json
from cryoarena.methods.base import Reconstruction
from cryoarena.methods.external.cryosparc.components import components, has_components
from cryoarena.methods.external.cryosparc.job_folder import JobFolder, job_files, last_tables
from cryoarena.methods.external.cryosparc.options import ImportOptions
from cryoarena.methods.external.cryosparc.particle_rows import particle_rows
from cryoarena.methods.external.cryosparc.report import about, in_order
from cryoarena.methods.external.map_files import MapFiles, require_field
from cryoarena.methods.external.representatives import representatives
from cryoarena.particles.cs_table import read_cs_table
from cryoarena.particles.particle_set import ParticleSet


class VariabilityReconstruction(Reconstruction):
    """Coordinates z, and maps as map + Σ z_k · component_k."""

    def __init__(self, embedding: NDArray[np.float32], maps: MapFiles) -> None:
        """Hold the coordinates (N, d) and the files of the map and the d components, in this order."""
        self.embedding = embedding
        self.posterior = None
        self.history = []
        self.representatives = representatives(embedding)
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


def load_variability(folder: Path, particles: ParticleSet) -> VariabilityReconstruction:
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
    return VariabilityReconstruction(embedding, MapFiles(paths, particles.box_px, particles.pixel_size_A, opposite))


def read_variability(job: JobFolder, particles: ParticleSet, options: ImportOptions) -> VariabilityReconstruction:
    """Read the coordinates of particles, the map and its components.

    Raises:
        UserError: when a file is missing or damaged, coordinates and components do not match, or particles are not of
            the set.
    """
    files = last_tables(job.path, has_components)
    tables = [read_cs_table(file.path) for file in files if file.class_number is None]
    if not tables:
        raise UserError(
            f"{job.path} has no particle table with components_mode_0/value; give the folder of a 3D Variability job, "
            "not of its display job"
        )
    rows, opposite = particle_rows(tables[0], job.path, options.images, particles)
    order, kept = in_order(rows, files[0].path, len(particles))
    latents = components(tables[0])[order]
    paths = (_only(job.path, "*_map.mrc"), *_component_maps(job.path, latents.shape[1]))
    box_px = require_field(paths, particles)
    found = VariabilityReconstruction(latents, MapFiles(paths, particles.box_px, particles.pixel_size_A, opposite))
    found.rows = kept
    found.notes, found.found = about(job, files[0].iteration, len(order), box_px, opposite, particles)
    return found


def _component_maps(folder: Path, count: int) -> list[Path]:
    paths = [_only(folder, f"*_component_{mode}.mrc") for mode in range(count)]
    if more := sorted(folder.glob(f"*_component_{count}.mrc")):
        raise UserError(f"{more[0]} is a component that particles have no coordinate of; the files are of two jobs")
    return paths


def _only(folder: Path, pattern: str) -> Path:
    found = job_files(folder, pattern)
    if not found:
        raise UserError(f"{folder} has no {pattern.replace('*', 'J12')}; copy all maps of the job")
    return found[0].path
