"""Numbers as their author wrote them: 2.7 rather than 2.70000005, which is what single precision makes of it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def shortest_decimals(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return float32 values as the shortest decimals that round to them; others as they are, in double precision.

    Meant for settings of a microscope, of which there are few distinct ones.
    """
    if values.dtype != np.float32:
        return values.astype(np.float64)
    distinct, inverse = np.unique(values, return_inverse=True)
    decimals = np.array([float(str(value)) for value in distinct], np.float64)
    return np.asarray(decimals[inverse].reshape(values.shape))
