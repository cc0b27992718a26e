"""Write options, recipes and resources as text."""

from typing import Any

from cryoarena.report.collect import Group
from cryoarena.report.text import plain


def dataset_facts(group: Group) -> list[tuple[str, str]]:
    """Return the few numbers that tell a reader what kind of dataset this is, as (value, what) pairs."""
    facts = []
    recipe = group.dataset.recipe if group.dataset else {}
    if isinstance(images := recipe.get("images"), int):
        facts.append((f"{images:,}", "particle images"))
    if recipe.get("box_px") and recipe.get("pixel_size_A"):
        facts.append((f"{recipe['box_px']} px", f"box at {plain(recipe['pixel_size_A'])} Å per pixel"))
    if isinstance(snr := recipe.get("snr"), int | float):
        box = recipe.get("snr_box_px")
        at = f" at box {box}" if box and box != recipe.get("box_px") else ""
        facts.append((f"{snr:.3g}", f"signal-to-noise ratio{at}"))
    runs = len(group.results)
    walls = [result.info.get("wall_s") for result in group.results]
    total = sum(wall for wall in walls if isinstance(wall, int | float))
    facts.append((seconds_text(total), f"in {runs} run{'s' if runs != 1 else ''}"))
    return facts


def flat_rows(data: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Return nested dictionaries as (dotted name, value) rows; other input gives no rows."""
    rows: list[tuple[str, str]] = []
    if not isinstance(data, dict):
        return rows
    for key, value in data.items():
        name = f"{prefix}{key}"
        rows += flat_rows(value, f"{name}.") if isinstance(value, dict) and value else [(name, plain(value))]
    return rows


def seconds_text(seconds: Any) -> str:
    """Write a duration as a reader would say it."""
    if not isinstance(seconds, int | float):
        return "not recorded"
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def memory_text(number_of_bytes: Any) -> str:
    """Write a size in bytes with a decimal unit."""
    if not isinstance(number_of_bytes, int | float):
        return "not recorded"
    return f"{number_of_bytes / 1e9:.2f} GB" if number_of_bytes >= 1e9 else f"{number_of_bytes / 1e6:.0f} MB"
