"""Check the rows that strangers hand in before anything is computed from them."""

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError


def finite_rows(name: str, values: NDArray[np.floating], n: int) -> NDArray[np.float64]:
    """Return `values` as float64 (n, d).

    Args:
        name: of the values, for the sentence.
        values: (n,) or (n, …), one row per particle.
        n: number of particles of the truth.

    Raises:
        UserError: when the number of rows is another, or a row holds NaN or infinity.
    """
    if len(values) != n:
        raise UserError(f"the {name} has {len(values)} rows but the truth has {n}; match them by particle id")
    rows = np.asarray(values, np.float64).reshape(n, -1)
    bad = np.flatnonzero(~np.isfinite(rows).all(1))
    if bad.size:
        raise UserError(
            f"{bad.size} of {n} rows of the {name} hold NaN or infinity, the first is row {bad[0]}; "
            "the method diverged, run it again"
        )
    return rows
