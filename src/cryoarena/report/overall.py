"""The leaderboard over all datasets: the mean of the normalised scores of every method."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cryoarena.report.pooling import Pooled, rank_intervals


@dataclass(frozen=True)
class OverallRow:
    """One method: its normalised scores per dataset (None where it has none) and their mean.

    `rank` is None for a method that lacks a score on some dataset: a missing score never ranks.
    """

    label: str
    colour: int
    cells: tuple[Pooled | None, ...]
    mean: float
    standard_error: float
    rank: tuple[int, int] | None = None


@dataclass(frozen=True)
class Overall:
    """One statistic over the datasets on which it has a floor and a ceiling."""

    label: str
    key: str
    datasets: tuple[str, ...]
    rows: tuple[OverallRow, ...]


def overall(label: str, key: str, boards: Sequence[tuple[str, Sequence[Pooled]]]) -> Overall | None:
    """Join the leaderboards of one statistic, given as (dataset, pooled methods).

    Returns:
        None where fewer than two datasets have normalised scores: there is nothing to join.
    """
    usable = [(dataset, methods) for dataset, methods in boards if any(np.isfinite(m.normalised) for m in methods)]
    if len(usable) < 2:
        return None
    colours = {method.label: method.colour for _, methods in usable for method in methods}
    rows = [_row(name, colour, [methods for _, methods in usable]) for name, colour in colours.items()]
    complete = sorted((row for row in rows if None not in row.cells), key=lambda row: row.mean, reverse=True)
    ranks = rank_intervals([row.mean for row in complete], [row.standard_error for row in complete])
    ranked = [replace(row, rank=rank) for row, rank in zip(complete, ranks, strict=True)]
    partial = sorted((row for row in rows if None in row.cells), key=lambda row: row.label)
    return Overall(label, key, tuple(dataset for dataset, _ in usable), (*ranked, *partial))


def _row(name: str, colour: int, boards: list[Sequence[Pooled]]) -> OverallRow:
    cells = tuple(
        next((m for m in methods if m.label == name and np.isfinite(m.normalised)), None) for methods in boards
    )
    known = [cell for cell in cells if cell is not None]
    if len(known) < len(cells):
        return OverallRow(name, colour, cells, float("nan"), float("nan"))
    errors = np.nan_to_num([cell.normalised_error for cell in known])
    mean = float(np.mean([cell.normalised for cell in known]))
    return OverallRow(name, colour, cells, mean, float(np.sqrt(np.sum(errors**2)) / len(known)))
