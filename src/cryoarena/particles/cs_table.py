"""The records of cryoSPARC's .cs files, a table and its passthrough files joined by uid."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError

_MAGIC = b"\x93NUMPY"
_COMPRESSED_MAGIC = b"\x95CSDAT"


@dataclass(frozen=True)
class CsTable:
    """One record per particle.

    Attributes:
        path: of the main file, which fixes the particles and their order.
        fields: field name to (N, …) values.
    """

    path: Path
    fields: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.fields["uid"])

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def values(self, name: str) -> NDArray[Any]:
        """Return a field as it is.

        Raises:
            UserError: when there is none; the sentence tells where cryoSPARC keeps it.
        """
        if name not in self.fields:
            near = ", ".join(sorted(path.name for path in self.path.parent.glob("*passthrough*.cs")))
            raise UserError(
                f"{self.path} has no field {name}; give its passthrough file{f' ({near})' if near else ''} to "
                "`cryoarena convert` by --passthrough"
            )
        return self.fields[name]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a field as finite numbers.

        Raises:
            UserError: when there is none, or a value is not finite (row named).
        """
        values = self.values(name).astype(np.float64)
        good = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if not good.all():
            row = int(np.argmin(good)) + 1
            raise UserError(f"row {row} of {self.path} has no valid value in field {name}; remove the row")
        return values

    def the_one(self, name: str) -> float:
        """Return the number that all particles share.

        Raises:
            UserError: when they differ.
        """
        distinct = np.unique(self.numbers(name))
        if len(distinct) > 1:
            listed = ", ".join(f"{value:g}" for value in distinct)
            raise UserError(f"{self.path} mixes values of {name}: {listed}; split it")
        return float(distinct[0])


def read_cs_table(path: Path, passthrough: Sequence[Path] = ()) -> CsTable:
    """Read a .cs file and add the fields that only its passthrough files have, joined by uid, whatever their order.

    Raises:
        UserError: when a file is missing, truncated, compressed or no table, uids are repeated, or a passthrough file
            lacks a particle.
    """
    main = _load(path)
    fields = {name: main[name] for name in main.dtype.names or ()}
    for other_path in passthrough:
        other = _load(other_path)
        rows = _rows_of(fields["uid"], path, other["uid"], other_path)
        fields |= {name: other[name][rows] for name in other.dtype.names or () if name not in fields}
    return CsTable(path, fields)


def _rows_of(uid: NDArray[Any], path: Path, other_uid: NDArray[Any], other_path: Path) -> NDArray[np.int64]:
    """Return the row in the other table of every particle."""
    order = np.argsort(other_uid)
    place = order[np.minimum(np.searchsorted(other_uid, uid, sorter=order), len(order) - 1)]
    if (wrong := other_uid[place] != uid).any():
        row = int(wrong.argmax())
        raise UserError(
            f"{other_path} lacks {int(wrong.sum())} of the {len(uid)} particles of {path}, first uid {uid[row]} of row "
            f"{row + 1}; give the passthrough file of the same job and output"
        )
    return place


def cs_fields(path: Path) -> tuple[str, ...]:
    """Return the names of the fields of a .cs file, whose records are not read.

    Raises:
        UserError: when it is missing, truncated, compressed or no table.
    """
    return _records(path, mapped=True).dtype.names or ()


def _load(path: Path) -> NDArray[Any]:
    records = _records(path)
    if len(records) == 0:
        raise UserError(f"{path} has no particles")
    if "uid" not in (records.dtype.names or ()):
        raise UserError(f"{path} has no field uid, by which cryoSPARC tells particles; export it again")
    distinct, first = np.unique(records["uid"], return_index=True)
    if len(distinct) < len(records):
        again = int(np.setdiff1d(np.arange(len(records)), first)[0])
        raise UserError(f"row {again + 1} of {path} repeats the uid {records['uid'][again]}; uids must be unique")
    return np.asarray(records)


def _records(path: Path, mapped: bool = False) -> NDArray[Any]:
    if not path.is_file():
        raise UserError(f"{path} does not exist")
    with path.open("rb") as stream:
        magic = stream.read(len(_MAGIC))
    if magic == _COMPRESSED_MAGIC:
        raise UserError(
            f"{path} is a compressed .cs file; rewrite it with cryosparc-tools: "
            f"Dataset.load({path.name!r}).save({path.stem + '_numpy.cs'!r})"
        )
    if magic != _MAGIC:
        raise UserError(f"{path} is not a .cs file of cryoSPARC")
    try:
        records = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{path} is truncated or damaged: {error}; copy it again") from error
    if records.ndim != 1 or records.dtype.names is None:
        raise UserError(f"{path} is a plain array, not a table of cryoSPARC")
    return np.asarray(records)
