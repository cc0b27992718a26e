"""Divide inserted data by inserted weights on the CPU, compiled: one pass over the grid in place of a dozen."""

from typing import Any

import numba
import numpy as np


@numba.njit(fastmath=True, nogil=True, cache=True)
def quotient(
    thread: int,
    threads: int,
    sums: Any,
    side: int,
    nx: int,
    factor: Any,
    shells: Any,
    least: Any,
    minus: Any,
    found: Any,
) -> None:
    """Set `found` to (data - weight · minus) / max(weight, least) of sums with a Hermitian x = 0 plane.

    Args:
        thread, threads: for `in_threads`.
        sums: (V, 3) real and imaginary part of the data, and the weight, on a grid of (side, side, nx) voxels.
        side, nx: of the grid, whose origin is in the middle of z and y and at the beginning of x.
        factor: of the data and the weight.
        shells: (V,) number of the shell of a voxel.
        least: (S,) by shell; voxels beyond have the last.
        minus: (V, 2), or (0, 2) for none.
        found: (V, 2).
    """
    last = len(least) - 1
    for z in range(thread, side, threads):
        for y in range(side):
            for x in range(nx):
                v = (z * side + y) * nx + x
                real, imaginary, weight = sums[v, 0], sums[v, 1], sums[v, 2]
                if x == 0:
                    mirrored = ((side - 1 - z) * side + side - 1 - y) * nx
                    real += sums[mirrored, 0]
                    imaginary -= sums[mirrored, 1]
                    weight += sums[mirrored, 2]
                real, imaginary, weight = factor * real, factor * imaginary, factor * weight
                if len(minus):
                    real -= weight * minus[v, 0]
                    imaginary -= weight * minus[v, 1]
                over = np.float32(1) / max(weight, least[min(shells[v], last)])
                found[v, 0], found[v, 1] = over * real, over * imaginary
