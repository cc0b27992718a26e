"""3D Variability: a map plus components (Punjani and Fleet 2021, doi:10.1016/j.jsb.2021.107702)."""

from pathlib import Path

from cryoarena.errors import UserError
from cryoarena.methods.external.cryosparc.components import components, has_components
from cryoarena.methods.external.cryosparc.job_folder import JobFolder, job_files, last_tables
from cryoarena.methods.external.cryosparc.options import ImportOptions
from cryoarena.methods.external.cryosparc.particle_rows import particle_rows
from cryoarena.methods.external.cryosparc.report import about, in_order
from cryoarena.methods.external.linear_maps import LinearMaps
from cryoarena.methods.external.map_files import MapFiles, require_field
from cryoarena.particles.cs_table import read_cs_table
from cryoarena.particles.particle_set import ParticleSet


def read_variability(job: JobFolder, particles: ParticleSet, options: ImportOptions) -> LinearMaps:
    """Read the coordinates of particles, the map and its components.

    Raises:
        UserError: when a file is missing or damaged, coordinates and components do not match, or particles are not of
            the set.
    """
    files = last_tables(job.path, has_components)
    tables = [read_cs_table(file.path) for file in files if file.class_number is None]
    if not tables:
        raise UserError(
            f"{job.path} has no particle table with components_mode_0/value; give the folder of a 3D Variability job, "
            "not of its display job"
        )
    rows, opposite = particle_rows(tables[0], job.path, options.images, particles)
    order, kept = in_order(rows, files[0].path, len(particles))
    latents = components(tables[0])[order]
    paths = (_only(job.path, "*_map.mrc"), *_component_maps(job.path, latents.shape[1]))
    box_px = require_field(paths, particles)
    maps = MapFiles(paths, particles.box_px, particles.pixel_size_A, opposite)
    return LinearMaps(latents, maps, kept, *about(job, files[0].iteration, len(order), box_px, opposite, particles))


def _component_maps(folder: Path, count: int) -> list[Path]:
    paths = [_only(folder, f"*_component_{mode}.mrc") for mode in range(count)]
    if more := sorted(folder.glob(f"*_component_{count}.mrc")):
        raise UserError(f"{more[0]} is a component that particles have no coordinate of; the files are of two jobs")
    return paths


def _only(folder: Path, pattern: str) -> Path:
    found = job_files(folder, pattern)
    if not found:
        raise UserError(f"{folder} has no {pattern.replace('*', 'J12')}; copy all maps of the job")
    return found[0].path
