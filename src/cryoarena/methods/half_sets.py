"""Two halves of the particles, and what the images of each add up to."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from cryoarena.methods.backprojection import Accumulated
from cryoarena.methods.batches import fourier_batches
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.slicing import FourierGrid, ImagePoints


def random_halves(n: int, seed: int) -> NDArray[np.int64]:
    """Return (n,) 0 or 1, two random halves."""
    return np.random.default_rng(seed).permutation(np.arange(n) % 2)


def half_sets(particles: ParticleSet, seed: int) -> NDArray[np.int64]:
    """Return (N,) 0 or 1: the half-sets that the particles came with, or else two random halves."""
    given = particles.half_set
    return random_halves(len(particles), seed) if given is None or len(np.unique(given)) < 2 else given


def accumulate_halves(
    particles: ParticleSet,
    half_set: NDArray[np.int64],
    device: torch.device,
    step: Callable[[int], None] = lambda images: None,
) -> tuple[Accumulated, Accumulated]:
    """Insert the images of each half-set, up to Nyquist.

    Args:
        particles: N images.
        half_set: (N,) 0 or 1.
        device: of torch.
        step: told how many images are done.
    """
    radius = particles.box_px / 2
    grid = FourierGrid(particles.box_px, radius, device)
    points = ImagePoints.within(particles.box_px, radius, device)
    sums = [Accumulated.none(grid, points) for _ in range(2)]
    done = 0
    for half in (0, 1):
        for batch in fourier_batches(particles, points, np.flatnonzero(half_set == half)):
            sums[half].add(batch, points)
            done += len(batch.rows)
            step(done)
    return sums[0], sums[1]
