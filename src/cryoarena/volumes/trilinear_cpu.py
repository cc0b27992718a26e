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

_MOST_THREADS: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]


def slices(table: Floats, shape: tuple[int, int, int], plane: Floats, rotations: Floats) -> Floats:
    """Return interpolated rows (n, P, 2M), the imaginary parts conjugated where the half-space was left.

    Args:
        table: (V, 2M) complex values of M maps on the grid, real and imaginary parts in turn.
        shape: (z, y, x) of the grid; z and y run from -reach to reach, x from 0 to reach.
        plane: (P, 2) kx, ky of the image points in grid steps.
        rotations: (n, 3, 3) object to image.
    """
    found = np.empty((len(rotations), len(plane), table.shape[1]), np.float32)
    use_threads()
    _slices(table, shape[1], shape[2], plane, rotations, found)
    return found


def insert(
    into: Floats,
    shape: tuple[int, int, int],
    plane: Floats,
    rotations: Floats,
    data: Floats,
    weight: Floats,
    data_by: Floats,
    weight_by: Floats,
) -> None:
    """Add images to an accumulator; the sums do not depend on the number of threads.

    Args:
        into: (V, 2M + W), changed in place.
        shape, plane, rotations: as in `slices`.
        data: (n, P, 2) complex values, real and imaginary parts.
        weight: (n, P).
        data_by: (n, M) factors of the data in each of the M maps.
        weight_by: (n, W) factors of the weight in each of the W channels.
    """
    # One map is what most insertions need: its three sums fit into registers.
    loop = _insert_one if data_by.shape[1] == weight_by.shape[1] == 1 else _insert
    loop(into, shape[1], shape[2], plane, rotations, data, weight, data_by, weight_by, use_threads())


def gram(
    table: Floats,
    shape: tuple[int, int, int],
    plane: Floats,
    shell: NDArray[np.int64],
    rotations: Floats,
    data: Floats,
    ctf: Floats,
) -> Floats:
    """Return inner products (n, S, M + 1, M + 1), summed by shell, of each image and the CTF times M slices.

    Args:
        table, shape, plane, rotations: as in `slices`.
        shell: (P,) from 0 to S - 1.
        data: (n, P, 2) images, real and imaginary parts; index 0 of the products.
        ctf: (n, P).
    """
    size = table.shape[1] // 2 + 1
    found = np.zeros((len(rotations), int(shell.max()) + 1, size, size), np.float32)
    use_threads()
    _gram(table, shape[1], shape[2], plane, shell, rotations, data, ctf, found)
    return found


def likeness(
    table: Floats,
    shape: tuple[int, int, int],
    plane: Floats,
    shell: NDArray[np.int64],
    rotations: Floats,
    data: Floats,
    ctf: Floats,
) -> Floats:
    """Return Re <image, CTF · slice> and |CTF · slice|², summed by shell, of M slices; (n, S, 2, M).

    Args:
        table, shape, plane, shell, rotations, data, ctf: as in `gram`.
    """
    found = np.zeros((len(rotations), int(shell.max()) + 1, 2, table.shape[1] // 2), np.float32)
    use_threads()
    loop = _likeness_one if table.shape[1] == 2 else _likeness
    loop(table, shape[1], shape[2], plane, shell, rotations, data, ctf, found)
    return found


def use_threads() -> int:
    """Let compiled loops run in as many threads as torch does, and return their number."""
    wanted = torch.get_num_threads()
    threads = min(wanted, _MOST_THREADS)
    numba.set_num_threads(threads)
    # The first time starts the threads of numba, which makes torch use as many.
    torch.set_num_threads(wanted)
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


@numba.njit(inline="always", fastmath=True)
def _cell(ny: int, nx: int, x: Any, y: Any, z: Any) -> Any:
    """Return the voxel at the low corner of a position's cell, its plane z, and the weights of the high corners."""
    reach = ny // 2
    fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
    iz = int(fz) + reach
    return (iz * ny + int(fy) + reach) * nx + int(fx), iz, x - fx, y - fy, z - fz


@numba.njit(inline="always", fastmath=True)
def _interpolate(table: Any, ny: int, nx: int, x: Any, y: Any, z: Any, row_of_slice: Any) -> None:
    """Set `row_of_slice` (2M,) to the row of the table at a position."""
    first, _, wx, wy, wz = _cell(ny, nx, x, y, z)
    vx, vy, vz = np.float32(1) - wx, np.float32(1) - wy, np.float32(1) - wz
    w0, w1, w2, w3 = vz * vy, vz * wy, wz * vy, wz * wy
    above = first + ny * nx
    r0, r1, r2, r3 = table[first], table[first + nx], table[above], table[above + nx]
    s0, s1, s2, s3 = table[first + 1], table[first + nx + 1], table[above + 1], table[above + nx + 1]
    # All eight corners in one loop, which the compiler turns into vector instructions; loops over corners it does not.
    for c in range(table.shape[1]):
        low = w0 * r0[c] + w1 * r1[c] + w2 * r2[c] + w3 * r3[c]
        high = w0 * s0[c] + w1 * s1[c] + w2 * s2[c] + w3 * s3[c]
        row_of_slice[c] = vx * low + wx * high


@numba.njit(parallel=True, fastmath=True, nogil=True, cache=True)
def _slices(table: Any, ny: int, nx: int, plane: Any, rotations: Any, found: Any) -> None:
    for i in numba.prange(len(rotations)):
        for p in range(len(plane)):
            x, y, z, sign = _position(plane, rotations[i], p)
            _interpolate(table, ny, nx, x, y, z, found[i, p])
            if sign < 0:
                for c in range(1, table.shape[1], 2):
                    found[i, p, c] = -found[i, p, c]


@numba.njit(parallel=True, fastmath=True, nogil=True, cache=True)
def _gram(
    table: Any, ny: int, nx: int, plane: Any, shell: Any, rotations: Any, data: Any, ctf: Any, found: Any
) -> None:
    columns = table.shape[1]
    size = columns // 2 + 1
    for i in numba.prange(len(rotations)):
        interpolated = np.empty(columns, np.float32)
        real, imaginary = np.empty(size, np.float32), np.empty(size, np.float32)
        for p in range(len(plane)):
            x, y, z, sign = _position(plane, rotations[i], p)
            _interpolate(table, ny, nx, x, y, z, interpolated)
            real[0], imaginary[0] = data[i, p, 0], data[i, p, 1]
            for m in range(1, size):
                real[m] = ctf[i, p] * interpolated[2 * m - 2]
                imaginary[m] = sign * ctf[i, p] * interpolated[2 * m - 1]
            products = found[i, shell[p]]
            for a in range(size):
                for b in range(a, size):
                    products[a, b] += real[a] * real[b] + imaginary[a] * imaginary[b]
        for s in range(found.shape[1]):
            for a in range(size):
                for b in range(a):
                    found[i, s, a, b] = found[i, s, b, a]


@numba.njit(parallel=True, fastmath=True, nogil=True, cache=True)
def _likeness(
    table: Any, ny: int, nx: int, plane: Any, shell: Any, rotations: Any, data: Any, ctf: Any, found: Any
) -> None:
    columns = table.shape[1]
    for i in numba.prange(len(rotations)):
        interpolated = np.empty(columns, np.float32)
        for p in range(len(plane)):
            x, y, z, sign = _position(plane, rotations[i], p)
            _interpolate(table, ny, nx, x, y, z, interpolated)
            real, imaginary = ctf[i, p] * data[i, p, 0], sign * ctf[i, p] * data[i, p, 1]
            power = ctf[i, p] * ctf[i, p]
            found_here = found[i, shell[p]]
            for m in range(columns // 2):
                re, im = interpolated[2 * m], interpolated[2 * m + 1]
                found_here[0, m] += real * re + imaginary * im
                found_here[1, m] += power * (re * re + im * im)


@numba.njit(parallel=True, fastmath=True, nogil=True, cache=True)
def _likeness_one(
    table: Any, ny: int, nx: int, plane: Any, shell: Any, rotations: Any, data: Any, ctf: Any, found: Any
) -> None:
    for i in numba.prange(len(rotations)):
        for p in range(len(plane)):
            x, y, z, sign = _position(plane, rotations[i], p)
            first, _, wx, wy, wz = _cell(ny, nx, x, y, z)
            re = im = np.float32(0)
            for dz in range(2):
                along_z = wz if dz else np.float32(1) - wz
                for dy in range(2):
                    along_zy = along_z * (wy if dy else np.float32(1) - wy)
                    row = first + (dz * ny + dy) * nx
                    low, high = along_zy * (np.float32(1) - wx), along_zy * wx
                    re += low * table[row, 0] + high * table[row + 1, 0]
                    im += low * table[row, 1] + high * table[row + 1, 1]
            found[i, shell[p], 0, 0] += ctf[i, p] * (re * data[i, p, 0] + sign * im * data[i, p, 1])
            found[i, shell[p], 1, 0] += ctf[i, p] * ctf[i, p] * (re * re + im * im)


@numba.njit(parallel=True, fastmath=True, nogil=True, cache=True)
def _insert(
    into: Any,
    ny: int,
    nx: int,
    plane: Any,
    rotations: Any,
    data: Any,
    weight: Any,
    data_by: Any,
    weight_by: Any,
    threads: int,
) -> None:
    maps, weights = data_by.shape[1], weight_by.shape[1]
    columns = 2 * maps + weights
    # Every thread owns the planes z = thread, thread + threads, …: no two write to the same voxel.
    for thread in numba.prange(threads):
        added = np.empty(columns, np.float32)
        for i in range(len(rotations)):
            for p in range(len(plane)):
                x, y, z, sign = _position(plane, rotations[i], p)
                first, iz, wx, wy, wz = _cell(ny, nx, x, y, z)
                real, imaginary = data[i, p, 0], sign * data[i, p, 1]
                for m in range(maps):
                    added[2 * m] = real * data_by[i, m]
                    added[2 * m + 1] = imaginary * data_by[i, m]
                for w in range(weights):
                    added[2 * maps + w] = weight[i, p] * weight_by[i, w]
                for dz in range(2):
                    if threads > 1 and (iz + dz) % threads != thread:
                        continue
                    along_z = wz if dz else np.float32(1) - wz
                    for dy in range(2):
                        along_zy = along_z * (wy if dy else np.float32(1) - wy)
                        row = first + (dz * ny + dy) * nx
                        low, high = along_zy * (np.float32(1) - wx), along_zy * wx
                        for c in range(columns):
                            into[row, c] += low * added[c]
                        for c in range(columns):
                            into[row + 1, c] += high * added[c]


@numba.njit(parallel=True, fastmath=True, nogil=True, cache=True)
def _insert_one(
    into: Any,
    ny: int,
    nx: int,
    plane: Any,
    rotations: Any,
    data: Any,
    weight: Any,
    data_by: Any,
    weight_by: Any,
    threads: int,
) -> None:
    for thread in numba.prange(threads):
        for i in range(len(rotations)):
            of_data, of_weight = data_by[i, 0], weight_by[i, 0]
            for p in range(len(plane)):
                x, y, z, sign = _position(plane, rotations[i], p)
                first, iz, wx, wy, wz = _cell(ny, nx, x, y, z)
                real, imaginary = of_data * data[i, p, 0], sign * of_data * data[i, p, 1]
                added = of_weight * weight[i, p]
                for dz in range(2):
                    if threads > 1 and (iz + dz) % threads != thread:
                        continue
                    along_z = wz if dz else np.float32(1) - wz
                    for dy in range(2):
                        along_zy = along_z * (wy if dy else np.float32(1) - wy)
                        row = first + (dz * ny + dy) * nx
                        low, high = along_zy * (np.float32(1) - wx), along_zy * wx
                        into[row, 0] += low * real
                        into[row, 1] += low * imaginary
                        into[row, 2] += low * added
                        into[row + 1, 0] += high * real
                        into[row + 1, 1] += high * imaginary
                        into[row + 1, 2] += high * added
