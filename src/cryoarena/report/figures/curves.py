"""Curves with bands: FSC, neighbourhood similarity, histograms of pose errors and the like."""

from typing import Any

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from cryoarena.report.figures.style import INK, MUTED, method_colour, new_figure, quiet_axes

_DASHES = {"floor": (0, (1, 2)), "ceiling": (0, (5, 2))}


def curves_figure(entry: dict[str, Any]) -> Figure:
    """Draw one entry of `curves_payload`: means, ± one standard deviation as bands, floor dotted, ceiling dashed.

    Histograms are drawn as bars.
    """
    figure = new_figure(6.2, 3.6)
    axes = figure.add_subplot()
    quiet_axes(axes, entry["x_label"], entry["y_label"])
    for series in entry["series"]:
        x, mean = (np.array([np.nan if v is None else v for v in series[name]], float) for name in ("x", "mean"))
        colour = method_colour(series["colour"])
        is_method = series["kind"] == "method"
        label = series["label"] if is_method else series["kind"]
        if entry["is_histogram"]:
            width = x[1] - x[0]
            edges = np.append(x - width / 2, x[-1] + width / 2)
            axes.stairs(mean, edges, fill=True, facecolor=to_rgba(colour, 0.2), edgecolor=colour, label=label)
            continue
        if is_method and series["spread"]:
            spread = np.array([0.0 if v is None else v for v in series["spread"]], float)
            axes.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.14, linewidth=0)
        axes.plot(
            x, mean, color=colour, linewidth=2 if is_method else 1.3, ls=_DASHES.get(series["kind"], "-"), label=label
        )
    if entry["is_fsc"]:
        axes.set_ylim(min(0, axes.get_ylim()[0]), 1.02)
        for threshold in (0.143, 0.5):
            axes.axhline(threshold, color=MUTED, linewidth=0.8, linestyle=(0, (1, 3)))
    axes.set_title(entry["label"], color=INK, fontsize=9.5, loc="left")
    axes.legend(frameon=False, labelcolor=INK, fontsize=8.5)
    return figure
