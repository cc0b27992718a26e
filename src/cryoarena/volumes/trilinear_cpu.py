"""Trilinear slicing and insertion on the CPU, compiled: the inner loops of every reconstruction.

Both are bound by memory, not by arithmetic. Compiled loops touch each voxel's row once and keep nothing between;
tensor operations write and read eight times as much.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from cryoarena.volumes.in_threads import in_threads
from cryoarena.volumes.vector_add import add1, add2, add4, add8

Floats = NDArray[np.float32]


def slices(table: Floats, shape: tuple[int, int, int], plane: Floats, rotations: Floats) -> Floats:
    """Return interpolated rows (n, P, 2M), the imaginary parts conjugated where the half-space was left.

    Args:
        table: (V, 2M) complex values of M maps on the grid, real and imaginary parts in turn.
        shape: (z, y, x) of the grid; z and y run from -reach to reach, x from 0 to reach.
        plane: (2, P) kx and ky of the image points in grid steps.
        rotations: (n, 3, 3) object to image.
    """
    found = np.empty((len(rotations), plane.shape[1], table.shape[1]), np.float32)
    loop = _slices_one if table.shape[1] == 2 else _slices
    in_threads(loop, table, shape[1], shape[2], plane, rotations, found)
    return found


def insert(
    into: Floats,
    shape: tuple[int, int, int],
    plane: Floats,
    rotations: Floats,
    data: Floats,
    ctf: Floats,
    data_by: Floats,
    weight_by: Floats,
    rows: NDArray[np.int64],
) -> None:
    """Add CTF·data and CTF² of r of n images to an accumulator; the sums do not depend on the number of threads.

    Args:
        into: (V, 2M + W), changed in place.
        shape, plane, rotations: as in `slices`.
        data: (n, P, 2) complex values, real and imaginary parts.
        ctf: (n, P).
        data_by: (r, M) factors of CTF·data in each of the M maps.
        weight_by: (r, W) factors of CTF² in each of the W channels.
        rows: (r,) of the images.
    """
    # One map is what most insertions need: its three sums fit into registers.
    loop = _insert_one if data_by.shape[1] == weight_by.shape[1] == 1 else _insert
    in_threads(loop, into, shape[1], shape[2], plane, rotations, data, ctf, data_by, weight_by, rows)


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
        shell: (P,) from 0 to S - 1, in increasing order.
        data: (n, P, 2) images, real and imaginary parts; index 0 of the products.
        ctf: (n, P).
    """
    size = table.shape[1] // 2 + 1
    ends = np.searchsorted(shell, np.arange(shell[-1] + 1), side="right")
    found = np.empty((len(rotations), len(ends), size, size), np.float32)
    in_threads(_gram, table, shape[1], shape[2], plane, ends, rotations, data, ctf, found)
    return found


def likeness(
    table: Floats,
    shape: tuple[int, int, int],
    plane: Floats,
    shell: NDArray[np.int64],
    rotations: Floats,
    data: Floats,
    ctf: Floats,
    rows: NDArray[np.int64],
    begin: int,
) -> Floats:
    """Return Re <image, CTF · slice> and |CTF · slice|², summed by shell, of M slices; (r, S, 2, M).

    Args:
        table, shape, plane, shell, rotations: as in `gram`.
        data, ctf: as in `gram`, but that the columns from `begin` on are the points.
        rows: (r,) of the n images.
        begin: column.
    """
    found = np.zeros((len(rows), int(shell.max()) + 1, 2, table.shape[1] // 2), np.float32)
    loop = _likeness_one if table.shape[1] == 2 else _likeness
    in_threads(loop, table, shape[1], shape[2], plane, shell, rotations, data, ctf, rows, begin, found)
    return found


@numba.njit(inline="always")
def _places(points: int) -> Any:
    """Return room for what `_locate` sets for so many points: cells, weights of their high corners, signs."""
    return np.empty(points, np.int64), np.empty((3, points), np.float32), np.empty(points, np.float32)


@numba.njit(inline="always", fastmath=True)
def _locate(ny: int, nx: int, plane: Any, rotation: Any, cell: Any, high: Any, sign: Any) -> None:
    """Set where the points of an image are, in a loop that the compiler turns into vector instructions.

    F2(k) = F3(kx R[0] + ky R[1]): the rows of R are the image axes in the object's frame; F3(-k) is the conjugate.

    Args:
        ny, nx: of the grid.
        plane: (2, P) kx and ky in grid steps.
        rotation: (3, 3).
        cell: (P,) is set to the voxel at the low corner of the point's cell.
        high: (3, P) to the weights of the high corners along x, y and z.
        sign: (P,) to -1 where the point had to be inverted into the half-space x >= 0, else 1.
    """
    reach = ny // 2
    xx, xy, xz = rotation[0, 0], rotation[0, 1], rotation[0, 2]
    yx, yy, yz = rotation[1, 0], rotation[1, 1], rotation[1, 2]
    for p in range(plane.shape[1]):
        kx, ky = plane[0, p], plane[1, p]
        x, y, z = kx * xx + ky * yx, kx * xy + ky * yy, kx * xz + ky * yz
        side = np.float32(-1) if x < 0 else np.float32(1)
        x, y, z = side * x, side * y, side * z
        fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
        high[0, p], high[1, p], high[2, p] = x - fx, y - fy, z - fz
        cell[p] = ((int(fz) + reach) * ny + int(fy) + reach) * nx + int(fx)
        sign[p] = side


@numba.njit(inline="always", fastmath=True)
def _interpolate(table: Any, ny: int, nx: int, first: int, wx: Any, wy: Any, wz: Any, row_of_slice: Any) -> None:
    """Set `row_of_slice` (2M,) to the row of the table at a point of the cell of voxel `first`."""
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


@numba.njit(inline="always", fastmath=True)
def _interpolate_one(table: Any, ny: int, nx: int, first: int, wx: Any, wy: Any, wz: Any) -> Any:
    """Return the real and imaginary part of one map, whose table is flat (2V,)."""
    vx, vy, vz = np.float32(1) - wx, np.float32(1) - wy, np.float32(1) - wz
    w0, w1, w2, w3 = vz * vy, vz * wy, wz * vy, wz * wy
    a, b = 2 * first, 2 * (first + nx)
    c, d = 2 * (first + ny * nx), 2 * (first + ny * nx + nx)
    low = w0 * table[a] + w1 * table[b] + w2 * table[c] + w3 * table[d]
    low_i = w0 * table[a + 1] + w1 * table[b + 1] + w2 * table[c + 1] + w3 * table[d + 1]
    high = w0 * table[a + 2] + w1 * table[b + 2] + w2 * table[c + 2] + w3 * table[d + 2]
    high_i = w0 * table[a + 3] + w1 * table[b + 3] + w2 * table[c + 3] + w3 * table[d + 3]
    return vx * low + wx * high, vx * low_i + wx * high_i


@numba.njit(fastmath=True, nogil=True, cache=True)
def _slices(thread: int, threads: int, table: Any, ny: int, nx: int, plane: Any, rotations: Any, found: Any) -> None:
    cell, high, sign = _places(plane.shape[1])
    for i in range(thread, len(rotations), threads):
        _locate(ny, nx, plane, rotations[i], cell, high, sign)
        for p in range(len(cell)):
            _interpolate(table, ny, nx, cell[p], high[0, p], high[1, p], high[2, p], found[i, p])
            if sign[p] < 0:
                for c in range(1, table.shape[1], 2):
                    found[i, p, c] = -found[i, p, c]


@numba.njit(fastmath=True, nogil=True, cache=True)
def _slices_one(
    thread: int, threads: int, table: Any, ny: int, nx: int, plane: Any, rotations: Any, found: Any
) -> None:
    flat = table.reshape(-1)
    cell, high, sign = _places(plane.shape[1])
    for i in range(thread, len(rotations), threads):
        _locate(ny, nx, plane, rotations[i], cell, high, sign)
        for p in range(len(cell)):
            real, imaginary = _interpolate_one(flat, ny, nx, cell[p], high[0, p], high[1, p], high[2, p])
            found[i, p, 0], found[i, p, 1] = real, sign[p] * imaginary


@numba.njit(fastmath=True, nogil=True, cache=True)
def _gram(
    thread: int,
    threads: int,
    table: Any,
    ny: int,
    nx: int,
    plane: Any,
    ends: Any,
    rotations: Any,
    data: Any,
    ctf: Any,
    found: Any,
) -> None:
    columns = table.shape[1]
    size = columns // 2 + 1
    cell, high, sign = _places(plane.shape[1])
    interpolated = np.empty(columns, np.float32)
    parts = np.empty((size, 2 * len(cell)), np.float32)
    for i in range(thread, len(rotations), threads):
        _locate(ny, nx, plane, rotations[i], cell, high, sign)
        for p in range(len(cell)):
            _interpolate(table, ny, nx, cell[p], high[0, p], high[1, p], high[2, p], interpolated)
            parts[0, 2 * p], parts[0, 2 * p + 1] = data[i, p, 0], data[i, p, 1]
            for m in range(1, size):
                parts[m, 2 * p] = ctf[i, p] * interpolated[2 * m - 2]
                parts[m, 2 * p + 1] = sign[p] * ctf[i, p] * interpolated[2 * m - 1]
        first = 0
        for s in range(len(ends)):
            for a in range(size):
                for b in range(a, size):
                    # Along the points of a shell, which are neighbours, so that the compiler makes vectors of them.
                    product = np.float32(0)
                    for t in range(2 * first, 2 * ends[s]):
                        product += parts[a, t] * parts[b, t]
                    found[i, s, a, b] = found[i, s, b, a] = product
            first = ends[s]


@numba.njit(fastmath=True, nogil=True, cache=True)
def _likeness(
    thread: int,
    threads: int,
    table: Any,
    ny: int,
    nx: int,
    plane: Any,
    shell: Any,
    rotations: Any,
    data: Any,
    ctf: Any,
    rows: Any,
    begin: int,
    found: Any,
) -> None:
    columns = table.shape[1]
    cell, high, sign = _places(plane.shape[1])
    interpolated = np.empty(columns, np.float32)
    for j in range(thread, len(rows), threads):
        i = rows[j]
        _locate(ny, nx, plane, rotations[i], cell, high, sign)
        for p in range(len(cell)):
            q = begin + p
            _interpolate(table, ny, nx, cell[p], high[0, p], high[1, p], high[2, p], interpolated)
            real, imaginary = ctf[i, q] * data[i, q, 0], sign[p] * ctf[i, q] * data[i, q, 1]
            power = ctf[i, q] * ctf[i, q]
            found_here = found[j, shell[p]]
            for m in range(columns // 2):
                re, im = interpolated[2 * m], interpolated[2 * m + 1]
                found_here[0, m] += real * re + imaginary * im
                found_here[1, m] += power * (re * re + im * im)


@numba.njit(fastmath=True, nogil=True, cache=True)
def _likeness_one(
    thread: int,
    threads: int,
    table: Any,
    ny: int,
    nx: int,
    plane: Any,
    shell: Any,
    rotations: Any,
    data: Any,
    ctf: Any,
    rows: Any,
    begin: int,
    found: Any,
) -> None:
    flat = table.reshape(-1)
    cell, high, sign = _places(plane.shape[1])
    for j in range(thread, len(rows), threads):
        i = rows[j]
        _locate(ny, nx, plane, rotations[i], cell, high, sign)
        for p in range(len(cell)):
            q = begin + p
            re, im = _interpolate_one(flat, ny, nx, cell[p], high[0, p], high[1, p], high[2, p])
            found[j, shell[p], 0, 0] += ctf[i, q] * (re * data[i, q, 0] + sign[p] * im * data[i, q, 1])
            found[j, shell[p], 1, 0] += ctf[i, q] * ctf[i, q] * (re * re + im * im)


@numba.njit(fastmath=True, nogil=True, cache=True)
def _insert(
    thread: int,
    threads: int,
    into: Any,
    ny: int,
    nx: int,
    plane: Any,
    rotations: Any,
    data: Any,
    ctf: Any,
    data_by: Any,
    weight_by: Any,
    rows: Any,
) -> None:
    maps, weights = data_by.shape[1], weight_by.shape[1]
    columns = 2 * maps + weights
    flat = into.reshape(-1)
    # Every thread owns the planes z = thread, thread + threads, …: no two write to the same voxel.
    cell, high, sign = _places(plane.shape[1])
    added = np.empty(columns, np.float32)
    for j in range(len(rows)):
        i = rows[j]
        _locate(ny, nx, plane, rotations[i], cell, high, sign)
        for p in range(len(cell)):
            transfer = ctf[i, p]
            real, imaginary = transfer * data[i, p, 0], transfer * sign[p] * data[i, p, 1]
            for m in range(maps):
                added[2 * m] = real * data_by[j, m]
                added[2 * m + 1] = imaginary * data_by[j, m]
            for w in range(weights):
                added[2 * maps + w] = transfer * transfer * weight_by[j, w]
            low = cell[p] * columns
            if threads == 1 or cell[p] // (ny * nx) % threads == thread:
                _add_plane(flat, low, nx, added, high[0, p], high[1, p], np.float32(1) - high[2, p])
            if threads == 1 or (cell[p] // (ny * nx) + 1) % threads == thread:
                _add_plane(flat, low + ny * nx * columns, nx, added, high[0, p], high[1, p], high[2, p])


@numba.njit(inline="always", fastmath=True)
def _add_plane(flat: Any, low: int, nx: int, added: Any, wx: Any, wy: Any, share: Any) -> None:
    """Add a row to the four voxels of a cell in one plane z, of which the first begins at `low`."""
    columns = len(added)
    vx, vy = np.float32(1) - wx, share * (np.float32(1) - wy)
    factors = (vx * vy, wx * vy, vx * share * wy, wx * share * wy)
    high = low + nx * columns
    done = 0
    while done + 8 <= columns:
        add8(flat, (low + done, low + columns + done, high + done, high + columns + done), added, done, factors)
        done += 8
    if columns & 4:
        add4(flat, (low + done, low + columns + done, high + done, high + columns + done), added, done, factors)
        done += 4
    if columns & 2:
        add2(flat, (low + done, low + columns + done, high + done, high + columns + done), added, done, factors)
        done += 2
    if columns & 1:
        add1(flat, (low + done, low + columns + done, high + done, high + columns + done), added, done, factors)


@numba.njit(fastmath=True, nogil=True, cache=True)
def _insert_one(
    thread: int,
    threads: int,
    into: Any,
    ny: int,
    nx: int,
    plane: Any,
    rotations: Any,
    data: Any,
    ctf: Any,
    data_by: Any,
    weight_by: Any,
    rows: Any,
) -> None:
    flat = into.reshape(-1)
    cell, high, sign = _places(plane.shape[1])
    for j in range(len(rows)):
        i = rows[j]
        _locate(ny, nx, plane, rotations[i], cell, high, sign)
        of_data, of_weight = data_by[j, 0], weight_by[j, 0]
        for p in range(len(cell)):
            transfer = ctf[i, p]
            by = of_data * transfer
            real, imaginary = by * data[i, p, 0], by * sign[p] * data[i, p, 1]
            added = of_weight * transfer * transfer
            wx, wy, wz = high[0, p], high[1, p], high[2, p]
            vx = np.float32(1) - wx
            low, low_i, low_w = vx * real, vx * imaginary, vx * added
            top, top_i, top_w = wx * real, wx * imaginary, wx * added
            for dz in range(2):
                if threads > 1 and (cell[p] // (ny * nx) + dz) % threads != thread:
                    continue
                along_z = wz if dz else np.float32(1) - wz
                for dy in range(2):
                    share = along_z * (wy if dy else np.float32(1) - wy)
                    first = 3 * (cell[p] + (dz * ny + dy) * nx)
                    flat[first] += share * low
                    flat[first + 1] += share * low_i
                    flat[first + 2] += share * low_w
                    flat[first + 3] += share * top
                    flat[first + 4] += share * top_i
                    flat[first + 5] += share * top_w
