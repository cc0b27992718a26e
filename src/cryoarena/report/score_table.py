"""The score table: for each statistic a bar from floor to ceiling with every method's marker and whisker."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cryoarena.errors import UserError
from cryoarena.metrics.base import metrics
from cryoarena.report.collect import Group
from cryoarena.report.coverage import covered_text
from cryoarena.report.pooling import Pooled, pool
from cryoarena.report.scores import Statistic
from cryoarena.report.text import number, value_text


@dataclass(frozen=True)
class BarRow:
    """One method's line of the table; positions are percentages of the bar's width, None where unknown.

    `covered` is empty where the results have all particles, else it tells how many.
    """

    rank: str
    label: str
    colour: int
    runs: str
    covered: str
    value: str
    error: str
    normalised: str
    status: str
    reason: str
    marker: float | None
    whisker: tuple[float, float] | None
    seeds: tuple[float, ...]


@dataclass(frozen=True)
class Bars:
    """One statistic: its name in words and in the files, its limits as text and as positions, its rows."""

    label: str
    key: str
    summary: str
    arrow: str
    direction: str
    unit: str
    floor: str
    ceiling: str
    floor_at: float | None
    ceiling_at: float | None
    rows: tuple[BarRow, ...]


def bars(statistic: Statistic, group: Group, partial: Mapping[str, str]) -> Bars:
    """Lay out one statistic, the methods of `group` pooled over their seeds and the best first.

    `partial` tells how many particles a result has, by its label, where it lacks some.
    """
    methods = pool(statistic, group)
    ends = [statistic.floor, statistic.ceiling]
    for method in methods:
        error = np.nan_to_num(method.standard_error)
        ends += [method.value - error, method.value + error, *(entry.value for entry in method.seeds)]
    finite = [end for end in ends if np.isfinite(end)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    margin = 0.06 * (high - low) or 0.5

    def place(value: float) -> float | None:
        if not np.isfinite(value):
            return None
        return round(float(100 * (value - low + margin) / (high - low + 2 * margin)), 2)

    rows = []
    for method in methods:
        marker = place(method.value)
        left, right = place(method.value - method.standard_error), place(method.value + method.standard_error)
        seeds = [place(entry.value) for entry in method.seeds] if len(method.seeds) > 1 else []
        rows.append(
            BarRow(
                rank_text(method.rank),
                method.label,
                method.colour,
                _runs_text(method),
                covered_text(method, partial),
                *_value_and_error(method.value, method.standard_error),
                percent(method.normalised),
                method.status,
                method.reason,
                marker,
                (left, right) if left is not None and right is not None else None,
                tuple(seed for seed in seeds if seed is not None),
            )
        )
    return Bars(
        statistic.label,
        f"{statistic.metric}/{statistic.name}".rstrip("/"),
        _summary(statistic.metric),
        "↓" if statistic.direction == "lower" else "↑",
        statistic.direction,
        statistic.unit,
        number(statistic.floor),
        number(statistic.ceiling),
        place(statistic.floor),
        place(statistic.ceiling),
        tuple(rows),
    )


def rank_text(rank: tuple[int, int] | None) -> str:
    """Write the ranks that the errors allow; a dash where there is no score."""
    if rank is None:
        return "–"
    return str(rank[0]) if rank[0] == rank[1] else f"{rank[0]}–{rank[1]}"


def percent(share: float) -> str:
    """Write a share in per cent; empty where it is unknown."""
    return f"{100 * share + 0.0:z.0f} %" if np.isfinite(share) else ""


def _runs_text(method: Pooled) -> str:
    scored, runs = len(method.seeds), method.runs
    if runs == 1:
        return ""
    return f"{scored} of {runs} seeds" if scored < runs else f"{runs} seeds"


def _value_and_error(value: float, error: float) -> tuple[str, str]:
    text, _, error_text = value_text(value, error).partition(" ± ")
    return text, error_text


def _summary(metric: str) -> str:
    try:
        return metrics.get(metric).card.summary
    except UserError:  # scored by a plug-in that is not installed here
        return ""
