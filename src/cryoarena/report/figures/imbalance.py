"""The information-imbalance plane: what latents and truth know of each other."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from cryoarena.report.figures.style import INK, LINE, MUTED, PAPER, method_colour, new_figure, quiet_axes
from cryoarena.report.pooling import Pooled

_CORNERS = (
    (0.03, 0.03, "left", "bottom", "equivalent"),
    (0.97, 0.03, "right", "bottom", "truth knows more"),
    (0.03, 0.97, "left", "top", "latent knows more"),
    (0.97, 0.97, "right", "top", "independent"),
)


def imbalance_plane(to_truth: Sequence[Pooled], to_latent: Sequence[Pooled]) -> Figure | None:
    """Draw each method at (Δ latent → truth, Δ truth → latent), with its standard errors.

    0 means that near neighbours in the first space are near in the second, 1 that they tell nothing (Glielmo et al.
    2022, PNAS Nexus 1:pgac039). A perfect embedding lies in the lower left corner.

    Args:
        to_truth: pooled `information-imbalance/standard/latent_to_truth`.
        to_latent: pooled `information-imbalance/standard/truth_to_latent`.

    Returns:
        None where no method has both.
    """
    along_y = {method.label: method for method in to_latent if np.isfinite(method.value)}
    points = [(x, along_y[x.label]) for x in to_truth if np.isfinite(x.value) and x.label in along_y]
    if not points:
        return None
    figure = new_figure(4.4, 4.2)
    axes = figure.add_subplot()
    quiet_axes(axes, "information imbalance, latent → truth", "information imbalance, truth → latent")
    top = max(1.0, *(method.value for point in points for method in point)) * 1.06
    axes.set(xlim=(-0.04, top), ylim=(-0.04, top), aspect="equal")
    axes.plot([0, top], [0, top], color=LINE, linewidth=1.2, zorder=1)
    for left, bottom, horizontal, vertical, text in _CORNERS:
        axes.text(
            left,
            bottom,
            text,
            transform=axes.transAxes,
            ha=horizontal,
            va=vertical,
            color=MUTED,
            fontsize=8,
            style="italic",
        )
    for x, y in points:
        colour = method_colour(x.colour)
        errors = {"xerr": np.nan_to_num(x.standard_error), "yerr": np.nan_to_num(y.standard_error)}
        axes.errorbar(x.value, y.value, **errors, color=INK, linewidth=1.1, zorder=2)
        axes.plot(x.value, y.value, "o", color=colour, markersize=8, markeredgecolor=PAPER, label=x.label, zorder=3)
    axes.legend(
        loc="upper left", bbox_to_anchor=(0.02, 0.92), frameon=False, labelcolor=INK, fontsize=8.5, handletextpad=0.2
    )
    return figure
