"""The contract of a method: a card, options, `fit`, and a reconstruction that gives maps at latents."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.imaging.poses import Poses
from cryoarena.methods.checkpoint import Checkpoint
from cryoarena.methods.work_folder import WorkFolder
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.progress import Report, silent
from cryoarena.registry import Registry


class NoMaps(UserError):
    """A result has latents or classes but no maps; the message says why."""


@dataclass(frozen=True)
class Resources:
    """What one run of a method may take, generously: a suite asks a cluster for it.

    Attributes:
        threads: of its process; an option `threads` of the method goes first.
        memory_GB: whatever the data are.
        memory_GB_per_megavoxel: besides, for each 10⁶ voxels of a map of D³.
        minutes: whatever the data are.
        minutes_per_gigapixel: besides, for each 10⁹ pixels of the N images of D².
    """

    threads: int = 1
    memory_GB: float = 3.0
    memory_GB_per_megavoxel: float = 1.0
    minutes: float = 30.0
    minutes_per_gigapixel: float = 300.0


@dataclass(frozen=True)
class MethodCard:
    """What a method is and what it needs."""

    name: str
    title: str
    family: str
    summary: str
    citation: str
    heterogeneity: Literal["none", "discrete", "continuous"]
    needs_poses: bool = True
    needs_gpu: bool = False
    resources: Resources = field(default_factory=Resources)


@dataclass(frozen=True)
class Run:
    """How a method runs.

    Attributes:
        device: of torch.
        seed: of every random draw.
        progress: told how far the work is.
        checkpoint: keeps what an interrupted run needs to go on; a resumed run equals an undisturbed one.
        work: where an outside program works; it survives an interruption.
    """

    device: str = "cpu"
    seed: int = 0
    progress: Report = silent
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    work: WorkFolder = field(default_factory=WorkFolder)


class Reconstruction(ABC):
    """What a method found. Row i of the arrays belongs to particle i of the particle set, or to particle `rows[i]`.

    Attributes:
        embedding: (N, d) float32 latent of every particle.
        posterior: (N, K) class probabilities, or None.
        poses: that the method estimated, or None where it took those given.
        representatives: (k, d) latents whose maps are written beside the result.
        history: one dict of numbers per iteration.
        rows: (N,) of the particle set that the arrays belong to, where a program dropped particles; None for all.
        notes: sentences for the reader of the result.
        maps_at_once: how many maps are best asked for in one call: few where they take much memory to make, many where
            a program is started for them.
        found: what the files of an outside program tell of its run: version, settings, what was judged.
    """

    embedding: NDArray[np.float32]
    posterior: NDArray[np.float32] | None
    poses: Poses | None = None
    representatives: NDArray[np.float32]
    history: list[dict[str, float]]
    rows: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()
    maps_at_once: int = 8
    found: Mapping[str, Any] = MappingProxyType({})

    @abstractmethod
    def volumes_at(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the maps (k, D, D, D) at latents (k, d).

        Raises:
            NoMaps: when the result has none.
        """

    def on_device(self, device: str) -> "Reconstruction":
        """Return the same for a device of torch; most have their maps already, or a program that makes them."""
        return self

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write all that `volumes_at` needs as .npy and .json files."""


OptionsT = TypeVar("OptionsT")


class Method(ABC, Generic[OptionsT]):
    """One reconstruction method; subclasses are final. `options` is a frozen dataclass with defaults."""

    card: ClassVar[MethodCard]
    options: type[OptionsT]

    @abstractmethod
    def fit(self, particles: ParticleSet, options: OptionsT, run: Run) -> Reconstruction:
        """Reconstruct from what a user would have: images, poses, CTF; never the truth."""

    @abstractmethod
    def load(self, folder: Path, particles: ParticleSet) -> Reconstruction:
        """Read back what `Reconstruction.save` wrote; some methods make maps from the images when asked for them."""

    def not_applicable(self, particles: ParticleSet) -> str | None:
        """Return why this method cannot run on these particles, or None."""
        if self.card.needs_poses and particles.poses is None:
            return "the particles have no poses"
        if particles.ctf is None:
            return "the particles have no CTF parameters"
        return None


methods: Registry[Method[Any]] = Registry("method", "cryoarena.methods", folders="external")


def method(cls: type[Method[Any]]) -> type[Method[Any]]:
    """Register the decorated method class."""
    methods.register(cls())
    return cls
