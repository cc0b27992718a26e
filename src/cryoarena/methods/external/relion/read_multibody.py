"""Read the folder of a RELION multi-body refinement as a reconstruction of a dataset's particles."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.methods.external.map_files import require_field
from cryoarena.methods.external.match_rows import match_star
from cryoarena.methods.external.relion.body_maps import BodyMaps
from cryoarena.methods.external.relion.body_motion import POSE_COLUMNS, BodyMotion, coordinates, read_residuals
from cryoarena.methods.external.relion.flex_folder import FlexFolder, map_paths
from cryoarena.methods.external.relion.gather_bodies import gather_bodies
from cryoarena.methods.external.relion.job_folder import Iteration, choose_iteration, read_history, read_version
from cryoarena.methods.external.relion.particle_rows import read_new_poses
from cryoarena.methods.external.relion.principal_components import Components, has_components, read_components
from cryoarena.methods.external.relion.program import RELION
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.read_star import star_poses
from cryoarena.particles.star_particles import StarParticles
from cryoarena.particles.star_table import read_tables

# What relion_flex_analyse is told to call its files, also by RELION's own interface.
ANALYSIS = "analyse"
# relion_flex_analyse writes six digits.
_SAME_PROJECTION = 1e-3


@dataclass(frozen=True)
class MultibodyImportOptions:
    """What to take of a job folder.

    Attributes:
        iteration: to take; the end, or else the last complete one, by default.
        components: number of principal components that the latents are of.
    """

    iteration: int | None = None
    components: int = 3


def read_multibody(folder: Path, particles: ParticleSet, options: MultibodyImportOptions) -> BodyMaps:
    """Read what a MultiBody job left; what its analysis lacks is made by relion_flex_analyse.

    Raises:
        UserError: when the folder is of another program or kind of job, a file is missing, rows and particles do not
            match, or RELION is not installed and its analysis is not there.
        ProgramFailed: when relion_flex_analyse fails.
    """
    iteration = choose_iteration(folder, options.iteration)
    table = StarParticles(iteration.data)
    consensus = star_poses(table)
    if consensus is None:
        raise UserError(f"{iteration.data} has no angles; give the folder of a MultiBody job")
    pixel_size_A = table.the_one(table.pixel_sizes_A(), "pixel sizes (Å)")
    residuals = read_residuals(iteration.data, read_tables(iteration.data, POSE_COLUMNS, set()), pixel_size_A)
    rows = match_star(iteration.data, particles)
    kept = tempfile.TemporaryDirectory(prefix="cryoarena-relion-")
    bodies = gather_bodies(iteration, Path(kept.name))
    box_px = require_field(map_paths(bodies.folder, len(bodies.axis)), particles)
    components = _components(iteration, bodies)
    if not 1 <= options.components <= len(components.eigenvectors):
        raise UserError(f"option components must be from 1 to {len(components.eigenvectors)}, not {options.components}")
    placed = coordinates(bodies.axis, components.weight, consensus.rotation_object_to_image, residuals)
    mean = placed.mean(axis=0)
    _check(iteration, (placed - mean) @ components.eigenvectors.T, components.projections)
    order = np.argsort(rows)
    embedding = components.projections[order, : options.components].astype(np.float32)
    variance = components.projections.var(axis=0)
    version, arguments = read_version(iteration)
    found = {
        "program": f"RELION {version}",
        "arguments": arguments,
        "judged": iteration.label,
        "bodies": len(bodies.axis),
        "box_px": box_px,
        "share_of_variance": (variance / variance.sum()).tolist(),
    }
    poses = read_new_poses(iteration.data, rows, particles)
    return BodyMaps(
        embedding,
        bodies,
        BodyMotion(bodies.axis, components.weight, components.eigenvectors, mean),
        particles,
        rows=rows[order] if len(rows) < len(particles) else None,
        notes=_notes(particles, len(rows), box_px, iteration),
        found=found,
        history=read_history(folder, iteration),
        poses=None if poses is None else poses[order],
        kept=kept,
    )


def _components(iteration: Iteration, bodies: FlexFolder) -> Components:
    """Return the principal components of an iteration; those in its folder are of the end."""
    root = iteration.data.with_name(ANALYSIS)
    if iteration.number is None and has_components(root):
        return read_components(root)
    if RELION.find() is None:
        raise UserError(
            f"{root.parent} has no analysis with projections of {iteration.label}; {RELION.missing()}, or run there "
            f"`relion_flex_analyse --PCA_orient --write_pca_projections --o {ANALYSIS}` with the --data, --model and "
            "--bodies of the job"
        )
    with tempfile.TemporaryDirectory(prefix="cryoarena-relion-") as name:
        return read_components(bodies.analyse(iteration.data, Path(name)))


def _check(iteration: Iteration, expected: NDArray[np.float64], projections: NDArray[np.float64]) -> None:
    """Make sure that an analysis is of this particle table, and that we know what its numbers mean.

    Raises:
        UserError: when it is not.
    """
    allowed = _SAME_PROJECTION * max(float(np.abs(expected).max()), 1e-9)
    if projections.shape != expected.shape or not np.abs(projections - expected).max() <= allowed:
        raise UserError(
            f"the principal components in {iteration.data.with_name(ANALYSIS)}_* are not those of the bodies in "
            f"{iteration.data}; delete them, so that they are made again"
        )


def _notes(particles: ParticleSet, rows: int, box_px: int, iteration: Iteration) -> tuple[str, ...]:
    notes = []
    if rows < len(particles):
        notes.append(
            f"{len(particles) - rows} of {len(particles)} particles have no latent: the program was run without"
        )
    if box_px != particles.box_px:
        notes.append(f"the program worked on images of {box_px} px; its maps are brought to {particles.box_px} px")
    if iteration.number is not None:
        notes.append(
            f"maps are means of the two half-sets of {iteration.label}: the refinement was not brought to its end"
        )
    return tuple(notes)
