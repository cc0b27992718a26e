"""Particle images as Fourier coefficients up to a radius, kept in memory where they fit."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.methods.batches import Batch, fourier_batches
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.slicing import FourierGrid, ImagePoints

_KEPT_BYTES = 1_500_000_000
_BYTES_PER_POINT = 12


class BandImages:
    """The coefficients |k| <= radius of some particles, with the grid that holds maps of that band.

    Iterative methods read the same images many times; those of a low band fit in memory even when the stack does not.

    Attributes:
        grid: of maps, of the same extent as the images but of the fewest voxels that hold the band.
        points: of images.
    """

    def __init__(self, particles: ParticleSet, radius: float, device: torch.device, batch_images: int = 500) -> None:
        """Prepare the band; nothing is read yet. Maps of a low band have as few voxels as it needs."""
        box_px = min(particles.box_px, 2 * (math.floor(radius) + 2))
        self.grid = FourierGrid(box_px, radius, device)
        self.points = ImagePoints.within(particles.box_px, radius, device)
        self._particles = particles
        self._batch_images = batch_images
        self._data: Tensor | None = None
        self._ctf: Tensor | None = None
        self._rotations: Tensor | None = None
        self._fits = len(particles) * len(self.points) * _BYTES_PER_POINT <= _KEPT_BYTES

    @property
    def count(self) -> int:
        """Return the number of particles."""
        return len(self._particles)

    @property
    def n_shells(self) -> int:
        """Return the number of shells of the band."""
        return int(self.points.shell.max()) + 1

    def batches(self, rows: NDArray[np.int64] | None = None) -> Iterator[Batch]:
        """Yield some particles, or all, in the order given."""
        wanted = np.arange(len(self._particles)) if rows is None else rows
        if not self._fits:
            yield from fourier_batches(self._particles, self.points, wanted, self._batch_images)
            return
        if self._data is None or self._ctf is None or self._rotations is None:
            self._read()
        assert self._data is not None
        assert self._ctf is not None
        assert self._rotations is not None
        for start in range(0, len(wanted), self._batch_images):
            batch = wanted[start : start + self._batch_images]
            here = torch.as_tensor(batch, device=self._data.device)
            yield Batch(batch, self._data[here], self._ctf[here], self._rotations[here])

    def _read(self) -> None:
        n, device = len(self._particles), self.points.kx.device
        self._data = torch.empty((n, len(self.points)), dtype=torch.complex64, device=device)
        self._ctf = torch.empty((n, len(self.points)), device=device)
        self._rotations = torch.empty((n, 3, 3), device=device)
        for batch in fourier_batches(self._particles, self.points, batch_images=self._batch_images):
            here = torch.as_tensor(batch.rows, device=device)
            self._data[here], self._ctf[here], self._rotations[here] = batch.data, batch.ctf, batch.rotations

    def shell_sums(self, values: Tensor) -> Tensor:
        """Sum (n, P) over shells; (n, S)."""
        sums = torch.zeros((len(values), self.n_shells), device=values.device)
        return sums.index_add_(1, self.points.shell, values)

    def points_per_shell(self) -> Tensor:
        """Count the points of each shell; (S,) float32."""
        return torch.bincount(self.points.shell, minlength=self.n_shells).float()


def by_view(rotations: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return an order of images in which neighbours have nearly the same slice, so that slices stay in the cache.

    The axis of view (up to its sign) runs through bands of equal height, to and fro.
    """
    axis = rotations[:, 2] * np.where(rotations[:, 2, 2:] < 0, -1, 1)
    n_bands = max(1, int(np.sqrt(len(axis) / 4)))
    band = np.minimum((axis[:, 2] * n_bands).astype(np.int64), n_bands - 1)
    azimuth = np.arctan2(axis[:, 1], axis[:, 0])
    return np.lexsort((np.where(band % 2, -azimuth, azimuth), band))
