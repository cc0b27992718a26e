"""Latents in two dimensions, coloured by a true CV."""

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cryoarena.report.colours import cyclic_map, sequential_map
from cryoarena.report.figures.style import INK, method_colour, new_figure, quiet_axes


def latents_figure(
    points: NDArray[np.float64], axis_names: tuple[str, str], title: str, cv: NDArray[np.float64] | None = None,
    cv_name: str = "", period: float | None = None,
) -> Figure:  # fmt: skip
    """Draw latents (N, 2), coloured by a CV (N,) where one is given; the points are one raster image in an SVG."""
    figure = new_figure(4.6, 3.8)
    axes = figure.add_subplot()
    quiet_axes(axes, *axis_names)
    size = 18 if len(points) < 1000 else 4 if len(points) < 20_000 else 1
    order = np.random.default_rng(0).permutation(len(points))  # points drawn last must not all have one colour
    x, y = points[order].T
    if cv is None:
        drawn = axes.scatter(x, y, s=size, linewidths=0, alpha=0.8, color=method_colour(0))
    else:
        limits = (0.0, period) if period else (float(np.nanmin(cv)), float(np.nanmax(cv)))
        shown = np.mod(cv, period) if period else cv
        drawn = axes.scatter(x, y, s=size, linewidths=0, alpha=0.8, c=shown[order], vmin=limits[0], vmax=limits[1])
        drawn.set_cmap(ListedColormap(cyclic_map() if period else sequential_map()))
        figure.colorbar(drawn, ax=axes, label=cv_name)
    drawn.set_rasterized(True)
    axes.set_title(title, color=INK, fontsize=9.5, loc="left")
    return figure
