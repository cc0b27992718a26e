"""The STAR tables that RELION keeps, through the `starfile` package."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pandas as pd
import starfile
from numpy.typing import NDArray

from cryoarena.errors import UserError

# Text of so many rows is held at a time when writing.
_CHUNK_ROWS = 100_000


class Column(NamedTuple):
    """A column to write: its name without underscore and (N,) values (array or list)."""

    name: str
    values: NDArray[Any] | Sequence[str]


@dataclass(frozen=True)
class Table:
    """The wanted columns of one table.

    Attributes:
        rows: number of rows N.
        text: column name to N words.
        numbers: column name to (N,) float64; NaN where there is no number.
    """

    rows: int = 0
    text: dict[str, list[str]] = field(default_factory=dict)
    numbers: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.rows

    def __contains__(self, name: str) -> bool:
        return name in self.text or name in self.numbers


def write_table(stream: IO[str], block: str, columns: Sequence[Column]) -> None:
    """Write columns of one length as the loop of a block, with nine significant digits."""
    for start in range(0, len(columns[0].values), _CHUNK_ROWS):
        chunk = pd.DataFrame({column.name: column.values[start : start + _CHUNK_ROWS] for column in columns})
        lines = starfile.to_string({block: chunk}, float_format="%.9g", na_rep="nan").splitlines(keepends=True)
        # The first line is a time stamp, which would make equal tables differ; only one chunk needs the header.
        header_end = max(number for number, line in enumerate(lines) if line.startswith("_")) + 1
        stream.writelines(lines[1 if start == 0 else header_end :])


def read_tables(path: Path, wanted_numbers: Container[str], wanted_text: Container[str]) -> dict[str, Table]:
    """Read the loops of a STAR file by block name, each with those of its columns that are wanted.

    Raises:
        UserError: when the file is missing, is not text or is not a STAR file.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist")
    try:
        blocks = starfile.read(path, always_dict=True, parse_as_string=list(wanted_text))  # type: ignore[call-overload]
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not a valid STAR file: {str(error).strip()}") from error
    return {name: _wanted(path, name, block, wanted_numbers, wanted_text) for name, block in blocks.items()}


def _wanted(path: Path, name: str, block: Any, wanted_numbers: Container[str], wanted_text: Container[str]) -> Table:
    # A block of single values comes as a dictionary.
    frame = block if isinstance(block, pd.DataFrame) else pd.DataFrame({key: [item] for key, item in block.items()})
    if not isinstance(frame.index, pd.RangeIndex):
        raise UserError(f"a row of table data_{name} in {path} has more values than the table has columns")
    # A row that lacks a value has its values one column too far left, and none in the last.
    short = frame.iloc[:, -1].isna().to_numpy()
    if short.any():
        row = int(short.argmax()) + 1
        raise UserError(f"row {row} of table data_{name} in {path} has fewer values than the table has columns")
    columns = [str(column) for column in frame]
    return Table(
        len(frame),
        {column: frame[column].astype(str).tolist() for column in columns if column in wanted_text},
        {
            column: pd.to_numeric(frame[column], errors="coerce").to_numpy(np.float64)
            for column in columns
            if column in wanted_numbers
        },
    )
