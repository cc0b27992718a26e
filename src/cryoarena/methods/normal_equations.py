"""Solve the small normal equations of every voxel of a Fourier grid, for several maps at once."""

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from cryoarena.volumes.in_threads import in_threads
from cryoarena.volumes.slicing import FourierGrid

_VOXELS_AT_ONCE = 1 << 17


def solve_voxels(sums: Tensor, moments: Tensor, signal: Tensor, grid: FourierGrid, coarse: FourierGrid) -> Tensor:
    """Solve (w R + diag(1/τ²)) V = d at every voxel; the data d are replaced by the values V, in place.

    Args:
        sums: (V, 2 M + 1) data d of M complex maps, and the weight w.
        moments: (Vc, M (M + 1) / 2) upper triangles of R on the coarse grid, between whose voxels it is interpolated.
        signal: (M, S) prior variance τ² by shell.
        grid: of the maps.
        coarse: whose step is two steps of `grid`, with the same centre.

    Returns:
        (M, S) mean over the shell of the posterior variance of a voxel, the diagonal of (w R + diag(1/τ²))⁻¹.
    """
    prior = 1 / signal.clamp(min=1e-20)
    if grid.device.type == "cpu":
        shape = (*grid.shape, *coarse.shape)
        variance = np.zeros((grid.shape[0], signal.shape[1], len(signal)))
        counts = np.zeros((grid.shape[0], signal.shape[1]))
        of_shell = prior.T.contiguous().numpy()
        in_threads(_solve, sums.numpy(), moments.numpy(), of_shell, shape, grid.radius, variance, counts)
        mean = variance.sum(axis=0) / np.maximum(counts.sum(axis=0), 1)[:, None]
        return torch.from_numpy(mean.T.astype(np.float32))
    return solve_by_tensors(sums, moments, prior, grid, coarse)


def solve_by_tensors(sums: Tensor, moments: Tensor, prior: Tensor, grid: FourierGrid, coarse: FourierGrid) -> Tensor:
    """Do what `solve_voxels` does by tensor operations, on any device; `prior` is 1/τ² (M, S)."""
    size, n_shells = prior.shape
    rows, columns = torch.triu_indices(size, size, device=grid.device)
    shells = grid.shells()
    inside = (shells < n_shells) & (shells <= grid.radius)
    sums[~inside, : 2 * size] = 0
    voxels = inside.nonzero()[:, 0]
    identity = torch.eye(size, device=grid.device)
    variance = torch.zeros((n_shells, size), dtype=torch.float64, device=grid.device)
    for voxel in torch.split(voxels, _VOXELS_AT_ONCE):
        packed = _between(moments, voxel, grid, coarse) * sums[voxel, -1:]
        normal = torch.zeros((len(voxel), size, size), device=grid.device)
        normal[:, rows, columns] = packed
        normal[:, columns, rows] = packed
        normal += torch.diag_embed(prior[:, shells[voxel]].T)
        # With A = L Lᵀ, A⁻¹ = L⁻ᵀ L⁻¹, whose diagonal are the squared columns of L⁻¹.
        inverse = torch.linalg.solve_triangular(torch.linalg.cholesky(normal), identity, upper=False)
        right = inverse @ sums[voxel, : 2 * size].reshape(-1, size, 2)
        sums[voxel, : 2 * size] = (inverse.transpose(1, 2) @ right).reshape(-1, 2 * size)
        variance.index_add_(0, shells[voxel], inverse.square().sum(dim=1).double())
    counts = torch.bincount(shells[voxels], minlength=n_shells).clamp(min=1)
    return (variance / counts[:, None]).T.float()


def _between(moments: Tensor, voxel: Tensor, grid: FourierGrid, coarse: FourierGrid) -> Tensor:
    """Interpolate packed matrices of the coarse grid at voxels (n,) of the fine one."""
    _, ny, nx = grid.shape
    offsets = (
        torch.div(voxel, ny * nx, rounding_mode="floor") - grid.reach,
        torch.div(voxel, nx, rounding_mode="floor") % ny - grid.reach,
        voxel % nx,
    )
    total = torch.zeros((len(voxel), moments.shape[1]), device=moments.device)
    for corner in range(8):
        z, y, x = (
            torch.div(offset + (corner >> axis & 1), 2, rounding_mode="floor") for axis, offset in enumerate(offsets)
        )
        row = ((z + coarse.reach) * coarse.shape[1] + y + coarse.reach) * coarse.shape[2] + x
        total += moments[row] / 8
    return total


@numba.njit(fastmath=True, nogil=True, cache=True)
def _solve(
    thread: int,
    threads: int,
    sums: Any,
    moments: Any,
    prior: Any,
    shape: Any,
    radius: Any,
    variance: Any,
    counts: Any,
) -> None:
    nz, ny, nx, _, cy, cx = shape
    n_shells, size = prior.shape
    reach, coarse_reach = ny // 2, cy // 2
    packed = np.empty(moments.shape[1], np.float32)
    factor = np.empty((size, size), np.float32)
    right = np.empty((size, 2), np.float32)
    column = np.empty(size, np.float32)
    for iz in range(thread, nz, threads):
        z = iz - reach
        for iy in range(ny):
            y = iy - reach
            for x in range(nx):
                row = sums[(iz * ny + iy) * nx + x]
                shell = int(np.rint(np.sqrt(np.float32(x * x + y * y + z * z)) / 2))
                if shell >= n_shells or shell > radius:
                    row[: 2 * size] = 0
                    continue
                packed[:] = 0
                for corner in range(8):
                    cz = (z + (corner & 1)) // 2 + coarse_reach
                    of_row = moments[
                        (cz * cy + (y + (corner >> 1 & 1)) // 2 + coarse_reach) * cx + (x + (corner >> 2)) // 2
                    ]
                    for w in range(len(packed)):
                        packed[w] += of_row[w]
                weight = row[2 * size] / 8
                # Cholesky's factor L, in the lower triangle.
                w = 0
                for i in range(size):
                    for j in range(i, size):
                        factor[j, i] = weight * packed[w]
                        w += 1
                    factor[i, i] += prior[shell, i]
                for j in range(size):
                    for k in range(j):
                        for i in range(j, size):
                            factor[i, j] -= factor[i, k] * factor[j, k]
                    pivot = np.float32(1) / np.sqrt(factor[j, j])
                    for i in range(j, size):
                        factor[i, j] *= pivot
                for m in range(size):
                    right[m, 0], right[m, 1] = row[2 * m], row[2 * m + 1]
                for i in range(size):
                    for k in range(i):
                        right[i, 0] -= factor[i, k] * right[k, 0]
                        right[i, 1] -= factor[i, k] * right[k, 1]
                    right[i, 0] /= factor[i, i]
                    right[i, 1] /= factor[i, i]
                for i in range(size - 1, -1, -1):
                    for k in range(i + 1, size):
                        right[i, 0] -= factor[k, i] * right[k, 0]
                        right[i, 1] -= factor[k, i] * right[k, 1]
                    right[i, 0] /= factor[i, i]
                    right[i, 1] /= factor[i, i]
                for m in range(size):
                    row[2 * m], row[2 * m + 1] = right[m, 0], right[m, 1]
                counts[iz, shell] += 1
                # The diagonal of the inverse: columns of L⁻¹, squared and summed.
                for m in range(size):
                    total = np.float32(0)
                    for i in range(m, size):
                        value = np.float32(1) if i == m else np.float32(0)
                        for k in range(m, i):
                            value -= factor[i, k] * column[k]
                        column[i] = value / factor[i, i]
                        total += column[i] * column[i]
                    variance[iz, shell, m] += total
