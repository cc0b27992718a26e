"""Particle images as Fourier coefficients up to a radius, kept in memory where they fit."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.methods.batches import BYTES_PER_POINT, Batch, fourier_batches, may_be_kept
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.slicing import FourierGrid, ImagePoints

_KEPT_BYTES = 1_500_000_000
_BATCH_IMAGES = 500
# Large batches of what is kept: the fewer they are, the longer a grid stays in the cache.
_BATCH_BYTES = 64_000_000


class BandImages:
    """The coefficients |k| <= radius of some particles, with the grid that holds maps of that band.

    Iterative methods read the same images many times; those of a low band fit in memory even when the stack does not.
    Images that are read once are not kept.

    Attributes:
        grid: of maps, of the same extent as the images but of the fewest voxels that hold the band.
        points: of images.
    """

    def __init__(self, particles: ParticleSet, radius: float, device: torch.device, read_once: bool = False) -> None:
        """Prepare the band; nothing is read yet. Maps of a low band have as few voxels as it needs."""
        box_px = min(particles.box_px, 2 * (math.floor(radius) + 2))
        self.grid = FourierGrid(box_px, radius, device)
        self.points = ImagePoints.within(particles.box_px, radius, device)
        self._particles = particles
        self._read_once = read_once
        self._kept: _Coefficients | None = None
        self._kept_powers: tuple[Tensor, Tensor] | None = None
        self._fits = not read_once and may_be_kept(len(particles), self.points, _KEPT_BYTES)
        self._of_shell = torch.nn.functional.one_hot(self.points.shell).float()

    @property
    def count(self) -> int:
        """Return the number of particles."""
        return len(self._particles)

    @property
    def n_shells(self) -> int:
        """Return the number of shells of the band."""
        return self._of_shell.shape[1]

    def in_band(self, radius: float) -> "BandImages":
        """Return the same images in another band, of which nothing is read yet."""
        if radius == self.grid.radius:
            return self
        return BandImages(self._particles, radius, self.points.kx.device, self._read_once)

    def narrowed(self, radius: float) -> "BandImages":
        """Return the same images in a lower band, without reading them again where they are kept."""
        lower = self.in_band(radius)
        if self._kept is not None:
            inside = slice(0, len(lower.points))
            lower._kept = _Coefficients(
                self._kept.data[:, inside].contiguous(), self._kept.ctf[:, inside].contiguous(), self._kept.rotations
            )
        return lower

    def batches(self, rows: NDArray[np.int64] | None = None) -> Iterator[Batch]:
        """Yield some particles, or all, in the order given."""
        wanted = np.arange(len(self._particles)) if rows is None else rows
        if not self._fits:
            yield from fourier_batches(self._particles, self.points, wanted, _BATCH_IMAGES)
            return
        if self._kept is None:
            self._kept = self._read()
        at_once = max(_BATCH_IMAGES, _BATCH_BYTES // (BYTES_PER_POINT * len(self.points)))
        for start in range(0, len(wanted), at_once):
            batch = wanted[start : start + at_once]
            here = slice(start, start + len(batch)) if rows is None else torch.as_tensor(batch)
            yield Batch(batch, self._kept.data[here], self._kept.ctf[here], self._kept.rotations[here])

    def _read(self) -> "_Coefficients":
        n, device = len(self._particles), self.points.kx.device
        kept = _Coefficients(
            torch.empty((n, len(self.points)), dtype=torch.complex64, device=device),
            torch.empty((n, len(self.points)), device=device),
            torch.empty((n, 3, 3), device=device),
        )
        for batch in fourier_batches(self._particles, self.points, batch_images=_BATCH_IMAGES):
            here = slice(int(batch.rows[0]), int(batch.rows[-1]) + 1)
            kept.data[here], kept.ctf[here], kept.rotations[here] = batch.data, batch.ctf, batch.rotations
        return kept

    def powers(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return |image|² and CTF² (n, S) of a batch, summed over shells; of images that are kept they are too."""
        if self._kept is None:
            return self._powers_of(batch.data, batch.ctf)
        if self._kept_powers is None:
            pairs = zip(*(torch.split(each, _BATCH_IMAGES) for each in (self._kept.data, self._kept.ctf)), strict=True)
            of_images, of_ctf = zip(*(self._powers_of(data, ctf) for data, ctf in pairs), strict=True)
            self._kept_powers = torch.cat(of_images), torch.cat(of_ctf)
        here = torch.as_tensor(batch.rows, device=self.grid.device)
        return self._kept_powers[0][here], self._kept_powers[1][here]

    def _powers_of(self, data: Tensor, ctf: Tensor) -> tuple[Tensor, Tensor]:
        return torch.view_as_real(data).square().sum(dim=2) @ self._of_shell, ctf**2 @ self._of_shell

    def points_per_shell(self) -> Tensor:
        """Count the points of each shell; (S,) float32."""
        return self._of_shell.sum(dim=0)


@dataclass(frozen=True)
class _Coefficients:
    """Of all images: data (N, P) complex64, CTF (N, P) and rotations (N, 3, 3)."""

    data: Tensor
    ctf: Tensor
    rotations: Tensor


def by_view(rotations: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return an order of images in which neighbours have nearly the same slice, so that slices stay in the cache.

    The axis of view (up to its sign) runs through bands of equal height, to and fro.
    """
    axis = rotations[:, 2] * np.where(rotations[:, 2, 2:] < 0, -1, 1)
    n_bands = max(1, int(np.sqrt(len(axis) / 4)))
    band = np.minimum((axis[:, 2] * n_bands).astype(np.int64), n_bands - 1)
    azimuth = np.arctan2(axis[:, 1], axis[:, 0])
    return np.lexsort((np.where(band % 2, -azimuth, azimuth), band))
