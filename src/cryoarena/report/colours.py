"""Colours that colour-blind readers can tell apart, for a light and a dark page."""

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

_Row = NDArray[np.floating]

# Okabe & Ito (2008), Color Universal Design, without its yellow (lost on white); lighter on dark.
METHOD_COLOURS_LIGHT = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#b8528f",
    "#b8860b",
    "#3d7f9f",
    "#7a5195",
    "#4d4d4d",
)
METHOD_COLOURS_DARK = ("#56b4e9", "#ff8a3c", "#2fc79a", "#e79ac4", "#f0b429", "#8fd0e8", "#b79be0", "#c8c8c8")


def sequential_map() -> list[str]:
    """Return 256 colours for a CV that has two ends (viridis)."""
    return [_hex(row[:3]) for row in colormaps["viridis"](np.linspace(0, 0.97, 256))]


def label_map() -> list[str]:
    """Return 256 colours for labels without an order: the hue turns by the golden angle, lightness in three steps."""
    number = np.arange(256)
    return _oklch(0.52 + 0.11 * (number % 3), np.full(256, 0.13), 2.39996 * number)


def cyclic_map() -> list[str]:
    """Return 256 colours for a CV with a period: one turn of hue in OKLCH (Ottosson 2020).

    Lightness goes up and down once per turn, so that readers who mix up hues still see it.
    """
    turn = np.linspace(0, 2 * np.pi, 256, endpoint=False)
    lightness = 0.66 - 0.11 * np.cos(turn)
    return _oklch(lightness, np.full(256, 0.11), turn - 1.9)


def _oklch(lightness: _Row, chroma: _Row, hue: _Row) -> list[str]:
    a, b = chroma * np.cos(hue), chroma * np.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = np.stack(
        [
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        ],
        axis=1,
    )
    linear = np.clip(linear, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return [_hex(row) for row in encoded]


def _hex(rgb: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> str:
    red, green, blue = (round(255 * float(value)) for value in rgb)
    return f"#{red:02x}{green:02x}{blue:02x}"
