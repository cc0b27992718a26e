"""How each run converged, as small line plots."""

from dataclasses import dataclass
from typing import Any

import numpy as np

_WIDTH, _HEIGHT, _PAD = 240.0, 72.0, 6.0
_MAX_PLOTS = 6
_COUNTERS = ("iteration", "epoch", "step")


@dataclass(frozen=True)
class HistoryPlot:
    """One quantity against the iteration: its name, SVG points and first and last value."""

    name: str
    points: str
    first: str
    last: str
    n: int


def history_plots(history: Any) -> tuple[HistoryPlot, ...]:
    """Plot every number that a run recorded in two or more iterations."""
    if not isinstance(history, list):
        return ()
    records = [record for record in history if isinstance(record, dict)]
    plots = []
    for name in dict.fromkeys(key for record in records for key in record):
        values = [record.get(name) for record in records]
        numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        if name in _COUNTERS or len(numbers) < 2 or not np.isfinite(numbers).all():
            continue
        plots.append(HistoryPlot(name, _points(numbers), f"{numbers[0]:.4g}", f"{numbers[-1]:.4g}", len(numbers)))
    return tuple(plots[:_MAX_PLOTS])


def _points(values: list[float]) -> str:
    low, high = min(values), max(values)
    span = high - low or 1.0
    x = _PAD + (_WIDTH - 2 * _PAD) * np.arange(len(values)) / (len(values) - 1)
    y = _HEIGHT - _PAD - (_HEIGHT - 2 * _PAD) * (np.asarray(values) - low) / span
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
