"""A result whose maps are bodies, put together where latents have them."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.files import read_json, write_json
from cryoarena.imaging.poses import Poses
from cryoarena.methods.base import Reconstruction
from cryoarena.methods.external.relion.body_motion import BodyMotion
from cryoarena.methods.external.relion.flex_folder import FlexFolder, open_flex_folder
from cryoarena.methods.external.representatives import maps_at_once, representatives
from cryoarena.particles.particle_set import ParticleSet


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
