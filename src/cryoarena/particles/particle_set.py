"""A particle stack on disk, read in batches."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.imaging.ctf import CtfParameters
from cryoarena.imaging.poses import Poses
from cryoarena.particles.stack import open_stack


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
        beam_tilt_mrad: (N, 2) along image x and y, or None when unknown.
        optics_group: (N,) which of `optics_names`, or None when no groups were told.
        optics_names: names of the optics groups.
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
    beam_tilt_mrad: NDArray[np.float64] | None = None
    optics_group: NDArray[np.int64] | None = None
    optics_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.particle_id)

    def subset(self, rows: NDArray[np.int64] | slice) -> "ParticleSet":
        """Return some of the particles, in the order of `rows`; their images stay where they are."""
        return replace(
            self,
            particle_id=self.particle_id[rows],
            stack_index=self.stack_index[rows],
            slice_index=self.slice_index[rows],
            poses=None if self.poses is None else self.poses[rows],
            ctf=None if self.ctf is None else self.ctf[rows],
            half_set=None if self.half_set is None else self.half_set[rows],
            beam_tilt_mrad=None if self.beam_tilt_mrad is None else self.beam_tilt_mrad[rows],
            optics_group=None if self.optics_group is None else self.optics_group[rows],
        )

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
            if slices.max() >= len(data):
                raise UserError(
                    f"{self.stack_files[stack]} has {len(data)} images but image {slices.max() + 1} is asked for; "
                    "the table and the stack do not match"
                )
            images[here] = data[slices]
        return images
