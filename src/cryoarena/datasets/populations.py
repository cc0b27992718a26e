"""Populations other than those of a recipe."""

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError

_FORMS = "geometric:RATIO, dirichlet:ALPHA, or one share per conformation, separated by commas"


def populations(text: str, conformations: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the shares (K,) of K conformations; they sum to 1.

    Args:
        text: `geometric:RATIO`, each conformation RATIO times as many as the one before; `dirichlet:ALPHA`, drawn from
            a symmetric Dirichlet distribution; or K numbers separated by commas.
        conformations: K.
        rng: of the draw.

    Raises:
        UserError: when the text is none of these or there are not K numbers.
    """
    form, _, number = text.partition(":")
    try:
        if form == "geometric":
            # In logarithms, so that many conformations do not overflow.
            exponent = np.log(_positive(number)) * np.arange(conformations)
            shares = np.exp(exponent - exponent.max())
        elif form == "dirichlet":
            shares = rng.dirichlet(np.full(conformations, _positive(number)))
        else:
            shares = np.array([float(word) for word in text.split(",")])
    except ValueError as error:
        raise UserError(f"--realism populations takes {_FORMS}; not {text!r}") from error
    if len(shares) != conformations:
        raise UserError(f"--realism populations has {len(shares)} shares but there are {conformations} conformations")
    if not np.isfinite(shares).all() or shares.min() < 0 or shares.sum() <= 0:
        raise UserError(f"--realism populations has a share that is negative, or none above 0: {text!r}")
    return np.asarray(shares / shares.sum())


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < np.inf:
        raise ValueError(text)
    return value
