"""The wells of a free-energy surface: its basins, less those that are only ripples."""

import numpy as np
from numpy.typing import NDArray


def energy_wells(energy_kT: NDArray[np.float64], least_depth_kT: float) -> NDArray[np.int64]:
    """Return the well that every cell of a grid drains into, numbered in the order of their bottoms on the grid.

    The grid is flooded from the lowest cell up. A cell joins the lowest well that it touches, along an axis; where
    wells meet, those that are not `least_depth_kT` deep from there become part of the lowest (0-dimensional
    persistence: Edelsbrunner, Letscher & Zomorodian 2002, Discrete Comput. Geom. 28:511).

    Args:
        energy_kT: (n_1, …, n_c); infinite cells belong to no well.
        least_depth_kT: how far below its lowest pass the bottom of a well is at least.

    Returns:
        Labels 0 … in the shape of the grid; -1 where the energy is infinite.
    """
    padded = np.pad(energy_kT, 1, constant_values=np.inf)
    energy = padded.ravel()
    steps = [stride // padded.itemsize for stride in padded.strides]
    around = np.array([sign * step for step in steps for sign in (-1, 1)])
    # Of every flooded cell one of the same well that was flooded earlier; the bottom of a well points to itself.
    parent = np.full(energy.size, -1)

    def bottom(cell: int) -> int:
        while parent[cell] != cell:
            parent[cell] = parent[parent[cell]]
            cell = int(parent[cell])
        return cell

    order = np.argsort(energy, kind="stable")
    flooded = order[np.isfinite(energy[order])]
    for cell in flooded:
        touched = {bottom(int(other)) for other in cell + around if parent[other] >= 0}
        if not touched:
            parent[cell] = cell
            continue
        lowest = min(touched, key=lambda well: (energy[well], well))
        parent[cell] = lowest
        for well in touched - {lowest}:
            if energy[cell] - energy[well] < least_depth_kT:
                parent[well] = lowest
    labels = np.full(energy.size, -1)
    labels[flooded] = np.unique([bottom(int(cell)) for cell in flooded], return_inverse=True)[1]
    inside = (slice(1, -1),) * energy_kT.ndim
    return np.asarray(labels.reshape(padded.shape)[inside], np.int64)
