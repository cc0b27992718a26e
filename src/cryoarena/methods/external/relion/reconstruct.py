"""Reconstruct maps with relion_reconstruct."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.methods.external.link_stacks import link_stacks
from cryoarena.methods.external.map_files import MapFiles
from cryoarena.methods.external.relion.program import RELION
from cryoarena.methods.external.run_program import Command, run_program
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.write_star import write_star
from cryoarena.volumes.mrc import write_volume


@dataclass(frozen=True)
class MadeMaps(MapFiles):
    """Maps in a temporary folder, which is deleted with the last reference to them."""

    folder: tempfile.TemporaryDirectory[str] | None = None


def reconstruct_command(table: str, out: str) -> Command:
    """Return the command that reconstructs a map of a particle table, without a prior."""
    return Command(["relion_reconstruct", "--i", table, "--o", out, "--ctf"])


def reconstruct_classes(particles: ParticleSet, label: NDArray[np.int64], classes: int) -> MadeMaps:
    """Return a map of the images of each class; that of an empty class is zero.

    Args:
        particles: with poses.
        label: (N,) class, from 0.
        classes: their number.

    Raises:
        UserError: when RELION is not installed.
        ProgramFailed: when it fails.
    """
    executables = RELION.require()
    kept = tempfile.TemporaryDirectory(prefix="cryoarena-relion-")
    folder = Path(kept.name)
    linked = link_stacks(particles, folder)
    paths = tuple(folder / f"class{k + 1:03d}.mrc" for k in range(classes))
    for k, path in enumerate(paths):
        rows = np.flatnonzero(label == k)
        if len(rows):
            write_star(folder / "particles.star", linked.subset(rows))
            run_program(reconstruct_command("particles.star", path.name), executables, folder, folder / "log.txt")
        else:
            write_volume(path, np.zeros((particles.box_px,) * 3, np.float32), particles.pixel_size_A)
    return MadeMaps(paths, particles.box_px, particles.pixel_size_A, particles.contrast_sign < 0, kept)
