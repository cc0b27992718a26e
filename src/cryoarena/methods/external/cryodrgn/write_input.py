"""Write what cryoDRGN trains on."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from cryoarena.errors import UserError
from cryoarena.methods.external.cryodrgn.program import TrainingOptions
from cryoarena.methods.external.link_stacks import link_stacks
from cryoarena.methods.external.run_program import Command
from cryoarena.particles.cryodrgn import write_cryodrgn_ctf, write_cryodrgn_poses
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.write_star import write_star


def write_input(particles: ParticleSet, options: TrainingOptions, work: Path) -> Iterator[Command]:
    """Write particles.star, ctf.pkl and, where they are known, poses.pkl; yield the command that downsamples."""
    box_px = options.downsample_px or particles.box_px
    if box_px % 2 or not 2 <= box_px <= particles.box_px:
        raise UserError(f"option downsample_px is {box_px}; it must be even and at most {particles.box_px}")
    given = link_stacks(particles, work)
    if box_px < particles.box_px:
        write_star(work / "full_size.star", given)
        small, partial = work / "downsampled.mrcs", work / "partial.mrcs"
        if not small.is_file():
            words = ["cryodrgn", "downsample", "full_size.star", "-D", str(box_px), "-o", partial.name]
            partial.unlink(missing_ok=True)
            yield Command(words, options.threads)
            partial.replace(small)
        given = replace(
            given,
            box_px=box_px,
            pixel_size_A=particles.pixel_size_A * particles.box_px / box_px,
            stack_files=(small,),
            stack_index=np.zeros(len(particles), np.int64),
            slice_index=np.arange(len(particles)),
        )
    write_star(work / "particles.star", given)
    assert given.ctf is not None
    write_cryodrgn_ctf(work / "ctf.pkl", given.ctf, given.box_px, given.pixel_size_A)
    if given.poses is not None:
        write_cryodrgn_poses(work / "poses.pkl", given.poses, given.box_px, given.pixel_size_A)
