"""Confusion matrices, one panel per method."""

from collections.abc import Sequence
from math import isqrt

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from cryoarena.report.curve_sources import CONFUSION, CurveSource
from cryoarena.report.figures.style import INK, new_figure, quiet_axes

_SHARES = LinearSegmentedColormap.from_list("shares", [(0, "#e9edf1"), (0.6, "#00608f"), (1, INK)])


def confusion_figure(
    sources: Sequence[CurveSource], metric: str = "class-agreement", columns: int = 3
) -> Figure | None:
    """Draw the share of every true state (row) in the class matched with a state (column); None without matrices."""
    methods = [s for s in sources if s.kind == "method" and f"{metric}/{CONFUSION}" in s.curves]
    if not methods:
        return None
    rows = -(-len(methods) // columns)
    figure = new_figure(3.0 * min(columns, len(methods)) + 0.6, 3.1 * rows)
    panels = figure.subplots(rows, min(columns, len(methods)), squeeze=False)
    for panel in panels.flat[len(methods) :]:
        panel.remove()
    image = None
    for panel, source in zip(panels.flat, methods, strict=False):
        cells = np.array([np.nan if v is None else v for v in source.curves[f"{metric}/{CONFUSION}"]["mean"]], float)
        side = isqrt(len(cells))
        quiet_axes(panel, "matched class", "true state")
        panel.grid(visible=False)
        image = panel.imshow(cells.reshape(side, side), cmap=_SHARES, vmin=0, vmax=1, interpolation="nearest")
        panel.set_title(source.label, color=INK, fontsize=9.5, loc="left")
    if image is not None:
        figure.colorbar(image, ax=panels, shrink=0.7, label="share of the true state")
    return figure
