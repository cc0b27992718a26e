"""Find out which particle each row of a program's table is: by particle id, else by image."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.particles.cs import read_cs
from cryoarena.particles.image_paths import find_stack
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.read_star import read_star_images
from cryoarena.particles.stack import open_stack

# A program may have refined it by so much.
_REFINED_DEFOCUS_A = 500


def match_star(table: Path, particles: ParticleSet) -> NDArray[np.int64]:
    """Return for each row of a STAR file (M,) the row of its particle in the set.

    Raises:
        UserError: when the file is no particle table, or a row is of no particle of the set, or of one named before.
    """
    images = read_star_images(table)
    if images.particle_id is not None and np.isin(images.particle_id, particles.particle_id).all():
        return match_ids(table, images.particle_id, particles, images.defocus_u_A)
    return match_images(
        table, images.stack_names, images.stack_index, images.slice_index, particles, images.defocus_u_A
    )


def match_table(table: Path, particles: ParticleSet) -> NDArray[np.int64]:
    """Return for each row of a particle table, or image of a stack, (M,) the row of its particle in the set.

    Args:
        table: .star, .cs, .mrcs, or .txt that lists stacks.
        particles: of the dataset.

    Raises:
        UserError: as `match_star`.
    """
    if table.suffix == ".star":
        return match_star(table, particles)
    if table.suffix == ".cs":
        images = read_cs(table)
        defocus_u_A = None if images.ctf is None else images.ctf.defocus_u_A
        if np.isin(images.particle_id, particles.particle_id).all():
            return match_ids(table, images.particle_id, particles, defocus_u_A)
        names = [str(path) for path in images.stack_files]
        return match_images(table, names, images.stack_index, images.slice_index, particles, defocus_u_A)
    return _match_stacks(table, particles)


def match_ids(
    table: Path, ids: NDArray[np.int64], particles: ParticleSet, defocus_u_A: NDArray[np.float64] | None = None
) -> NDArray[np.int64]:
    """Return for each id (M,) the row of its particle in the set; all ids are known.

    Args:
        table: that holds them, for errors.
        ids: (M,).
        particles: of the dataset.
        defocus_u_A: (M,) where the table tells it: other particles of the same ids have another.

    Raises:
        UserError: when their defocus tells that they are others.
    """
    order = np.argsort(particles.particle_id)
    rows = np.asarray(order[np.searchsorted(particles.particle_id, ids, sorter=order)])
    _check_defocus(table, rows, defocus_u_A, particles)
    return rows


def match_images(
    table: Path,
    stack_names: Sequence[str],
    stack_index: NDArray[np.int64],
    slice_index: NDArray[np.int64],
    particles: ParticleSet,
    defocus_u_A: NDArray[np.float64] | None = None,
) -> NDArray[np.int64]:
    """Return for each image that a table names (M,) the row of its particle in the set.

    Stacks are the same when their paths lead to the same file, or else when they alone end in the same names.

    Args:
        table: that names them, for errors and relative paths.
        stack_names: as written in the table.
        stack_index: (M,) which stack holds the image.
        slice_index: (M,) which slice of it, from 0.
        particles: of the dataset.
        defocus_u_A: (M,) where the table tells it: other particles than those of the dataset have another.

    Raises:
        UserError: when an image is of no particle of the set, or is named twice.
    """
    stacks = np.array([_same_stack(table, name, particles.stack_files) for name in stack_names])
    row_of = {
        image: row
        for row, image in enumerate(zip(particles.stack_index.tolist(), particles.slice_index.tolist(), strict=True))
    }
    images = zip(stacks[stack_index].tolist(), slice_index.tolist(), strict=True)
    rows = np.array([row_of.get(image, -1) for image in images], np.int64)
    if (unknown := rows < 0).any():
        first = int(unknown.argmax())
        raise UserError(
            f"row {first + 1} of {table} is image {slice_index[first] + 1:06d}@{stack_names[stack_index[first]]}, "
            "which is no particle of the dataset; give the dataset that the program was run on"
        )
    if len(np.unique(rows)) < len(rows):
        raise UserError(f"{table} names an image twice; keep one row of it")
    _check_defocus(table, rows, defocus_u_A, particles)
    return rows


def _match_stacks(table: Path, particles: ParticleSet) -> NDArray[np.int64]:
    """Return the rows of all images of a stack, or of the stacks that a text file lists, one after another."""
    if table.suffix == ".txt":
        stacks = [table.parent / line for line in table.read_text(encoding="utf-8").split()]
    else:
        stacks = [table]
    known = {stack.resolve() for stack in particles.stack_files}
    for stack in stacks:
        # A stack tells nothing of its particles: names alone are not enough.
        if stack.resolve() not in known:
            raise UserError(f"{stack} is no stack of the dataset; give the .star or .cs file that it was made from")
    counts = [len(open_stack(stack)) for stack in stacks]
    slices = np.concatenate([np.arange(count) for count in counts])
    names = [str(stack.absolute()) for stack in stacks]
    return match_images(table, names, np.repeat(np.arange(len(stacks)), counts), slices, particles)


def _check_defocus(
    table: Path, rows: NDArray[np.int64], defocus_u_A: NDArray[np.float64] | None, particles: ParticleSet
) -> None:
    """Make sure that rows that are called like particles of the set are them.

    Raises:
        UserError: when most have another defocus.
    """
    if defocus_u_A is None or particles.ctf is None:
        return
    difference_A = float(np.median(np.abs(defocus_u_A - particles.ctf.defocus_u_A[rows])))
    if difference_A > _REFINED_DEFOCUS_A:
        raise UserError(
            f"{table} is about other particles than those of the dataset, although they are called alike: their "
            f"defocus differs by {difference_A:.0f} Å; give the dataset that the program was run on"
        )


def _same_stack(table: Path, name: str, stacks: Sequence[Path]) -> int:
    """Return the number of the stack that is meant, or -1."""
    name = name.removeprefix(">").removesuffix(":mrcs")
    found = find_stack(table, name).resolve()
    for number, stack in enumerate(stacks):
        if stack.resolve() == found:
            return number
    shared = defaultdict(list)
    for number, stack in enumerate(stacks):
        shared[_common_end(PurePosixPath(name).parts, stack.parts)].append(number)
    longest = max(shared)
    return shared[longest][0] if longest and len(shared[longest]) == 1 else -1


def _common_end(a: Sequence[str], b: Sequence[str]) -> int:
    """Return how many last parts two paths share."""
    shared = [x == y for x, y in zip(reversed(a), reversed(b), strict=False)]
    return shared.index(False) if False in shared else len(shared)
