"""Columns of the covariance of maps, from pairs of Fourier coefficients of the same image.

The covariance Σ(ξ, ξ') = E[x(ξ) x*(ξ')] of maps x is estimated entry by entry by least squares from the residuals r
of the mean, images times CTF c: Σ(ξ, ξ') = Σ_i c r(ξ) (c r)*(ξ') / Σ_i c²(ξ) c²(ξ'), over the images whose slice holds
both frequencies (Gilles & Singer 2025, doi:10.1073/pnas.2419140122; Katsevich et al. 2015,
doi:10.1137/130935434). A coefficient is not paired with itself, since that product holds the variance of the noise.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cryoarena.methods.backprojection import half_set_fsc, half_set_prior
from cryoarena.methods.batches import Batch
from cryoarena.volumes import pivot_sums_cpu
from cryoarena.volumes.in_threads import in_threads
from cryoarena.volumes.slicing import FourierGrid, ImagePoints, least_weight, shell_means

# of the mean weight of an image at a pivot: less adds work and hardly any information
_LEAST_WEIGHT = 0.1


def choose_pivots(count: int, spacing: float, score: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return up to `count` voxels (J, 3) x, y, z of the half space, those of highest score, `spacing` apart.

    Args:
        count: number of pivots.
        spacing: least distance of two pivots, and of one from another's conjugate, whose covariance follows.
        score: (S,) expected signal-to-noise ratio of an image by shell.
    """
    reach = len(score) - 1
    axis = np.arange(-reach, reach + 1)
    z, y, x = (part.reshape(-1) for part in np.meshgrid(axis, axis, axis[reach:], indexing="ij"))
    shell = np.round(np.sqrt(x**2 + y**2 + z**2)).astype(int)
    candidates = np.stack([x, y, z], axis=1)[((x > 0) | (y > 0) | ((y == 0) & (z > 0))) & (shell <= reach)]
    shell = np.round(np.linalg.norm(candidates, axis=1)).astype(int)
    chosen = np.zeros((0, 3), np.int64)
    for candidate in candidates[np.argsort(-score[shell], kind="stable")]:
        if len(chosen) == count:
            break
        distance = np.minimum(np.linalg.norm(chosen - candidate, axis=1), np.linalg.norm(chosen + candidate, axis=1))
        if (distance >= spacing).all():
            chosen = np.concatenate([chosen, candidate[None]])
    return chosen


@dataclass(frozen=True)
class ColumnSums:
    """Sums of one half-set: (J, V, 5), see `pivot_sums_cpu.add_columns`."""

    grid: FourierGrid
    pivots: NDArray[np.int64]
    sums: Tensor

    @staticmethod
    def empty(grid: FourierGrid, pivots: NDArray[np.int64]) -> "ColumnSums":
        """Return zeros on a grid that is not oversampled."""
        return ColumnSums(grid, pivots, torch.zeros((len(pivots), grid.size, 5), device=grid.device))

    def add(self, batch: Batch, residual: Tensor, points: ImagePoints) -> None:
        """Add a batch whose residuals (n, P) from the mean are given."""
        if self.grid.device.type != "cpu":
            self.add_by_tensors(batch, residual, points)
            return
        plane = torch.stack([points.kx, points.ky], dim=1).float()
        low = plane.norm(dim=1) <= float(np.linalg.norm(self.pivots, axis=1).max()) + 2
        data = torch.view_as_real(batch.ctf * residual).contiguous()
        weight = batch.ctf**2
        value = np.zeros((len(data), len(self.pivots), 2), np.float32)
        value_weight = np.zeros(value.shape[:2], np.float32)
        pivot_sums_cpu.pivot_values(
            self._pivot_of(),
            self.grid.reach,
            plane[low].numpy(),
            batch.rotations.numpy(),
            data[:, low].numpy(),
            weight[:, low].numpy(),
            value,
            value_weight,
        )
        in_threads(
            pivot_sums_cpu.add_columns,
            self.pivots,
            self.grid.reach,
            plane.numpy(),
            batch.rotations.numpy(),
            data.numpy(),
            weight.numpy(),
            value,
            value_weight,
            _LEAST_WEIGHT * value_weight.mean(axis=0),
            self.sums.numpy(),
        )

    def add_by_tensors(self, batch: Batch, residual: Tensor, points: ImagePoints) -> None:
        """Do what `add` does by tensor operations, on any device."""
        device = self.grid.device
        n, n_pivots = len(residual), len(self.pivots)
        corners, shares, sign = self.grid.corners(points, batch.rotations)
        shape = (n, len(points), 8)
        corners, shares = corners.reshape(shape), shares.reshape(shape)
        data = batch.ctf * residual
        real, imaginary, weight = data.real, sign.reshape(shape[:2]) * data.imag, batch.ctf**2
        pivot = torch.as_tensor(self._pivot_of(), device=device)[corners]
        image, point, corner = torch.nonzero(pivot, as_tuple=True)
        number = pivot[image, point, corner]
        parts = torch.stack([real[image, point], number.sign() * imaginary[image, point], weight[image, point]], dim=1)
        values = torch.zeros((n * n_pivots, 3), device=device)
        values.index_add_(0, image * n_pivots + number.abs() - 1, parts * shares[image, point, corner, None])
        values = values.reshape(n, n_pivots, 3)
        least = _LEAST_WEIGHT * values[:, :, 2].mean(dim=0)
        for j in range(n_pivots):
            seen = torch.nonzero(values[:, j, 2] > least[j])[:, 0]
            share, of_pivot = shares[seen], pivot[seen]
            own = (share * (of_pivot == j + 1)).sum(dim=2)
            conjugate = (share * (of_pivot == -(j + 1))).sum(dim=2)
            re, im, by = real[seen], imaginary[seen], weight[seen]
            a = values[seen, j, 0, None] - (own + conjugate) * re
            b = values[seen, j, 1, None] - (own - conjugate) * im
            w = values[seen, j, 2, None] - (own + conjugate) * by
            rows = torch.stack([re * a, im * a, re * b, im * b, by * w], dim=2)
            spread = rows[:, :, None] * share[:, :, :, None]
            self.sums[j].index_add_(0, corners[seen].reshape(-1), spread.reshape(-1, 5))

    def _pivot_of(self) -> NDArray[np.int64]:
        nz, ny, nx = self.grid.shape
        numbers = np.zeros((nz, ny, nx), np.int64)
        reach = self.grid.reach
        for j, (x, y, z) in enumerate(self.pivots):
            if x == 0:
                numbers[reach - z, reach - y, 0] = -(j + 1)
            numbers[reach + z, reach + y, x] = j + 1
        return numbers.reshape(-1)


def regularised_columns(half_a: ColumnSums, half_b: ColumnSums, mask: Tensor) -> Tensor:
    """Return real maps (2 J, D, D, D): covariances with the real and imaginary part of the map at each pivot.

    Each column is shrunk as a map is, by the signal-to-noise ratio per shell that its half-sets show (Gilles & Singer
    2025).
    """
    grid = half_a.grid
    columns = []
    for j in range(len(half_a.pivots)):
        (data_a, weight_a), (data_b, weight_b) = (grid.complete(half.sums[j], maps=2) for half in (half_a, half_b))
        weight = (weight_a + weight_b)[:, 0]
        fsc = half_set_fsc(_unfiltered(grid, data_a, weight_a[:, 0]), _unfiltered(grid, data_b, weight_b[:, 0]), mask)
        prior = half_set_prior(grid, weight, fsc)
        columns.append(grid.to_volumes((data_a + data_b) / (weight + prior)[:, None, None]) * mask)
    return torch.cat(columns)


def _unfiltered(grid: FourierGrid, data: Tensor, weight: Tensor) -> Tensor:
    """Return maps (M, D, D, D) of data (V, M, 2) and weight (V,), as `Accumulated.unfiltered` does."""
    shells, n_shells = grid.shells(), grid.box_px // 2 + 1
    least = least_weight(shell_means(weight, shells, n_shells))[shells.clamp(max=n_shells - 1)]
    return grid.to_volumes(data / torch.maximum(weight, least)[:, None, None])
