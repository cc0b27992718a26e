"""Consensus: one Wiener-regularised map from all images, as if there were no heterogeneity."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cryoarena.methods.backprojection import Accumulated, reconstruct
from cryoarena.methods.base import Method, MethodCard, Reconstruction, Run, method
from cryoarena.methods.batches import fourier_batches
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.slicing import FourierGrid, ImagePoints, as_volume


@dataclass(frozen=True)
class ConsensusOptions:
    """Options of `consensus`: none."""


class ConsensusReconstruction(Reconstruction):
    """One map for every latent; the latent is a constant."""

    def __init__(self, volume: NDArray[np.float32], n: int) -> None:
        """Hold the map (D, D, D) of n particles."""
        self.embedding = np.zeros((n, 1), np.float32)
        self.posterior = None
        self.representatives = np.zeros((1, 1), np.float32)
        self.history = []
        self._volume = volume

    def volumes_at(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the same map for every latent."""
        return np.broadcast_to(self._volume, (len(latents), *self._volume.shape))

    def save(self, folder: Path) -> None:
        """Write the map and the number of particles."""
        np.save(folder / "volume.npy", self._volume)
        np.save(folder / "particles.npy", np.int64(len(self.embedding)))


@method
class Consensus(Method[ConsensusOptions]):
    """CTF-weighted backprojection of all images, regularised by the FSC of two half-sets."""

    card = MethodCard(
        name="consensus",
        title="Consensus",
        family="consensus",
        summary="One map from all images with a Wiener filter set by the half-map FSC.",
        citation="Scheres 2012, doi:10.1016/j.jsb.2012.09.006",
        heterogeneity="none",
    )
    options = ConsensusOptions

    def fit(self, particles: ParticleSet, options: ConsensusOptions, run: Run) -> ConsensusReconstruction:
        """Reconstruct one map."""
        place = torch.device(run.device)
        radius = particles.box_px / 2 - 1
        grid = FourierGrid(particles.box_px, radius, place)
        points = ImagePoints.within(particles.box_px, radius, place)
        half_set = random_halves(len(particles), run.seed)
        halves = [Accumulated(grid, grid.accumulator(maps=1, weights=1)) for _ in range(2)]
        done = 0
        for half in (0, 1):
            for batch in fourier_batches(particles, points, np.flatnonzero(half_set == half)):
                halves[half].add(batch, points)
                done += len(batch.rows)
                run.progress(done, len(particles), "images")
        return ConsensusReconstruction(as_volume(reconstruct(halves[0], halves[1])), len(particles))

    def load(self, folder: Path, particles: ParticleSet) -> ConsensusReconstruction:
        """Read a saved consensus."""
        return ConsensusReconstruction(np.load(folder / "volume.npy"), int(np.load(folder / "particles.npy")))


def random_halves(n: int, seed: int) -> NDArray[np.int64]:
    """Return (n,) 0 or 1, two random halves."""
    return np.random.default_rng(seed).permutation(np.arange(n) % 2)
