"""Earth mover's distance between two maps in real space, sliced."""

import numpy as np
from numpy.typing import NDArray

_DIRECTIONS = 64
_LARGEST_BOX_PX = 64


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
    position = np.stack(occupied[::-1], axis=1).astype(np.float64)
    total = sum(_distance_on_line(position @ direction, mass) for direction in _directions(_DIRECTIONS))
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


def _distance_on_line(position: NDArray[np.float64], mass: NDArray[np.float64]) -> float:
    """Return ∫|F| of masses that sum to 0, each shared by the two nearest points of a grid of unit step."""
    if not len(mass):
        return 0.0
    position = position - position.min()
    below = position.astype(np.int64)
    above = position - below
    length = int(below.max()) + 2
    on_grid = np.bincount(below, mass * (1 - above), length) + np.bincount(below + 1, mass * above, length)
    return float(np.abs(on_grid.cumsum()).sum())


def _directions(n: int) -> NDArray[np.float64]:
    """Return n directions (n, 3) spread evenly over a hemisphere by a Fibonacci spiral."""
    number = np.arange(n) + 0.5
    z = number / n
    turn = np.pi * (1 + np.sqrt(5)) * number
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), z], axis=1)
