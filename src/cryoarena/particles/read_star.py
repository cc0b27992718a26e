"""Read RELION particle tables: 3.1 and later, with an optics table, and 3.0, without."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.imaging.poses import Poses
from cryoarena.particles.given import Given
from cryoarena.particles.image_paths import find_stack, require_stack
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.relion_columns import ANGLES, PARTICLE_ID
from cryoarena.particles.stack import open_stack
from cryoarena.particles.star_particles import StarParticles


def read_star(path: Path, given: Given = Given()) -> ParticleSet:
    """Read a particle table; stacks are looked for but not opened (unless the table does not tell the box).

    Higher aberrations and anisotropic magnification are not read. A table without particle ids
    numbers its particles from 1.

    Args:
        path: .star file.
        given: what the table may lack, as the contrast always; RELION's own convention is +1, bright.

    Raises:
        UserError: when a column is missing (named), a value is not a number (row named), an optics group is
            missing, groups differ in pixel or box size, images are CTF-premultiplied or subtomograms, or `given`
            contradicts the table.
    """
    table = StarParticles(path, given)
    slice_index, stack_index, names = _split_image_names(path, table.image_names())
    stack_files = tuple(find_stack(path, name, given.datadir) for name in names)
    if np.any(table.optional("rlnImageDimensionality", 2) != 2):
        raise UserError(f"{path} lists volumes, not images; only single-particle images are read")
    if np.any(table.optional("rlnCtfDataAreCtfPremultiplied", 0) != 0):
        raise UserError(f"the images of {path} are multiplied by their CTF; extract them again without that")
    pixel_size_A = table.the_one(table.pixel_sizes_A(), "pixel sizes (Å)")
    if table.has("rlnImageSize"):
        box_px = int(table.the_one(table.numbers("rlnImageSize"), "box sizes (px)"))
    else:
        require_stack(path, 0, stack_files[0])
        box_px = open_stack(stack_files[0]).shape[1]
    return ParticleSet(
        particle_id=table.particle_ids(),
        box_px=box_px,
        pixel_size_A=pixel_size_A,
        contrast_sign=given.contrast_sign or 1,
        stack_files=stack_files,
        stack_index=stack_index,
        slice_index=slice_index,
        poses=table.poses(pixel_size_A),
        ctf=table.ctf(),
        half_set=table.numbers("rlnRandomSubset").astype(np.int64) - 1 if table.has("rlnRandomSubset") else None,
        beam_tilt_mrad=table.beam_tilt_mrad(),
        **table.optics(),
    )


class StarImages(NamedTuple):
    """Which images a table names.

    Attributes:
        particle_id: (N,), or None where the table has none of ours.
        stack_names: of the stacks, as written.
        stack_index: (N,) which of them holds the image.
        slice_index: (N,) which slice of it, from 0.
        defocus_u_A: (N,), or None where the table has none.
    """

    particle_id: NDArray[np.int64] | None
    stack_names: list[str]
    stack_index: NDArray[np.int64]
    slice_index: NDArray[np.int64]
    defocus_u_A: NDArray[np.float64] | None


def read_star_images(path: Path) -> StarImages:
    """Read only which images a particle table names; they are not looked for.

    Raises:
        UserError: when it is no particle table, or a name is not NNNNNN@stack.mrcs (row named), or a defocus no number.
    """
    table = StarParticles(path)
    slice_index, stack_index, names = _split_image_names(path, table.image_names())
    defocus_u_A = table.numbers("rlnDefocusU") if table.has("rlnDefocusU") else None
    return StarImages(table.given_particle_ids(), names, stack_index, slice_index, defocus_u_A)


def read_star_poses(path: Path) -> tuple[NDArray[np.int64], Poses]:
    """Read only the particle ids (N,) and the poses of a particle table; its images are not looked for.

    Raises:
        UserError: as `read_star`, and when the table has no particle ids or no angles.
    """
    table = StarParticles(path)
    ids = table.given_particle_ids()
    if ids is None:
        raise UserError(f"{path} has no numbers in column _{PARTICLE_ID}, which tells whose poses these are; add it")
    poses = star_poses(table)
    if poses is None:
        raise UserError(f"{path} has no column _{ANGLES[0]}; it tells no poses")
    return ids, poses


def star_poses(table: StarParticles) -> Poses | None:
    """Return the poses of a particle table, or None where it tells none.

    Raises:
        UserError: when shifts are in pixels whose size is not told, or a value is no number.
    """
    pixels_needed = table.has("rlnOriginX") and not table.has("rlnOriginXAngst")
    return table.poses(table.the_one(table.pixel_sizes_A(), "pixel sizes (Å)") if pixels_needed else 1.0)


def _split_image_names(path: Path, image_names: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Split 000012@stack.mrcs into slice 11 and stack.mrcs (a name without @ is image 1 of its file).

    Returns:
        (N,) slices from 0, (N,) stacks as indices, and the name of each stack.
    """
    slice_index = np.empty(len(image_names), np.int64)
    stack_index = np.empty(len(image_names), np.int64)
    stacks: dict[str, int] = {}
    for row, name in enumerate(image_names):
        number, at, stack = name.partition("@")
        if at and not (number.isdecimal() and int(number) > 0 and stack):
            raise UserError(f"row {row + 1} of {path} names the image {name!r}, which is not NNNNNN@stack.mrcs")
        slice_index[row] = int(number) - 1 if at else 0
        stack_index[row] = stacks.setdefault(stack if at else name, len(stacks))
    return slice_index, stack_index, list(stacks)
