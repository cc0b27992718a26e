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


def with_true_map(particles: pd.DataFrame, conformations: pd.DataFrame | None) -> pd.DataFrame:
    """Return the particles, without junk, of conformations whose map is kept; of all where there is no such map."""
    if "junk" in particles:
        particles = particles[particles["junk"] == ""]
    if conformations is None or "volume" not in conformations:
        return particles
    mapped = conformations.loc[conformations["volume"] != "", "conformation"]
    shown = particles[particles["conformation"].isin(mapped)]
    return shown if len(shown) else particles


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
