"""3D Flex: latents, and maps where 3D Flex Generator made some (Punjani and Fleet 2023, 10.1038/s41592-023-01853-8)."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.methods.external.cryosparc.components import components, has_components
from cryoarena.methods.external.cryosparc.job_folder import JobFolder, last_tables
from cryoarena.methods.external.cryosparc.options import ImportOptions
from cryoarena.methods.external.cryosparc.particle_rows import particle_rows
from cryoarena.methods.external.cryosparc.report import about, in_order
from cryoarena.methods.external.given_maps import GivenMaps
from cryoarena.methods.external.map_files import MapFiles, require_field
from cryoarena.particles.cs_table import read_cs_table
from cryoarena.particles.particle_set import ParticleSet

_FRAME = re.compile(r"_series_(\d+)_frame_(\d+)\.mrc$")


def read_flex(job: JobFolder, particles: ParticleSet, options: ImportOptions) -> GivenMaps:
    """Read the latents of particles, and the maps that were generated at given latents.

    The generator of 3D Flex is a network inside cryoSPARC: other latents have the nearest map, or none.

    Raises:
        UserError: when a file is missing or damaged, maps and their latents do not match, or particles are not of the
            set.
    """
    files = [file for file in last_tables(job.path, has_components) if file.class_number is None]
    if not files:
        raise UserError(
            f"{job.path} has no table with components_mode_0/value (J12_latents_….cs); give the folder of a 3D Flex "
            "Training job"
        )
    table = read_cs_table(files[0].path)
    rows, opposite = particle_rows(table, job.path, options.images, particles)
    order, kept = in_order(rows, files[0].path, len(particles))
    latents = components(table)[order]
    paths, centres = _generated(options, latents.shape[1])
    box_px = require_field(paths, particles) if paths else None
    notes, found = about(job, files[0].iteration, len(order), box_px, opposite and bool(paths), particles)
    if not paths:
        notes = (*notes, "the result has no maps; 3D Flex Generator makes some at latents: give them by --maps")
    return GivenMaps(
        latents,
        centres,
        np.arange(len(paths)),
        MapFiles(paths, particles.box_px, particles.pixel_size_A, opposite),
        rows=kept,
        notes=notes,
        found=found,
    )


def _generated(options: ImportOptions, dimensions: int) -> tuple[tuple[Path, ...], NDArray[np.float32]]:
    """Return the generated maps and the latents that they were made at."""
    if options.maps is None and options.latents is None:
        return (), np.empty((0, dimensions), np.float32)
    if options.maps is None or options.latents is None:
        raise UserError(
            "generated maps need both --maps FOLDER and the latents that they were made at, --set latents=FILE.cs: the "
            "output of the job that 3D Flex Generator took its latents from"
        )
    folder = Path(options.maps)
    frames = sorted((int(match[2]), path) for path in folder.rglob("*.mrc") if (match := _FRAME.search(path.name)))
    if not frames:
        raise UserError(f"{folder} has no maps called J12_series_000_frame_000.mrc …; unzip J12_series_000.zip there")
    if len({number for number, _ in frames}) < len(frames):
        raise UserError(f"{folder} has more than one series of maps; give the folder of one, e.g. J12_series_000")
    centres = components(read_cs_table(options.latents))
    if centres.shape != (len(frames), dimensions):
        raise UserError(
            f"{options.latents} has {centres.shape[0]} latents of {centres.shape[1]} dimensions for {len(frames)} maps "
            f"in {folder} and particles with {dimensions}; give the latents that these maps were made at"
        )
    return tuple(path for _, path in frames), centres
