"""Write numbers and options as a reader wants to see them."""

from typing import Any

import numpy as np


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


def plain(value: Any) -> str:
    """Write an option's value in one line."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = ", ".join(plain(item) for item in value) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= 160 else f"{text[:157]}…"
