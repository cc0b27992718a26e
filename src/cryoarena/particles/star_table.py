"""The STAR text format as RELION uses it: named blocks, each a table."""

import math
import shlex
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError

# So many rows are split into words at a time; the tables themselves hold numbers.
_CHUNK_ROWS = 20_000


class Column(NamedTuple):
    """A column to write: its name without underscore, a printf format and (N,) values (array or list)."""

    name: str
    number_format: str
    values: NDArray[Any] | list[str]


def write_table(stream: IO[str], block: str, columns: Sequence[Column]) -> None:
    """Write `columns`, all of one length, as the loop of block `block`."""
    stream.write(f"\ndata_{block}\n\nloop_\n")
    for number, column in enumerate(columns, start=1):
        stream.write(f"_{column.name} #{number}\n")
    row_format = " ".join(column.number_format for column in columns) + "\n"
    for start in range(0, len(columns[0].values), _CHUNK_ROWS):
        pieces = [column.values[start : start + _CHUNK_ROWS] for column in columns]
        lists = [piece if isinstance(piece, list) else piece.tolist() for piece in pieces]
        stream.write("".join([row_format % row for row in zip(*lists, strict=True)]))
    stream.write("\n")


@dataclass(frozen=True)
class Table:
    """The wanted columns of one block: `text` as words, `numbers` as (N,) float64, NaN where a word is no number."""

    rows: int = 0
    text: dict[str, list[str]] = field(default_factory=dict)
    numbers: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.rows

    def __contains__(self, name: object) -> bool:
        return name in self.text or name in self.numbers


def read_tables(path: Path, wanted_numbers: Container[str], wanted_text: Container[str]) -> dict[str, Table]:
    """Read the tables of a STAR file by block name, each with those of its columns that are wanted.

    Raises:
        UserError: when the file is missing, is not text or a row has not one value per column.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist")
    tables: dict[str, Table] = {}
    try:
        with path.open(encoding="utf-8") as stream:
            for block, columns, lines in _blocks(stream):
                tables[block] = _read_rows(path, block, columns, lines, wanted_numbers, wanted_text)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a STAR file: it is not text") from error
    return tables


def _blocks(stream: IO[str]) -> Iterator[tuple[str, list[str], Iterator[str]]]:
    """Yield block name, column names and the rows of every loop; the rows must be used up before going on."""
    block, columns, in_header = "", list[str](), False
    pending: list[str] = []

    def rows() -> Iterator[str]:
        yield from pending
        pending.clear()
        for line in stream:
            # A row may begin with such a word too, but has more values.
            if line.startswith(("data_", "loop_")) and len(line.split()) == 1:
                pending.append(line)
                return
            if _has_values(line):
                yield line

    while line := (pending.pop() if pending else stream.readline()):
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        if word.startswith("data_"):
            block, columns, in_header = word[len("data_") :], [], False
        elif word == "loop_":
            columns, in_header = [], True
        elif in_header and word.startswith("_"):
            columns.append(word[1:])
        elif in_header and columns and _has_values(line):
            in_header = False
            pending.append(line)
            yield block, columns, rows()


def _has_values(line: str) -> bool:
    stripped = line.lstrip()
    return bool(stripped) and not stripped.startswith("#")


def _read_rows(
    path: Path,
    block: str,
    columns: list[str],
    lines: Iterator[str],
    wanted_numbers: Container[str],
    wanted_text: Container[str],
) -> Table:
    text: dict[str, list[str]] = {name: [] for name in columns if name in wanted_text}
    parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in columns if name in wanted_numbers}
    rows = 0
    for start in count(0, _CHUNK_ROWS):
        words = [_words(line) for line in islice(lines, _CHUNK_ROWS)]
        for row, values in enumerate(words, start=start + 1):
            if len(values) != len(columns):
                raise UserError(
                    f"row {row} of table data_{block} in {path} has {len(values)} values but the table has "
                    f"{len(columns)} columns; correct the row"
                )
        for index, name in enumerate(columns):
            if name in text:
                text[name] += [values[index] for values in words]
            elif name in parts:
                parts[name].append(_numbers([values[index] for values in words]))
        rows += len(words)
        if len(words) < _CHUNK_ROWS:
            break
    return Table(rows, text, {name: np.concatenate(part) for name, part in parts.items()})


def _words(line: str) -> list[str]:
    return shlex.split(line) if '"' in line or "'" in line else line.split()


def _numbers(words: list[str]) -> NDArray[np.float64]:
    try:
        return np.array(words, np.float64)
    except ValueError:
        return np.array([_number(word) for word in words])


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan
