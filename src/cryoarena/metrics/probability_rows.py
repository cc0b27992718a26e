"""Check class probabilities before anything is computed from them."""

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.metrics.finite_rows import finite_rows

# Programs keep probabilities in half or single precision, or print a few digits.
_TOLERANCE = 1e-2


def probability_rows(posterior: NDArray[np.floating], n: int) -> NDArray[np.float64]:
    """Return a posterior as float64 (n, K) with rows of sum 1.

    Args:
        posterior: (n, K) class probabilities, one row per particle.
        n: number of particles of the truth.

    Raises:
        UserError: when the number of rows is another, or a row holds NaN, is negative or does not sum to 1.
    """
    rows = finite_rows("posterior", posterior, n)
    total = rows.sum(axis=1)
    negative = np.flatnonzero((rows < 0).any(axis=1))
    if negative.size:
        raise UserError(f"row {negative[0]} of the posterior has a negative probability; write probabilities")
    wrong = np.flatnonzero(np.abs(total - 1) > _TOLERANCE)
    if wrong.size:
        raise UserError(f"row {wrong[0]} of the posterior sums to {total[wrong[0]]:.3g}, not to 1; write probabilities")
    return np.asarray(rows / total[:, None])
