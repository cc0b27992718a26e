"""Observers who know nothing, or everything but one thing: the answers behind floor and ceiling.

An observer of maps is judged on one image of some conformations, because its maps depend on nothing else; an
observer of images on a random sample of them, so that the Bayes posterior, which costs a projection for every image
and conformation, is affordable on any dataset.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.datasets.truth import Truth
from cryoarena.errors import UserError
from cryoarena.files import atomic_path, read_json, write_json
from cryoarena.imaging.poses import random_poses
from cryoarena.limits.bayes_posterior import (
    BayesPosterior,
    bayes_posterior,
    from_log_likelihood,
    prior_of,
    sample_rows,
)
from cryoarena.limits.known_components import component_maps, true_coordinates
from cryoarena.limits.known_label import KnownLabels
from cryoarena.limits.rigid_motion import assemble, rigid_body_maps
from cryoarena.methods.base import Run, methods
from cryoarena.metrics.judge import Answer, judged_rows
from cryoarena.metrics.remembered_maps import RememberedMaps
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.progress import progress_bar
from cryoarena.volumes.mrc import read_volume, write_volume

_JUDGED_CONFORMATIONS = 20
_TURNED_CONFORMATIONS = 4

Maps = Callable[[int], NDArray[np.float32]]


@dataclass(frozen=True)
class Observation:
    """What an observer says, and about which particles.

    Attributes:
        truth: of those particles.
        rows: of that truth whose maps are compared.
        answer: row i belongs to row i of that truth.
        description: one phrase.
    """

    truth: Truth
    rows: NDArray[np.int64]
    answer: Answer
    description: str


@dataclass(frozen=True)
class Observers:
    """The observers of one dataset; whatever is costly is kept in its `truth/limits`.

    Attributes:
        truth: of the dataset.
        device: of torch.
    """

    truth: Truth
    device: str

    def consensus(self) -> Observation:
        """One map for all."""
        path = self._folder / "consensus_map.mrc"
        if not path.exists():
            method = methods.get("consensus")
            with progress_bar("Floor: consensus") as report:
                run = Run(self.device, progress=report)
                fitted = method.fit(open_particles(self.truth.folder), method.options(), run)
            write_volume(path, fitted.volumes_at(fitted.representatives)[0], self.truth.pixel_size_A)
        return self._of_maps(lambda conformation: read_volume(path)[0], "the consensus map for every image")

    def turned_consensus(self) -> Observation:
        """One map for all, turned onto each truth as the maps of an ab initio method are."""
        found = self.consensus()
        answer = replace(found.answer, estimated_poses=found.truth.poses)
        # Turning takes seconds a map.
        rows = found.rows[:: -(-len(found.rows) // _TURNED_CONFORMATIONS)]
        return replace(found, rows=rows, answer=answer, description=f"{found.description}, turned onto each truth")

    def known_label(self) -> Observation:
        """Maps from the images of known, similar conformations."""
        kept = self._folder / "known_label_window.json"
        judged = np.unique(self.truth.conformation[judged_rows(self.truth, _JUDGED_CONFORMATIONS)])
        paths = {int(conformation): self._folder / f"known_label_{conformation:04d}.mrc" for conformation in judged}
        if not all(path.exists() for path in (kept, *paths.values())):
            labels = KnownLabels(self._particles(), self.truth, self.device)
            if not kept.exists():
                with progress_bar("Ceiling: choosing the window of the known-label oracle") as report:
                    write_json(kept, {"conformations": labels.best_window(report)})
            maps = labels.maps(judged, int(read_json(kept)["conformations"]))
            for path, volume in zip(paths.values(), maps, strict=True):
                write_volume(path, volume, self.truth.pixel_size_A)
        window = int(read_json(kept)["conformations"])
        return self._of_maps(
            lambda conformation: read_volume(paths[conformation])[0],
            f"maps from the images of {window} known conformations each",
        )

    def known_components(self) -> Observation:
        """Maps of a few true components, whose coordinates are known, from all images."""
        # Signs and order of coordinates differ from one library to the next; they and the maps belong together.
        table = self._folder / "known_components.npy"
        if not table.exists():
            coordinates = true_coordinates(self.truth)
            with progress_bar("Ceiling: known components") as report:
                maps = component_maps(self._particles(), self.truth, coordinates, self.device, report)
            for k, volume in enumerate(maps):
                write_volume(self._component(k), volume, self.truth.pixel_size_A)
            with atomic_path(table) as temporary, temporary.open("wb") as stream:
                np.save(stream, coordinates)
        coordinates = np.load(table)
        kept = np.stack([read_volume(self._component(k))[0] for k in range(coordinates.shape[1] + 1)])

        def map_of(conformation: int) -> NDArray[np.float32]:
            row = int(np.searchsorted(self.truth.mapped, conformation))
            return np.asarray(np.tensordot(np.append(1, coordinates[row]), kept, 1), np.float32)

        exact = len(self.truth.mapped) == len(self.truth.population)
        where = "true coordinates" if exact else "the coordinates of the nearest conformation with a true map"
        return self._of_maps(map_of, f"a mean map and {len(kept) - 1} components, from all images at {where}")

    def rigid_motion(self) -> Observation:
        """Maps of rigid bodies that move as they do in truth, from all images; the motion must be known."""
        motion = self.truth.rigid_motion
        assert motion is not None
        paths = [self._folder / f"rigid_body_{body:04d}.mrc" for body in range(motion.bodies)]
        if not all(path.exists() for path in paths):
            with progress_bar("Ceiling: rigid bodies") as report:
                volumes = rigid_body_maps(self._particles(), self.truth, motion, self.device, report)
            for path, volume in zip(paths, volumes, strict=True):
                write_volume(path, volume, self.truth.pixel_size_A)
        bodies = [read_volume(path)[0] for path in paths]
        return self._of_maps(
            lambda conformation: assemble(bodies, motion, conformation, self.truth.pixel_size_A),
            f"{motion.bodies} rigid bodies, each from all images under the true motion",
        )

    def one_for_all(self) -> Observation:
        """One latent and one class for every image."""
        truth = self._sample()
        known = len(truth.mapped) or len(truth.population)
        posterior = np.zeros((len(truth.particle_id), known), np.float32)
        posterior[:, 0] = 1
        embedding = np.zeros((len(posterior), 1), np.float32)
        answer = Answer(embedding, _no_maps, self._of_all_states(posterior))
        return self._of_images(truth, answer, "one latent and one class for all")

    def chance(self) -> Observation:
        """Random latents and random poses."""
        truth = self._sample()
        rng = np.random.default_rng(0)
        n, dimensions = len(truth.particle_id), truth.embedding().shape[1]
        embedding = rng.standard_normal((n, dimensions), np.float32)
        poses = None if truth.poses is None else random_poses(n, float(np.abs(truth.poses.shift_A).max()), rng)
        answer = Answer(embedding, _no_maps, estimated_poses=poses)
        return self._of_images(truth, answer, "random latents and poses")

    def bayes(self) -> Observation:
        """Everything is known but the conformation: maps, poses, CTF and noise."""
        bayes = self.bayes_posterior()
        truth = self.truth.subset(bayes.rows)
        posterior = self._of_all_states(bayes.posterior.astype(np.float32))
        mean = bayes.mean(truth.embedding()[truth.mapped])
        answer = Answer(mean, _no_maps, posterior, estimated_poses=truth.poses)
        return self._of_images(truth, answer, "the Bayes posterior given the true maps, poses, CTF and noise")

    def bayes_posterior(self) -> BayesPosterior:
        """Return the posterior of a random sample of images."""
        path = self._folder / "log_likelihood.npy"
        rows = self._sampled_rows()
        if not path.exists():
            with progress_bar("Ceiling: Bayes posterior") as report:
                bayes = bayes_posterior(self._particles(), self.truth, rows, report, self.device)
            with atomic_path(path) as temporary, temporary.open("wb") as stream:
                np.save(stream, bayes.log_likelihood)
        return from_log_likelihood(rows, np.load(path), prior_of(self.truth))

    def can_reconstruct(self) -> bool:
        """Tell whether there are poses and CTFs to make maps with, and true maps of some images to judge them by."""
        particles = self._particles()
        is_judged = bool(np.isin(self.truth.conformation, self.truth.mapped).any())
        return is_judged and particles.poses is not None and particles.ctf is not None

    def knows_all(self) -> bool:
        """Tell whether maps, poses and noise are known: of simulated images, not of recorded ones."""
        return len(self.truth.mapped) > 0 and self.truth.poses is not None

    @property
    def _folder(self) -> Path:
        return self.truth.folder / "truth" / "limits"

    def _component(self, number: int) -> Path:
        return self._folder / f"known_component_{number:04d}.mrc"

    def _particles(self) -> ParticleSet:
        """Return the particles of the truth with their true poses and defoci, whatever methods are given."""
        particles = open_particles(self.truth.folder)
        order = np.argsort(particles.particle_id)
        rows = order[np.searchsorted(particles.particle_id, self.truth.particle_id, sorter=order)]
        particles = particles.subset(rows)
        if self.truth.poses is not None:
            particles = replace(particles, poses=self.truth.poses)
        if self.truth.defocus is not None and particles.ctf is not None:
            particles = replace(particles, ctf=particles.ctf.with_defocus(self.truth.defocus))
        return particles

    def _sampled_rows(self) -> NDArray[np.int64]:
        return sample_rows(len(self.truth.particle_id), max(1, len(self.truth.mapped)))

    def _of_all_states(self, posterior: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Return the posterior (n, S) of the states where that of conformations (n, M) speaks of all K."""
        state = self.truth.state_of_conformation
        if posterior.shape[1] != len(state):
            return None
        return posterior @ np.equal.outer(state, np.unique(state)).astype(np.float32)

    def _sample(self) -> Truth:
        return self.truth.subset(self._sampled_rows())

    def _of_maps(self, map_of: Maps, description: str) -> Observation:
        truth = self.truth.subset(judged_rows(self.truth, _JUDGED_CONFORMATIONS))
        embedding = truth.embedding()[truth.conformation].astype(np.float32)
        maps = RememberedMaps(lambda judged: np.stack([map_of(int(c)) for c in truth.conformation[judged]]))
        answer = Answer(embedding, maps)
        return Observation(truth, np.arange(len(truth.particle_id)), answer, description)

    def _of_images(self, truth: Truth, answer: Answer, description: str) -> Observation:
        n = len(truth.particle_id)
        return Observation(truth, np.arange(0), answer, f"{description}, {n} images")


def _no_maps(judged: NDArray[np.int64]) -> NDArray[np.float32]:
    raise UserError("this observer looks at images and gives no maps")
