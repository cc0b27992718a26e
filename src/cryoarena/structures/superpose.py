"""Superpose two sets of matched points."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def superpose(
    mobile_A: NDArray[np.floating[Any]], target_A: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rotation R (3, 3) and translation t (3,) that bring R mobile + t nearest to target.

    Least squares over proper rotations (Kabsch 1976, doi:10.1107/S0567739476001873).

    Args:
        mobile_A: (n, 3) points.
        target_A: (n, 3) the point that each belongs at.
    """
    mobile = np.asarray(mobile_A, np.float64)
    target = np.asarray(target_A, np.float64)
    from_A, to_A = mobile.mean(axis=0), target.mean(axis=0)
    left, _, right = np.linalg.svd((target - to_A).T @ (mobile - from_A))
    # The sign keeps the hand.
    rotation = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
    return rotation, to_A - rotation @ from_A
