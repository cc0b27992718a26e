"""The leaderboard of one statistic as a figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from cryoarena.report.figures.style import INK, LINE, MUTED, PAPER, method_colour, new_figure, quiet_axes
from cryoarena.report.pooling import Pooled
from cryoarena.report.score_table import rank_text
from cryoarena.report.scores import Statistic


def leaderboard_figure(statistic: Statistic, methods: Sequence[Pooled]) -> Figure:
    """Draw every method's mean with its standard error, its seeds as strokes, and the band from floor to ceiling."""
    scored = [method for method in methods if method.rank]
    figure = new_figure(6.2, 0.9 + 0.36 * max(len(scored), 1))
    axes = figure.add_subplot()
    quiet_axes(axes, statistic.label + (f" ({statistic.unit})" if statistic.unit else ""))
    axes.grid(visible=False, axis="y")
    limits = [limit for limit in (statistic.floor, statistic.ceiling) if np.isfinite(limit)]
    if len(limits) == 2:
        axes.axvspan(min(limits), max(limits), color=LINE, alpha=0.6, linewidth=0)
    for limit, name in ((statistic.floor, "floor"), (statistic.ceiling, "ceiling")):
        if np.isfinite(limit):
            axes.axvline(limit, color=MUTED, linewidth=1.2)
            axes.annotate(name, (limit, 1), (0, 3), xycoords=("data", "axes fraction"), textcoords="offset points",
                          ha="center", color=MUTED, fontsize=8.5)  # fmt: skip
    for row, method in enumerate(scored):
        colour = method_colour(method.colour)
        axes.errorbar(
            method.value, row, xerr=np.nan_to_num(method.standard_error), color=INK, linewidth=1.2, capsize=2.5
        )
        axes.plot(method.value, row, "o", color=colour, markersize=7, markeredgecolor=PAPER)
        if len(method.seeds) > 1:
            seeds = [entry.value for entry in method.seeds]
            axes.plot(seeds, np.full(len(seeds), row + 0.3), "|", color=colour, markersize=5)
    axes.set_ylim(len(scored) - 0.4, -0.6)
    axes.set_yticks(range(len(scored)), [f"{rank_text(method.rank)}   {method.label}" for method in scored], color=INK)
    return figure
