"""The coordinates that 3D Variability and 3D Flex give to particles."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.particles.cs_table import CsTable

_VALUE = re.compile(r"components_mode_(\d+)/value")


def has_components(fields: Sequence[str]) -> bool:
    """Tell whether a table with these fields has coordinates."""
    return "components_mode_0/value" in fields


def components(table: CsTable) -> NDArray[np.float32]:
    """Return the coordinates (N, d).

    Raises:
        UserError: when there are none, a mode is missing, or a value is no number.
    """
    modes = sorted(int(match[1]) for name in table.fields if (match := _VALUE.fullmatch(name)))
    if not modes or modes != list(range(len(modes))):
        raise UserError(f"{table.path} lacks a field components_mode_{len(modes)}/value; export it again")
    return np.stack([table.numbers(f"components_mode_{mode}/value") for mode in modes], axis=1).astype(np.float32)
