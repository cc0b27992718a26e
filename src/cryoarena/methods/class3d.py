"""3-D classification with fixed poses: expectation maximisation over the maps of K classes."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.errors import UserError
from cryoarena.files import read_json, write_json
from cryoarena.methods.band_images import BandImages, by_view
from cryoarena.methods.base import Method, MethodCard, Reconstruction, Run, method
from cryoarena.methods.checkpoint import State
from cryoarena.methods.class_latents import class_latents
from cryoarena.methods.class_maps import class_maps, consensus_of, mean_power
from cryoarena.methods.class_posteriors import expect
from cryoarena.methods.half_sets import half_sets
from cryoarena.methods.latent_mixture import clusters
from cryoarena.methods.latent_sketch import latent_sketch
from cryoarena.methods.principal_coordinates import principal_coordinates
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.slicing import as_volume

# of all frequencies; in a lower band some assembly states look alike, and never part again
_FIRST_BAND = 0.4
_GROWTH, _MARGIN = 1.25, 1.1
_LEAST_CORRELATION = 0.143
# Part of its images that each of two classes hands to the other when chance decides between them.
_EXCHANGED = 0.2
# In earlier iterations classes may have much to exchange.
_FIRST_MERGE = 3
_LEAST_RADIUS = 4.0
# of the largest of a shell: images without noise
_LEAST_NOISE = 1e-6
_SKETCH_COMPONENTS = 8
# of the strongest axis of the classes; along weaker ones maps between classes are not made
_LEAST_STRENGTH = 1e-2
# A class of less is empty.
_LEAST_IMAGES = 0.5
# of an equal share: a class with fewer images is given a part of the largest
_EMPTY = 0.02


@dataclass(frozen=True)
class Class3dOptions:
    """Options of `class3d`.

    Attributes:
        classes: number of classes K, from 1 to 100.
        iterations: at most.
        settled: part of the posterior; it stops sooner when less than that moves to other classes. With 0 it does all
            iterations.
    """

    classes: int = 10
    iterations: int = 25
    settled: float = 0.005


class Class3dReconstruction(Reconstruction):
    """Maps of classes, the probability of each class for each image, and the place of each image among the classes.

    The latent of a class are the principal coordinates of its map, so that distances of latents are distances of maps;
    where nothing else is known of an image, its latent is the mean over its classes.
    """

    posterior: NDArray[np.float32]

    def __init__(
        self,
        maps: NDArray[np.float32],
        posterior: NDArray[np.float32],
        history: list[dict[str, float]],
        embedding: NDArray[np.float32] | None = None,
    ) -> None:
        """Hold maps (K, D, D, D), posteriors (N, K) and latents (N, q); `representatives` are those of the classes."""
        self.maps = maps
        self.posterior = posterior
        self.history = history
        coordinates = principal_coordinates(maps)
        self._to_classes = np.linalg.pinv(coordinates, rcond=_LEAST_STRENGTH)
        if embedding is None:
            self.embedding = np.asarray(posterior @ coordinates, np.float32)
            self.representatives = coordinates
        else:
            self.embedding = embedding
            self._to_classes = self._to_classes[: embedding.shape[1]]
            self.representatives = _centres(embedding, posterior, coordinates[:, : embedding.shape[1]])

    def volumes_at(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the map of the nearest class for every latent, moved along the axes of the classes to the latent."""
        distance = np.linalg.norm(latents[:, None] - self.representatives, axis=2)
        # The map of an empty class is that of its own latent, not of those around.
        empty = self.posterior.sum(axis=0) < _LEAST_IMAGES
        nearest = np.where(empty & (distance > 0), np.inf, distance).argmin(axis=1)
        mixed = np.eye(len(self.maps))[nearest] + (latents - self.representatives[nearest]) @ self._to_classes
        return np.asarray(np.tensordot(mixed.astype(np.float32), self.maps, axes=1))

    def save(self, folder: Path) -> None:
        """Write maps, posteriors, latents and history."""
        np.save(folder / "maps.npy", self.maps)
        np.save(folder / "posterior.npy", self.posterior)
        np.save(folder / "latents.npy", self.embedding)
        write_json(folder / "history.json", self.history)


def _centres(
    embedding: NDArray[np.float32], posterior: NDArray[np.float32], coordinates: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the mean latent (K, q) of the images of each class; those of an empty class are its coordinates."""
    count = posterior.sum(axis=0)[:, None]
    means = posterior.T @ embedding / count.clip(min=_LEAST_IMAGES)
    return np.asarray(np.where(count < _LEAST_IMAGES, coordinates, means), np.float32)


@method
class Class3d(Method[Class3dOptions]):
    """EM for y = CTF · P(map of class k) + noise, in a band that grows with what the classes differ in."""

    card = MethodCard(
        name="class3d",
        title="3-D classification",
        family="3-D classification",
        summary="Maps of K classes by EM, each the consensus plus a locally filtered difference.",
        citation="Scheres 2012, doi:10.1016/j.jmb.2011.11.010",
        heterogeneity="discrete",
    )
    options = Class3dOptions

    def fit(self, particles: ParticleSet, options: Class3dOptions, run: Run) -> Class3dReconstruction:
        """Classify from k-means of a low-resolution PPCA.

        Raises:
            UserError: when there are fewer images than classes.
        """
        if not 1 <= options.classes <= min(100, len(particles)):
            raise UserError(
                f"option classes must be from 1 to {min(100, len(particles))}, the number of images or 100, "
                f"not {options.classes}"
            )
        classification = _Classification(particles, options, run)
        saved = run.checkpoint.load()
        state, history = (
            (classification.start(), [])
            if saved is None
            else (_State.of_arrays(saved[0], torch.device(run.device)), saved[1])
        )
        while len(history) < options.iterations and not state.settled:
            state, numbers = classification.iterate(state, history)
            history.append(numbers)
            run.checkpoint.save(state.as_arrays(), history)
            run.progress(len(history), options.iterations, f"|k| <= {state.radius:.0f}")
        maps, posterior, latents = classification.finish(state)
        return Class3dReconstruction(maps, posterior, history, latents)

    def load(self, folder: Path, particles: ParticleSet) -> Class3dReconstruction:
        """Read a saved classification."""
        maps, posterior, latents = (np.load(folder / f"{name}.npy") for name in ("maps", "posterior", "latents"))
        return Class3dReconstruction(maps, posterior, read_json(folder / "history.json"), latents)


@dataclass(frozen=True)
class _State:
    """Everything that decides the next iteration. Images are in order of view.

    Attributes:
        posterior: (N, K).
        noise: (S,) variance per image coefficient, by shell of the whole band.
        latents: (N, q) of the sketch; a class is split along them.
        radius: of the band of the next iteration.
        settled: whether another iteration would change hardly anything.
    """

    posterior: Tensor
    noise: Tensor
    latents: Tensor
    radius: float
    settled: bool

    def as_arrays(self) -> State:
        """Return what a checkpoint keeps."""
        return {
            "posterior": self.posterior.cpu().numpy(),
            "noise": self.noise.cpu().numpy(),
            "latents": self.latents.cpu().numpy(),
            "radius": np.array(self.radius),
            "settled": np.array(self.settled),
        }

    @staticmethod
    def of_arrays(arrays: State, device: torch.device) -> "_State":
        """Take what a checkpoint kept."""
        posterior, noise, latents = (
            torch.as_tensor(arrays[n], device=device) for n in ("posterior", "noise", "latents")
        )
        return _State(posterior, noise, latents, float(arrays["radius"]), bool(arrays["settled"]))


class _Classification:
    """The parts of EM that share images, half-sets and consensus."""

    def __init__(self, particles: ParticleSet, options: Class3dOptions, run: Run) -> None:
        """Make the consensus of each half-set and of all images."""
        assert particles.poses is not None
        self._order = by_view(particles.poses.rotation_object_to_image)
        self._particles = particles.subset(self._order)
        self._classes = options.classes
        self._iterations = options.iterations
        self._settled = options.settled
        self._seed = run.seed
        self._device = torch.device(run.device)
        self._full_radius = particles.box_px / 2
        self._images = self._band = BandImages(self._particles, self._full_radius, self._device)
        self._half_set = torch.as_tensor(half_sets(self._particles, run.seed), device=self._device)
        self._consensus = consensus_of(self._images, self._half_set)

    def start(self) -> _State:
        """Assign images by k-means of a low-resolution sketch."""
        noise = mean_power(self._images)
        radius = min(self._full_radius, max(_LEAST_RADIUS, _FIRST_BAND * self._full_radius))
        count = len(self._particles)
        components = min(_SKETCH_COMPONENTS, self._classes - 1)
        if components == 0:
            return _State(
                torch.ones((count, 1), device=self._device), noise, noise.new_zeros((count, 0)), radius, False
            )
        images = self._at(radius)
        latents = latent_sketch(
            images, self._consensus.cropped(images), noise[: images.n_shells], components, self._seed
        )
        found = clusters(latents.cpu().numpy(), self._classes, self._seed)
        posterior = torch.nn.functional.one_hot(torch.as_tensor(found, device=self._device).long(), self._classes)
        return _State(posterior.float(), noise, latents, radius, False)

    def iterate(self, state: _State, history: list[dict[str, float]]) -> tuple[_State, dict[str, float]]:
        """Estimate maps, then posteriors and noise, then the band that they support."""
        images = self._at(state.radius)
        inside = slice(0, images.n_shells)
        model = class_maps(images, state.posterior, self._half_set, self._consensus.cropped(images))
        posterior, left, log_likelihood = expect(images, model, state.posterior, state.noise[inside])
        noise = state.noise.clone()
        noise[inside] = left.clamp(min=_LEAST_NOISE * float(left.max()))
        changed = float((posterior - state.posterior).abs().sum(dim=1).mean()) / 2
        supported = _first_below(model.correlation, _LEAST_CORRELATION)
        radius = max(state.radius, min(self._full_radius, _GROWTH * state.radius, _MARGIN * supported + 1))
        grown = math.floor(radius) > math.floor(state.radius)
        refilling = len(history) < self._iterations / 2 and len(history) + 1 < self._iterations
        # Log-likelihoods compare within one band only.
        comparable = len(history) > 1 and history[-2]["radius_px"] == state.radius
        earlier = history[-2]["log_likelihood_per_image"] if comparable else -math.inf
        stalled = not refilling and log_likelihood <= earlier
        settled = self._settled > 0 and not grown and (changed < self._settled or stalled)
        if len(history) >= _FIRST_MERGE:
            posterior = merge(state.posterior, posterior)
        if refilling:
            filled = refill(posterior, state.latents)
            # What was split has to be compared with the images before it is a result.
            settled = settled and torch.equal(filled, posterior)
            posterior = filled
        numbers = {
            "iteration": len(history) + 1.0,
            "radius_px": state.radius,
            "log_likelihood_per_image": log_likelihood,
            "changed": changed,
            "largest_class": float(posterior.sum(dim=0).max()) / len(posterior),
            "smallest_class": float(posterior.sum(dim=0).min()) / len(posterior),
        }
        return _State(posterior, noise, state.latents, radius, settled), numbers

    def finish(self, state: _State) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return maps (K, D, D, D) of the whole band, and of the particles posteriors (N, K) and latents (N, q)."""
        images = self._images
        maps = class_maps(images, state.posterior, self._half_set, self._consensus.cropped(images), as_result=True).maps
        latents = class_latents(images, maps, state.posterior, state.noise)
        by_particle = np.argsort(self._order)
        return as_volume(maps), as_volume(state.posterior)[by_particle], as_volume(latents)[by_particle]

    def _at(self, radius: float) -> BandImages:
        """Return the images up to a radius; those of the last one asked for are kept."""
        if radius != self._band.grid.radius:
            self._band = self._images.narrowed(radius)
        return self._band


def merge(before: Tensor, after: Tensor) -> Tensor:
    """Join classes that exchange their images from one iteration to the next: their maps differ by noise alone.

    Args:
        before, after: (N, K) posteriors of two iterations.
    """
    joined = after.clone()
    handed = before.T @ after / before.sum(dim=0).clamp(min=1e-30)[:, None]
    for a, b in torch.nonzero(torch.triu(torch.minimum(handed, handed.T), 1) > _EXCHANGED).tolist():
        joined[:, a] += joined[:, b]
        joined[:, b] = 0
    return joined


def refill(posterior: Tensor, latents: Tensor) -> Tensor:
    """Give empty classes half of the images of the most spread one, split at the median of its first principal axis.

    Of pure classes all are as much spread as the noise makes them; one that holds two conformations is more so. Those
    with less than half of an equal share of the images stay whole.

    Args:
        posterior: (N, K).
        latents: (N, q) coordinates of the images.
    """
    filled = posterior.clone()
    share = len(posterior) / posterior.shape[1]
    for k in torch.nonzero(posterior.sum(dim=0) < _EMPTY * share)[:, 0].tolist():
        assigned = filled.argmax(dim=1)
        spread = [_spread(latents[assigned == other], share / 2) for other in range(filled.shape[1])]
        widest = max(range(len(spread)), key=lambda other: spread[other][0])
        if spread[widest][0] == 0:
            break
        rows = torch.nonzero(assigned == widest)[:, 0]
        along = latents[rows] @ spread[widest][1]
        moved = rows[along > along.median()]
        filled[moved, k] += filled[moved, widest]
        filled[moved, widest] = 0
    return filled


def _spread(latents: Tensor, fewest: float) -> tuple[float, Tensor]:
    """Return the variance of latents (n, q) along their first principal axis, 0 of few of them, and the axis (q,)."""
    if len(latents) < max(2, fewest):
        return 0.0, latents.new_zeros(latents.shape[1])
    _, strength, axes = torch.linalg.svd(latents - latents.mean(dim=0), full_matrices=False)
    return float(strength[0]) ** 2 / len(latents), axes[0]


def _first_below(values: Tensor, threshold: float) -> int:
    """Return the first shell, after that of the mean, whose value is below a threshold; all are above: their number."""
    below = torch.nonzero(values[1:] < threshold)
    return int(below[0]) + 1 if len(below) else len(values)
