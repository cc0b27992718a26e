"""A particle stack on disk, read in batches."""

from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.imaging.ctf import CtfParameters
from cryoarena.imaging.poses import Poses


@dataclass(frozen=True)
class ParticleSet:
    """N particle images with what is known about them; images stay on disk until read.

    Attributes:
        particle_id: (N,) stable identity of each particle; results are matched by it, never by row order.
        box_px: image side D.
        pixel_size_A: of the images.
        contrast_sign: +1 bright (image = -CTF·projection, protein bright), -1 dark (image = +CTF·projection).
        stack_files: the .mrcs files.
        stack_index: (N,) which file holds the image.
        slice_index: (N,) which slice of that file, from 0.
        poses: or None when unknown.
        ctf: or None when unknown.
        half_set: (N,) 0 or 1, or None when none was chosen.
    """

    particle_id: NDArray[np.int64]
    box_px: int
    pixel_size_A: float
    contrast_sign: int
    stack_files: tuple[Path, ...]
    stack_index: NDArray[np.int64]
    slice_index: NDArray[np.int64]
    poses: Poses | None
    ctf: CtfParameters | None
    half_set: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.particle_id)

    def images(self, rows: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Read images as they are on disk.

        Args:
            rows: which particles, as rows of this set.

        Returns:
            (n, D, D) float32 [y, x].

        Raises:
            UserError: when a stack is missing, truncated or of another box size.
        """
        index = np.arange(len(self))[rows]
        images = np.empty((len(index), self.box_px, self.box_px), np.float32)
        for stack in np.unique(self.stack_index[index]):
            here = self.stack_index[index] == stack
            data = open_stack(self.stack_files[stack], self.box_px)
            slices = self.slice_index[index[here]]
            if slices.size and slices.max() >= len(data):
                raise UserError(
                    f"{self.stack_files[stack]} has {len(data)} images but image {slices.max() + 1} is asked for; "
                    "the table and the stack do not match"
                )
            images[here] = data[slices]
        return images


def open_stack(path: Path, box_px: int | None = None) -> NDArray[np.float32]:
    """Memory-map an .mrcs stack as (n, D, D) and check its size against its header.

    Raises:
        UserError: when it is missing, truncated, not an MRC file, or not of box `box_px`.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist; the table names it as an image stack")
    try:
        with mrcfile.mmap(path, mode="r", permissive=False) as stack:
            data = stack.data
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is not a whole MRC stack (truncated or damaged): {error}") from error
    if data is None or data.size == 0:
        raise UserError(f"{path} holds no images")
    if data.ndim == 2:
        data = data[None]
    if box_px is not None and data.shape[1:] != (box_px, box_px):
        raise UserError(
            f"{path} has images of {data.shape[2]} x {data.shape[1]} px but {box_px} x {box_px} px are expected"
        )
    return np.asarray(data) if data.dtype != np.float32 else data
