"""Read 3D Classification, heterogeneous refinement and ab-initio reconstruction."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.imaging.poses import Poses
from cryoarena.methods.external.cryosparc.class_fields import best_poses, class_posterior, has_classes, single_poses
from cryoarena.methods.external.cryosparc.job_folder import JobFile, JobFolder, last_class_maps, last_tables
from cryoarena.methods.external.cryosparc.options import ImportOptions
from cryoarena.methods.external.cryosparc.particle_rows import particle_rows
from cryoarena.methods.external.cryosparc.report import about, in_order
from cryoarena.methods.external.given_maps import GivenMaps, given_classes
from cryoarena.methods.external.map_files import MapFiles, require_field
from cryoarena.particles.cs_table import CsTable, read_cs_table
from cryoarena.particles.particle_set import ParticleSet


def read_classes(job: JobFolder, particles: ParticleSet, options: ImportOptions, finds_poses: bool) -> GivenMaps:
    """Read class probabilities, the maps of classes, and poses where the job finds them.

    Where no table has probabilities, the tables of classes tell which particle is in which: all is 0 or 1.

    Raises:
        UserError: when a file is missing or damaged, classes and maps do not match, or particles are not of the set.
    """
    files = last_tables(job.path, has_classes)
    if not files:
        raise UserError(
            f"{job.path} has no table with class probabilities (alignments3D_multi/class_posterior or "
            "alignments_class_0/class_posterior), nor tables of its classes; give the folder of the job as cryoSPARC "
            "wrote it"
        )
    tables = [read_cs_table(file.path) for file in files]
    maps = _maps(job.path)
    posteriors = _posteriors(files, tables, len(maps))
    rows, opposite = zip(*(particle_rows(table, job.path, options.images, particles) for table in tables), strict=True)
    order, kept = in_order(np.concatenate(rows), files[0].path, len(particles))
    poses = [_poses(table) for table in tables] if finds_poses else []
    box_px = require_field(maps, particles)
    notes, found = about(job, files[0].iteration, len(order), box_px, opposite[0], particles)
    return given_classes(
        np.concatenate(posteriors)[order],
        MapFiles(maps, particles.box_px, particles.pixel_size_A, opposite[0]),
        poses=_joined(poses)[order] if poses else None,
        rows=kept,
        notes=notes,
        found=found,
    )


def _maps(folder: Path) -> tuple[Path, ...]:
    maps = last_class_maps(folder)
    if not maps:
        raise UserError(f"{folder} has no maps of classes (J12_class_00_…_volume.mrc); copy them there")
    if missing := set(range(max(maps) + 1)) - set(maps):
        raise UserError(
            f"{folder} has a map of class {max(maps)} but none of class {min(missing)} of the same iteration; "
            "copy all maps of classes"
        )
    return tuple(maps[number] for number in sorted(maps))


def _posteriors(files: list[JobFile], tables: list[CsTable], classes: int) -> list[NDArray[np.float32]]:
    posteriors = []
    for file, table in zip(files, tables, strict=True):
        if all(has_classes(tuple(each.fields)) for each in tables):
            posterior = class_posterior(table)
        elif file.class_number is not None and file.class_number < classes:
            posterior = np.repeat(np.eye(classes, dtype=np.float32)[[file.class_number]], len(table), axis=0)
        else:
            raise UserError(f"{file.path} is of class {file.class_number} but there are {classes} maps of classes")
        if posterior.shape[1] != classes:
            raise UserError(
                f"{file.path} tells probabilities of {posterior.shape[1]} classes but the last iteration has {classes} "
                "maps; copy all maps and tables of one iteration"
            )
        posteriors.append(posterior)
    return posteriors


def _poses(table: CsTable) -> Poses:
    return best_poses(table) if has_classes(tuple(table.fields)) else single_poses(table)


def _joined(poses: list[Poses]) -> Poses:
    return Poses(
        np.concatenate([one.rotation_object_to_image for one in poses]), np.concatenate([one.shift_A for one in poses])
    )
