"""Populations of the states, one panel per method over the true ones."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from cryoarena.report.curve_sources import CurveSource
from cryoarena.report.figures.style import INK, MUTED, method_colour, new_figure, quiet_axes

_COLUMNS = 3


def populations_figure(
    sources: Sequence[CurveSource],
    metric: str = "populations",
    estimator: str = "kmeans_counting",
    columns: int = _COLUMNS,
) -> Figure | None:
    """Draw the estimated population of every state with its error over the true one (grey).

    Args:
        sources: curves of the methods, pooled over seeds.
        metric: `populations` or `posterior-populations`.
        estimator: which of the metric's estimates.
        columns: panels per row.

    Returns:
        None where no method has this curve.
    """
    methods = [
        s for s in sources if s.kind == "method" and {f"{metric}/{estimator}", f"{metric}/true"} <= set(s.curves)
    ]
    if not methods:
        return None
    rows = -(-len(methods) // columns)
    figure = new_figure(3.6 * min(columns, len(methods)), 0.3 + 1.7 * rows)
    panels = figure.subplots(rows, min(columns, len(methods)), sharex=True, sharey=True, squeeze=False)
    for panel in panels.flat[len(methods) :]:
        panel.remove()
    for panel, source in zip(panels.flat, methods, strict=False):
        found, true = source.curves[f"{metric}/{estimator}"], source.curves[f"{metric}/true"]
        state = np.asarray(true["x"], np.float64)
        quiet_axes(panel, "state", "population (%)")
        panel.label_outer()
        panel.stairs(100 * _numbers(true["mean"]), _edges(state), fill=True, color=MUTED, alpha=0.3, label="truth")
        style = {"color": method_colour(source.colour), "markersize": 4 if len(state) <= 30 else 2.2}
        x, y = np.asarray(found["x"], np.float64), 100 * _numbers(found["mean"])
        panel.errorbar(x, y, 100 * _spread(found), fmt="o", elinewidth=0.9, **style)
        panel.set_title(source.label, color=INK, fontsize=9.5, loc="left")
        panel.set_ylim(bottom=0)
    return figure


def _numbers(values: Sequence[float | None]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _spread(curve: dict[str, Sequence[float | None]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    spread = curve.get("spread", [])
    return np.nan_to_num(_numbers(spread)) if len(spread) else np.zeros(len(curve["x"]))


def _edges(
    state: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.append(state - 0.5, state[-1] + 0.5)
