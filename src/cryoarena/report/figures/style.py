"""What all figures have in common: size, text, colours, and how a figure becomes SVG."""

import io
import re
from typing import Any

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cryoarena.report.colours import METHOD_COLOURS_LIGHT

INK, MUTED, LINE, PAPER = "#14202b", "#566573", "#e1e6eb", "#ffffff"
_ON_THE_PAGE = {INK: "--ink", MUTED: "--muted", LINE: "--line", PAPER: "--surface"}
_ON_THE_PAGE |= {colour: f"--m{number}" for number, colour in enumerate(METHOD_COLOURS_LIGHT)}
# Text stays text, so that it is small, can be searched and takes the page's font; ids are the same on every run.
_SVG: Any = {"svg.fonttype": "none", "svg.hashsalt": "cryoarena", "font.family": "sans-serif", "font.size": 9}


def method_colour(index: int | None) -> str:
    """Return the colour of a method, or that of the truth and the limits."""
    return MUTED if index is None else METHOD_COLOURS_LIGHT[index % len(METHOD_COLOURS_LIGHT)]


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure on paper; no pyplot, so that nothing stays in memory."""
    return Figure(figsize=(width_in, height_in), facecolor=PAPER, layout="constrained")


def quiet_axes(axes: Axes, x_label: str = "", y_label: str = "") -> None:
    """Give axes thin lines, small muted ticks and labels in ink."""
    axes.set_facecolor(PAPER)
    axes.grid(color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(LINE)
    axes.tick_params(colors=MUTED, length=0, labelsize=8.5)
    axes.set_xlabel(x_label, color=INK, fontsize=9)
    axes.set_ylabel(y_label, color=INK, fontsize=9)


def svg_text(figure: Figure) -> str:
    """Return the figure as an SVG document, the same bytes for the same figure."""
    buffer = io.StringIO()
    with rc_context(_SVG):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, facecolor=figure.get_facecolor())
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def svg_for_page(figure: Figure, title: str) -> Markup:
    """Return the figure as an inline <svg> whose colours follow the theme of the page."""
    text = svg_text(figure)
    for colour, name in _ON_THE_PAGE.items():
        text = re.sub(rf"(?<=[:\s]){colour}(?=[;\"])", f"var({name})", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    label = Markup.escape(title)
    # The size in points would fix the width; the viewBox keeps the shape.
    text = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", text, count=1)
    text = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", text, count=1)
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1))
