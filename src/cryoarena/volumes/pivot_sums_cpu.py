"""Sums over pairs of Fourier coefficients of the same image, compiled: the inner loops of covariance columns."""

from typing import Any

import numba
import numpy as np


@numba.njit(inline="always", fastmath=True)
def _corner(plane: Any, rotation: Any, p: int, reach: int, side: int) -> Any:
    """Return the lowest corner voxel of an image point on the half grid, its weights, and -1 where it was inverted."""
    x = plane[p, 0] * rotation[0, 0] + plane[p, 1] * rotation[1, 0]
    y = plane[p, 0] * rotation[0, 1] + plane[p, 1] * rotation[1, 1]
    z = plane[p, 0] * rotation[0, 2] + plane[p, 1] * rotation[1, 2]
    sign = np.float32(1)
    if x < 0:
        x, y, z, sign = -x, -y, -z, np.float32(-1)
    fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
    first = ((int(fz) + reach) * side + int(fy) + reach) * (reach + 1) + int(fx)
    return first, x - fx, y - fy, z - fz, sign


@numba.njit(fastmath=True, nogil=True, cache=True)
def pivot_values(
    pivot_of: Any, reach: int, plane: Any, rotations: Any, data: Any, weight: Any, value: Any, value_weight: Any
) -> None:
    """Add what the points of each image contribute to each pivot voxel.

    Args:
        pivot_of: (V,) 1 + number of the pivot at a voxel of the half grid, negative at its conjugate, 0 elsewhere.
        reach: largest grid coordinate; z and y run from -reach to reach, x from 0.
        plane: (P, 2) image points in grid steps, only those that can reach a pivot.
        rotations: (n, 3, 3).
        data, weight: (n, P, 2) CTF · residual and (n, P) CTF².
        value, value_weight: (n, J, 2) and (n, J), zeros, changed in place.
    """
    side, nx = 2 * reach + 1, reach + 1
    for i in range(len(rotations)):
        for p in range(len(plane)):
            first, wx, wy, wz, sign = _corner(plane, rotations[i], p, reach, side)
            for corner in range(8):
                dz, dy, dx = corner >> 2, (corner >> 1) & 1, corner & 1
                pivot = pivot_of[first + (dz * side + dy) * nx + dx]
                if pivot == 0:
                    continue
                share = (wz if dz else 1 - wz) * (wy if dy else 1 - wy) * (wx if dx else 1 - wx)
                # The conjugate of a pivot on the plane x = 0 lies on that plane too.
                conjugate = np.float32(1) if pivot > 0 else np.float32(-1)
                j = abs(pivot) - 1
                value[i, j, 0] += share * data[i, p, 0]
                value[i, j, 1] += share * sign * conjugate * data[i, p, 1]
                value_weight[i, j] += share * weight[i, p]


@numba.njit(fastmath=True, nogil=True, cache=True)
def add_columns(
    thread: int,
    threads: int,
    pivots: Any,
    reach: int,
    plane: Any,
    rotations: Any,
    data: Any,
    weight: Any,
    value: Any,
    value_weight: Any,
    least_weight: Any,
    into: Any,
) -> None:
    """Add the products of each image's points and its values at the pivots, but of no point with itself.

    Args:
        thread, threads: for `in_threads`.
        pivots: (J, 3) x, y, z of the pivot voxels.
        reach, rotations, data, weight: as in `pivot_values`, with all P points in `plane`.
        value, value_weight: its results.
        least_weight: (J,) images whose weight at a pivot is lower are left out there.
        into: (J, V, 5): the products with the real part of the value (complex), with its imaginary part (complex),
            and the weight; changed in place.
    """
    side, nx = 2 * reach + 1, reach + 1
    for j in range(thread, len(pivots), threads):
        column = into[j]
        px, py, pz = pivots[j, 0], pivots[j, 1], pivots[j, 2]
        for i in range(len(rotations)):
            if value_weight[i, j] <= least_weight[j]:
                continue
            for p in range(len(plane)):
                first, wx, wy, wz, sign = _corner(plane, rotations[i], p, reach, side)
                real, imaginary = data[i, p, 0], sign * data[i, p, 1]
                a, b, w = value[i, j, 0], value[i, j, 1], value_weight[i, j]
                x = first % nx + wx
                y = (first // nx) % side - reach + wy
                z = first // (nx * side) - reach + wz
                share = max(1 - abs(x - px), 0) * max(1 - abs(y - py), 0) * max(1 - abs(z - pz), 0)
                if share > 0:
                    a, b, w = a - share * real, b - share * imaginary, w - share * weight[i, p]
                if px == 0 and (py != 0 or pz != 0):
                    share = max(1 - abs(x), 0) * max(1 - abs(y + py), 0) * max(1 - abs(z + pz), 0)
                    if share > 0:
                        a, b, w = a - share * real, b + share * imaginary, w - share * weight[i, p]
                re_a, im_a, re_b, im_b, both = real * a, imaginary * a, real * b, imaginary * b, weight[i, p] * w
                for dz in range(2):
                    along_z = wz if dz else 1 - wz
                    for dy in range(2):
                        along_zy = along_z * (wy if dy else 1 - wy)
                        row = first + (dz * side + dy) * nx
                        low, high = along_zy * (1 - wx), along_zy * wx
                        column[row, 0] += low * re_a
                        column[row, 1] += low * im_a
                        column[row, 2] += low * re_b
                        column[row, 3] += low * im_b
                        column[row, 4] += low * both
                        column[row + 1, 0] += high * re_a
                        column[row + 1, 1] += high * im_a
                        column[row + 1, 2] += high * re_b
                        column[row + 1, 3] += high * im_b
                        column[row + 1, 4] += high * both
