"""Read the folder of a RELION multi-body refinement as a reconstruction of a dataset's particles."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.files import read_json, write_json
from cryoarena.imaging.poses import Poses
from cryoarena.methods.base import Reconstruction
from cryoarena.methods.external.map_files import require_field
from cryoarena.methods.external.match_rows import match_star
from cryoarena.methods.external.relion.body_motion import POSE_COLUMNS, BodyMotion, coordinates, read_residuals
from cryoarena.methods.external.relion.flex_folder import FlexFolder, make_flex_folder, map_paths, open_flex_folder
from cryoarena.methods.external.relion.job_folder import (
    Iteration,
    choose_iteration,
    read_history,
    read_version,
)
from cryoarena.methods.external.relion.particle_rows import read_new_poses
from cryoarena.methods.external.relion.principal_components import Components, has_components, read_components
from cryoarena.methods.external.relion.program import RELION
from cryoarena.methods.external.representatives import maps_at_once, representatives
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


class BodyMaps(Reconstruction):
    """Latents along principal components of bodies' motion, and what places the bodies."""

    def __init__(
        self,
        embedding: NDArray[np.float32],
        bodies: FlexFolder,
        motion: BodyMotion,
        particles: ParticleSet,
        rows: NDArray[np.int64] | None = None,
        notes: tuple[str, ...] = (),
        found: Mapping[str, Any] | None = None,
        history: list[dict[str, float]] | None = None,
        poses: Poses | None = None,
        kept: tempfile.TemporaryDirectory[str] | None = None,
    ) -> None:
        """Hold the latents (N, d) of the particles in `rows`, and the temporary folder of the bodies, if it is one."""
        self.embedding = embedding
        self.posterior = None
        self.representatives = representatives(embedding)
        self.history = history or []
        self.poses = poses
        self.rows = rows
        self.notes = notes
        self.found = found or {}
        self.maps_at_once = maps_at_once(particles.box_px)
        self._bodies = bodies
        self._motion = motion
        self._particles = particles
        self._kept = kept

    def volumes_at(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the maps (k, D, D, D) at latents (k, d), put together by relion_flex_analyse.

        Raises:
            UserError: when RELION is not installed.
            ProgramFailed: when it fails.
        """
        residuals = self._motion.residuals_at(latents)
        particles = self._particles
        # RELION does not know of signs: images of dark particles give dark maps.
        opposite = particles.contrast_sign < 0
        return self._bodies.maps_of(residuals, particles.box_px, particles.pixel_size_A, opposite)

    def save(self, folder: Path) -> None:
        """Copy the maps and masks of the bodies, and write their motion and the latents."""
        self._bodies.copy_to(folder / "bodies")
        np.save(folder / "embedding.npy", self.embedding)
        motion = self._motion
        arrays = {"weight": motion.weight, "eigenvectors": motion.eigenvectors, "mean": motion.mean}
        write_json(folder / "motion.json", {name: array.tolist() for name, array in arrays.items()})


def load_body_maps(folder: Path, particles: ParticleSet) -> BodyMaps:
    """Read back what `save` wrote.

    Raises:
        UserError: when a file is missing.
        OSError, ValueError, KeyError: when one is damaged.
    """
    bodies = open_flex_folder(folder / "bodies")
    motion = read_json(folder / "motion.json")
    weight, eigenvectors, mean = (np.array(motion[name]) for name in ("weight", "eigenvectors", "mean"))
    embedding = np.load(folder / "embedding.npy", allow_pickle=False)
    return BodyMaps(embedding, bodies, BodyMotion(bodies.axis, weight, eigenvectors, mean), particles)


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
    bodies = make_flex_folder(iteration, Path(kept.name))
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
