"""Earth mover's distance between two maps in real space, sliced."""

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

_DIRECTIONS = 64
_LARGEST_BOX_PX = 64
_LINES_AT_ONCE = 8


def earth_mover_distance(a: NDArray[np.float32], b: NDArray[np.float32], pixel_size_A: float) -> float:
    """Return how far the density of `a` must be carried on average to become `b`, in Å.

    The positive parts of the maps, each with unit sum, are compared by the sliced 1-Wasserstein distance (Rabin et al.
    2012, doi:10.1007/978-3-642-24785-9_37): twice the mean, over 64 directions, of the exact distance ∫|F_a - F_b| of
    the densities projected on a line. It never exceeds the earth mover's distance in three dimensions and equals it
    where what moves does so as one body without turning, or is scaled about a point; the directions are finite, hence
    an error of at most 1.5 %. Between maps of nothing but noise it is about half of it. Maps of more than 64 voxels
    per side are first summed over blocks.

    Args:
        a: (D, D, D), already masked.
        b: (D, D, D), already masked.
        pixel_size_A: of both.

    Raises:
        ValueError: when a map has no positive density, or the boxes differ.
    """
    if a.shape != b.shape:
        raise ValueError(f"maps of one box are expected, not {a.shape} and {b.shape}")
    block = -(-len(a) // _LARGEST_BOX_PX)
    excess = _unit_mass(a, block) - _unit_mass(b, block)
    occupied = np.nonzero(excess)
    mass = excess[occupied]
    position = np.stack(occupied[::-1], axis=1) - len(excess) / 2
    total = _distance_on_lines(position, mass, _directions(_DIRECTIONS))
    # a displacement has on average half of its length along a random direction
    return 2 * total / _DIRECTIONS * block * pixel_size_A


def _unit_mass(volume: NDArray[np.float32], block: int) -> NDArray[np.float64]:
    """Return the positive part, summed over blocks, with unit sum."""
    mass = np.maximum(volume, 0).astype(np.float64)
    if not mass.any():
        raise ValueError("a map without positive density has no earth mover's distance; check its contrast")
    pad = -len(mass) % block
    mass = np.pad(mass, (0, pad))
    side = len(mass) // block
    summed = mass.reshape(side, block, side, block, side, block).sum(axis=(1, 3, 5))
    return np.asarray(summed / summed.sum())


@numba.njit(cache=True, nogil=True)
def _distance_on_lines(position: Any, mass: Any, directions: Any) -> float:
    """Return ∫|F| of masses that sum to 0, each shared by the two nearest points of a line of unit step, over lines.

    Several lines at once: where one point after the other adds to the same place of one line, each waits for the last.
    """
    reach = 0.0
    for i in range(len(mass)):
        reach = max(reach, abs(position[i, 0]), abs(position[i, 1]), abs(position[i, 2]))
    first = math.ceil(2 * reach)
    total = 0.0
    for start in range(0, len(directions), _LINES_AT_ONCE):
        lines = directions[start : start + _LINES_AT_ONCE]
        on_lines = np.zeros((len(lines), 2 * first + 2))
        for i in range(len(mass)):
            x, y, z, here = position[i, 0], position[i, 1], position[i, 2], mass[i]
            for line in range(len(lines)):
                along = x * lines[line, 0] + y * lines[line, 1] + z * lines[line, 2] + first
                below = np.uint32(along)
                share = here * (along - below)
                on_lines[line, below] += here - share
                on_lines[line, below + 1] += share
        for line in range(len(lines)):
            carried = 0.0
            for place in range(on_lines.shape[1]):
                carried += on_lines[line, place]
                total += abs(carried)
    return total


def _directions(n: int) -> NDArray[np.float64]:
    """Return n directions (n, 3) spread evenly over a hemisphere by a Fibonacci spiral."""
    number = np.arange(n) + 0.5
    z = number / n
    turn = np.pi * (1 + np.sqrt(5)) * number
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), z], axis=1)
