"""What is known about the particles of a dataset, as far as it is there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cryoarena.report.collect import DatasetFolder


@dataclass(frozen=True)
class Truth:
    """The two tables of a dataset's `truth/` folder; None where a table is missing."""

    particles: pd.DataFrame | None
    conformations: pd.DataFrame | None
    cvs: tuple[dict[str, Any], ...]

    def describe(self, row: Mapping[str, Any]) -> str:
        """Return the CVs in a row of either table as text, e.g. `ψ = 90.0°`."""
        parts = [
            f"{cv['name']}\u00a0=\u00a0{row[column]:.4g}{spaced_unit(cv)}"
            for cv in self.cvs
            if (column := f"cv_{cv['name']}") in row
        ]
        return ", ".join(parts)


def spaced_unit(cv: dict[str, Any]) -> str:
    """Return the unit of a CV as it follows a number."""
    unit = str(cv.get("unit") or "")
    if unit in ("deg", "degree", "degrees", "°"):
        return "°"
    return f" {unit}" if unit else ""


def read_truth(dataset: DatasetFolder | None, notes: list[str]) -> Truth:
    """Read the truth of a dataset; add a note for each table that is missing or damaged."""
    if dataset is None:
        return Truth(None, None, ())
    tables: dict[str, pd.DataFrame | None] = {}
    for name in ("particles", "conformations"):
        path = dataset.path / "truth" / f"{name}.parquet"
        try:
            tables[name] = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            tables[name] = None
            reason = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
            notes.append(f"truth/{name}.parquet of {dataset.path.name} {reason}.")
    return Truth(tables["particles"], tables["conformations"], tuple(dataset.cvs))
