"""The score table: for each statistic a bar from floor to ceiling with every method's marker and whisker."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cryoarena.errors import UserError
from cryoarena.metrics.base import metrics
from cryoarena.report.scores import Statistic


@dataclass(frozen=True)
class BarRow:
    """One method's line of the table; positions are percentages of the bar's width, None where unknown.

    `covered` is empty where the result has all particles, else it tells how many.
    """

    label: str
    colour: int
    covered: str
    value: str
    error: str
    normalised: str
    status: str
    reason: str
    marker: float | None
    whisker: tuple[float, float] | None


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


def bars(statistic: Statistic, partial: Mapping[str, str]) -> Bars:
    """Lay out one statistic; `partial` tells how many particles a result has, by its label, where it lacks some."""
    ends = [statistic.floor, statistic.ceiling]
    for entry in statistic.entries:
        error = np.nan_to_num(entry.standard_error)
        ends += [entry.value - error, entry.value + error]
    finite = [end for end in ends if np.isfinite(end)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    margin = 0.06 * (high - low) or 0.5

    def place(value: float) -> float | None:
        if not np.isfinite(value):
            return None
        return round(float(100 * (value - low + margin) / (high - low + 2 * margin)), 2)

    rows = []
    for entry in statistic.entries:
        marker = place(entry.value)
        left, right = place(entry.value - entry.standard_error), place(entry.value + entry.standard_error)
        rows.append(
            BarRow(
                entry.result.label,
                entry.result.colour,
                partial.get(entry.result.label, ""),
                *_value_and_error(entry.value, entry.standard_error),
                f"{100 * entry.normalised + 0.0:z.0f} %" if np.isfinite(entry.normalised) else "",
                entry.status,
                entry.reason,
                marker,
                (left, right) if left is not None and right is not None else None,
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


def value_text(value: float, error: float) -> str:
    """Write `0.329 ± 0.006`: the error with one digit (two from 1 to 2.9), the value to match."""
    if not np.isfinite(error) or error <= 0:
        return number(value)
    if error < 1e-4 * abs(value):
        return number(value)
    exponent = int(np.floor(np.log10(error)))
    decimals = int(np.clip((1 if error / 10**exponent < 3 else 0) - exponent, 0, 6))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def number(value: float, digits: int = 3) -> str:
    """Write a number with a few significant digits; empty where it is not finite."""
    if not np.isfinite(value):
        return ""
    if value == 0:
        return "0"
    decimals = int(np.clip(digits - 1 - np.floor(np.log10(abs(value))), 0, 6))
    return f"{value:.{min(decimals, 3)}f}" if 1e-2 <= abs(value) < 1e5 else f"{value:.{digits}g}"


def _value_and_error(value: float, error: float) -> tuple[str, str]:
    text, _, error_text = value_text(value, error).partition(" ± ")
    return text, error_text


def _summary(metric: str) -> str:
    try:
        return metrics.get(metric).card.summary
    except UserError:  # scored by a plug-in that is not installed here
        return ""
