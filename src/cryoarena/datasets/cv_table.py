"""Read the collective variables of all frames from a table."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryoarena.datasets.base import CollectiveVariable
from cryoarena.errors import UserError

_HEADING = re.compile(r"\s*(\w+)\s*(?:\[\s*([^\]\s]*)\s*(?:mod\s+([\d.]+)\s*)?\])?\s*")


def read_cv_table(path: Path, frames: int) -> dict[CollectiveVariable, NDArray[np.float64]]:
    """Return the variables of a table and the values (F,) of each.

    Args:
        path: .csv whose headings are `name`, `name [unit]` or, for an angle, `name [deg mod 360]`; or .npy (F,) or
            (F, c), whose columns are called cv1, cv2 …
        frames: F.

    Raises:
        UserError: when it cannot be read, has another number of rows, or a value is not a number.
    """
    try:
        table = _read_npy(path) if path.suffix == ".npy" else pd.read_csv(path, dtype=np.float64)
    except (ValueError, OSError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is no table of numbers (.csv with headings, or .npy): {error}") from error
    if len(table) != frames:
        raise UserError(f"{path} has {len(table)} rows but the simulation has {frames} frames; one row per frame")
    variables = {}
    for heading in table.columns:
        match = _HEADING.fullmatch(str(heading))
        if match is None:
            raise UserError(f"{path}: heading {heading!r} is not `name`, `name [unit]` or `name [deg mod 360]`")
        values = table[heading].to_numpy(np.float64)
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            raise UserError(f"{path}: {heading} is not a number in row {wrong[0] + 1} (frame {wrong[0]})")
        name, unit, period = match.groups()
        variable = CollectiveVariable(name, unit or "", float(period) if period else None, f"from {path.name}")
        variables[variable] = values
    return variables


def _read_npy(path: Path) -> pd.DataFrame:
    values = np.load(path, allow_pickle=False).astype(np.float64)
    columns = values.reshape(len(values), -1)
    return pd.DataFrame(columns, columns=[f"cv{number + 1}" for number in range(columns.shape[1])])
