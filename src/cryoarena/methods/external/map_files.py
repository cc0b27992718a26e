"""Maps that an outside program left as files, brought to the grid of a dataset."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.filters import fourier_resize_volume
from cryoarena.volumes.mrc import read_grid, read_volume

# Programs round the pixel sizes of what they downsample.
_FIELD_TOLERANCE = 0.005


@dataclass(frozen=True)
class MapFiles:
    """Maps on disk, of the field of view of a dataset.

    Attributes:
        paths: of the maps.
        box_px, pixel_size_A: of the dataset, to which maps of another box are Fourier-cropped or padded.
        opposite: whether protein is negative in them.
    """

    paths: tuple[Path, ...]
    box_px: int
    pixel_size_A: float
    opposite: bool = False

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return maps by their numbers (k,) as (k, D, D, D).

        Raises:
            UserError: when a file is missing or damaged.
        """
        # The pixel size is not asked of the header, which has been checked.
        distinct, place = np.unique(numbers, return_inverse=True)
        volumes = [
            fourier_resize_volume(read_volume(self.paths[number], self.pixel_size_A)[0], self.box_px)
            for number in distinct
        ]
        return np.asarray((-1 if self.opposite else 1) * np.stack(volumes)[place], np.float32)

    def copy_to(self, folder: Path) -> None:
        """Copy the files into a new folder, numbered."""
        folder.mkdir()
        for number, path in enumerate(self.paths):
            shutil.copyfile(path, folder / f"{number:06d}.mrc")


def require_field(paths: tuple[Path, ...], particles: ParticleSet, pixel_size_A: float | None = None) -> int:
    """Check that maps show the field of view of the images, in one box; return it. Only headers are read.

    Args:
        paths: of the maps; at least one.
        particles: of the dataset.
        pixel_size_A: of the maps, where their headers do not tell it.

    Raises:
        UserError: when a map is damaged, has another box than the first, or shows another field.
    """
    field_A = particles.box_px * particles.pixel_size_A
    boxes = []
    for path in paths:
        if pixel_size_A is None:
            box_px, pixel = read_grid(path)
        else:
            box_px, pixel = len(read_volume(path, pixel_size_A)[0]), pixel_size_A
        if abs(box_px * pixel / field_A - 1) > _FIELD_TOLERANCE:
            raise UserError(
                f"{path} shows {box_px} voxels of {pixel:g} Å, {box_px * pixel:.1f} Å in all, but the images of the "
                f"dataset {field_A:.1f} Å; pad or crop the map to that field, or correct the pixel size of its header"
            )
        boxes.append(box_px)
        if box_px != boxes[0]:
            raise UserError(f"{path} has a box of {box_px} but {paths[0]} of {boxes[0]}; give maps of one box")
    return boxes[0]
