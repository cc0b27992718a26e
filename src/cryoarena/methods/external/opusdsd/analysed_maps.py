"""Maps that `dsdsh eval_vol … kmeans` made at the centres that `dsdsh analyze` found."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.methods.external.map_files import MapFiles
from cryoarena.methods.external.opusdsd.place_map import place_map
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.mrc import read_volume, write_volume

_TOLERANCE = 0.005


@dataclass(frozen=True)
class PlacedMaps(MapFiles):
    """Maps in a temporary folder, which is deleted with the last reference to them."""

    folder: tempfile.TemporaryDirectory[str] | None = None


@dataclass(frozen=True)
class AnalysedMaps:
    """Maps, and the latents that they belong to.

    Attributes:
        paths: of the maps, which show what is within the mask.
        latents: (m, d).
    """

    paths: tuple[Path, ...]
    latents: NDArray[np.float32]

    def placed(self, particles: ParticleSet, opposite: bool) -> PlacedMaps:
        """Return the maps in the field of view of the images.

        Raises:
            UserError: when a map is damaged, or no even number of its voxels makes up that field.
        """
        kept = tempfile.TemporaryDirectory(prefix="cryoarena-opusdsd-")
        field_A = particles.box_px * particles.pixel_size_A
        placed = []
        for number, path in enumerate(self.paths):
            volume, voxel_A = read_volume(path)
            box_px = 2 * round(field_A / voxel_A / 2)
            if abs(box_px * voxel_A / field_A - 1) > _TOLERANCE or len(volume) > box_px:
                raise UserError(
                    f"{path} has {len(volume)} voxels of {voxel_A:g} Å, which do not fit into the {field_A:g} Å of the "
                    f"images; make it again with the pixel size of the images, {particles.pixel_size_A:g}"
                )
            placed.append(Path(kept.name) / f"{number:06d}.mrc")
            write_volume(placed[-1], place_map(volume, box_px), field_A / box_px)
        return PlacedMaps(tuple(placed), particles.box_px, particles.pixel_size_A, opposite, kept)


def analysed_maps(folder: Path, epoch: int, dimensions: int) -> AnalysedMaps | None:
    """Return the maps of the most k-means centres of an epoch, or None where there are none.

    Raises:
        UserError: when there are not as many maps as centres.
    """
    found = [path.parent for path in folder.glob(f"analyze.{epoch}/kmeans*/reference0.mrc")]
    if not found:
        return None
    analysis = max(found, key=lambda path: len(list(path.glob("reference*.mrc"))))
    table = analysis / "centers.txt"
    latents = np.loadtxt(table, ndmin=2, dtype=np.float32) if table.is_file() else np.empty((0, 0), np.float32)
    paths = tuple(analysis / f"reference{number}.mrc" for number in range(len(latents)))
    if latents.shape[1] != dimensions or not all(path.is_file() for path in paths):
        raise UserError(
            f"{table} has latents of shape {latents.shape}, but there are not as many maps reference….mrc or the "
            f"latent has {dimensions} dimensions; copy all files of one analysis"
        )
    return AnalysedMaps(paths, latents)
