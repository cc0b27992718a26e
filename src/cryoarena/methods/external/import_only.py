"""Methods that CryoArena does not run: their results are imported."""

from dataclasses import dataclass
from pathlib import Path

from cryoarena.errors import UserError
from cryoarena.methods.base import Reconstruction, Run
from cryoarena.methods.external.external_method import ImportableMethod
from cryoarena.methods.external.given_maps import load_given_maps
from cryoarena.particles.particle_set import ParticleSet


@dataclass(frozen=True)
class NoOptions:
    """Options of a run: none."""


class ImportOnlyMethod(ImportableMethod[NoOptions]):
    """A method whose program is run by hand."""

    options = NoOptions

    def fit(self, particles: ParticleSet, options: NoOptions, run: Run) -> Reconstruction:
        """Refuse.

        Raises:
            UserError: always; the sentence says what to do.
        """
        raise UserError(self._how())

    def not_applicable(self, particles: ParticleSet) -> str | None:
        """Return how to come by a result."""
        return self._how()

    def load(self, folder: Path, particles: ParticleSet) -> Reconstruction:
        """Read back maps that belong to latents."""
        return load_given_maps(folder, particles)

    def _how(self) -> str:
        return (
            f"{self.card.title} is not run by cryoarena; run it yourself and take its output over with "
            f"`cryoarena import {self.card.name}`"
        )
