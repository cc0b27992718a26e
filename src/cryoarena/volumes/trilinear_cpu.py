"""Trilinear slicing and insertion on the CPU, compiled: the inner loops of every reconstruction.

Both are bound by memory, not by arithmetic. Compiled loops touch each voxel's row once and keep nothing between;
tensor operations write and read eight times as much.
"""

from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_MOST_THREADS = numba.get_num_threads()


def slices(table: Floats, shape: tuple[int, int, int], plane: Floats, rotations: Floats) -> Floats:
    """Return interpolated rows (n, P, 2M), the imaginary parts conjugated where the half-space was left.

    Args:
        table: (V, 2M) complex values of M maps on the grid, real and imaginary parts in turn.
        shape: (z, y, x) of the grid; z and y run from -reach to reach, x from 0 to reach.
        plane: (P, 2) kx, ky of the image points in grid steps.
        rotations: (n, 3, 3) object to image.
    """
    found = np.empty((len(rotations), len(plane), table.shape[1]), np.float32)
    _use_threads()
    _slices(table, shape[1], shape[2], plane, rotations, found)
    return found


def insert(
    into: Floats, shape: tuple[int, int, int], plane: Floats, rotations: Floats, data: Floats, weight: Floats
) -> None:
    """Add images to an accumulator; the sums do not depend on the number of threads.

    Args:
        into: (V, 2M + W), changed in place.
        shape, plane, rotations: as in `slices`.
        data: (n, P, 2M) complex values of M maps, real and imaginary parts in turn.
        weight: (n, P, W).
    """
    _insert(into, shape[1], shape[2], plane, rotations, data, weight, _use_threads())


def _use_threads() -> int:
    threads = min(torch.get_num_threads(), _MOST_THREADS)
    numba.set_num_threads(threads)
    return threads


@numba.njit(inline="always", fastmath=True)
def _position(plane: Any, rotation: Any, p: int) -> Any:
    """Return the grid position of an image point in the half-space x >= 0, and -1 where it had to be inverted.

    F2(k) = F3(kx R[0] + ky R[1]): the rows of R are the image axes in the object's frame; F3(-k) is the conjugate.
    """
    x = plane[p, 0] * rotation[0, 0] + plane[p, 1] * rotation[1, 0]
    y = plane[p, 0] * rotation[0, 1] + plane[p, 1] * rotation[1, 1]
    z = plane[p, 0] * rotation[0, 2] + plane[p, 1] * rotation[1, 2]
    if x < 0:
        return -x, -y, -z, np.float32(-1)
    return x, y, z, np.float32(1)


@numba.njit(parallel=True, fastmath=True, nogil=True, cache=True)
def _slices(table: Any, ny: int, nx: int, plane: Any, rotations: Any, found: Any) -> None:
    reach = ny // 2
    for i in numba.prange(len(rotations)):
        for p in range(len(plane)):
            x, y, z, sign = _position(plane, rotations[i], p)
            fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
            wx, wy, wz = x - fx, y - fy, z - fz
            first = ((int(fz) + reach) * ny + int(fy) + reach) * nx + int(fx)
            found[i, p, :] = 0
            for dz in range(2):
                along_z = wz if dz else np.float32(1) - wz
                for dy in range(2):
                    along_zy = along_z * (wy if dy else np.float32(1) - wy)
                    row = first + (dz * ny + dy) * nx
                    low, high = along_zy * (np.float32(1) - wx), along_zy * wx
                    for c in range(table.shape[1]):
                        found[i, p, c] += low * table[row, c] + high * table[row + 1, c]
            if sign < 0:
                for c in range(1, table.shape[1], 2):
                    found[i, p, c] = -found[i, p, c]


@numba.njit(parallel=True, fastmath=True, nogil=True, cache=True)
def _insert(into: Any, ny: int, nx: int, plane: Any, rotations: Any, data: Any, weight: Any, threads: int) -> None:
    reach = ny // 2
    columns = data.shape[2]
    # Every thread owns the planes z = thread, thread + threads, …: no two write to the same voxel.
    for thread in numba.prange(threads):
        for i in range(len(rotations)):
            for p in range(len(plane)):
                x, y, z, sign = _position(plane, rotations[i], p)
                fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
                wx, wy, wz = x - fx, y - fy, z - fz
                iz = int(fz) + reach
                first = (iz * ny + int(fy) + reach) * nx + int(fx)
                for dz in range(2):
                    if (iz + dz) % threads != thread:
                        continue
                    along_z = wz if dz else np.float32(1) - wz
                    for dy in range(2):
                        along_zy = along_z * (wy if dy else np.float32(1) - wy)
                        row = first + (dz * ny + dy) * nx
                        low, high = along_zy * (np.float32(1) - wx), along_zy * wx
                        for c in range(0, columns, 2):
                            real, imaginary = data[i, p, c], sign * data[i, p, c + 1]
                            into[row, c] += low * real
                            into[row, c + 1] += low * imaginary
                            into[row + 1, c] += high * real
                            into[row + 1, c + 1] += high * imaginary
                        for c in range(weight.shape[2]):
                            into[row, columns + c] += low * weight[i, p, c]
                            into[row + 1, columns + c] += high * weight[i, p, c]
