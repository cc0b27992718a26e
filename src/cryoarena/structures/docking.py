"""Bring one body to another until they interlock."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

_REACHED_A = 0.01


def dock(
    body_A: NDArray[np.float64],
    turns: NDArray[np.float64],
    target_A: NDArray[np.float64],
    direction: NDArray[np.float64],
    contact_A: float,
    share_in_the_way: float,
) -> tuple[float, NDArray[np.bool_]]:
    """Return where a body comes to lie when it is moved towards a target, and which of its atoms are free there.

    The body starts beyond the target and advances, every time by what all but a share of its atoms are free to, until
    that share comes nearer than `contact_A` to the target in one orientation or other. Surfaces are rough: without
    this share a single loop would keep the bodies apart. Without these atoms the body fits, in every orientation.

    Args:
        body_A: (n, 3) atoms around the origin.
        turns: (r, 3, 3) orientations it must be able to take.
        target_A: (m, 3) atoms that stand still.
        direction: (3,) unit vector; the body is at offset · direction.
        contact_A: distance of atoms that touch.
        share_in_the_way: of the body's atoms; 0 to keep them all.

    Returns:
        The offset (Å) and the mask (n,) of the atoms that are free.
    """
    tree = cKDTree(target_A)
    turned = np.stack([body_A @ turn.T for turn in turns])
    # At least so much is every atom free to advance; known better only for those that may be near.
    free_A = turned @ direction - (target_A @ direction).max() - contact_A
    offset = 0.0
    while True:
        advance = float(np.quantile(free_A.min(axis=0), share_in_the_way, method="lower"))
        offset -= advance
        free_A -= advance
        near = free_A <= _REACHED_A
        free_A[near] = np.asarray(tree.query(turned[near] + offset * direction)[0]) - contact_A
        if np.quantile(free_A.min(axis=0), share_in_the_way, method="lower") <= _REACHED_A:
            return offset, free_A.min(axis=0) > 0
