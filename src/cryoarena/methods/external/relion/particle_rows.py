"""The particle table of a RELION job: which particles its rows are, their classes and their poses."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.imaging.poses import Poses
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.read_star import star_poses
from cryoarena.particles.star_particles import StarParticles
from cryoarena.particles.star_table import read_tables

_CLASS, _P_MAX = "rlnClassNumber", "rlnMaxValueProbDistribution"
# RELION writes six digits.
_SAME_ROTATION, _SAME_SHIFT_A = 1e-4, 1e-3


class Classes(NamedTuple):
    """The classes of the images.

    Attributes:
        label: (M,) from 0; -1 of an image that has none.
        mean_probability: of these classes, or None where it is not told.
    """

    label: NDArray[np.int64]
    mean_probability: float | None


def read_classes(data: Path, classes: int | None) -> Classes:
    """Return the class of each row. Stochastic gradient descent may not have seen an image yet: it has none.

    Args:
        data: table.
        classes: how many have maps; None where no maps are asked for.

    Raises:
        UserError: when no row has a class, or one has a class without a map.
    """
    tables = read_tables(data, {_CLASS, _P_MAX}, set())
    table = next((table for table in tables.values() if _CLASS in table), None)
    if table is None:
        raise UserError(f"{data} has no column _{_CLASS}; give the folder of a classification")
    number = table.numbers[_CLASS]
    good = np.isin(number, np.arange(classes + 1)) if classes else (number >= 0) & (number % 1 == 0)
    if not good.all():
        row = int(np.argmin(good))
        but = "which is no number of one" if classes is None else f"but there are maps of classes 1 to {classes}"
        raise UserError(
            f"row {row + 1} of {data} is of class {number[row]:g}, {but}; "
            "copy the missing maps, or choose another iteration"
        )
    if not (seen := number > 0).any():
        raise UserError(f"{data} has a class of no image; choose a later iteration")
    return Classes(
        number.astype(np.int64) - 1, float(np.mean(table.numbers[_P_MAX][seen])) if _P_MAX in table else None
    )


def read_new_poses(data: Path, rows: NDArray[np.int64], particles: ParticleSet) -> Poses | None:
    """Return the poses of a table, or None where they are those of the particles in `rows`."""
    poses = star_poses(StarParticles(data))
    if poses is None or particles.poses is None:
        return poses
    given = particles.poses[rows]
    turned = np.abs(poses.rotation_object_to_image - given.rotation_object_to_image).max()
    shifted_A = np.abs(poses.shift_A - given.shift_A).max()
    return None if turned < _SAME_ROTATION and shifted_A < _SAME_SHIFT_A else poses
