"""The pixel size at which the rings of the CTF, and the shifts, fit the images best."""

from dataclasses import replace

import numpy as np

from cryoarena.particles.doctor.comparison import compare
from cryoarena.particles.doctor.ctf_changes import PIXEL_SIZE, defocus_change, pixel_change
from cryoarena.particles.doctor.search import Search

_STEPS = (0.012, 0.006)
_LEAST_LEAD_Z = 4.0


def refine_pixel_size(search: Search) -> tuple[str, str, dict[str, float]]:
    """Narrow down the pixel size that a search adopted, and tell it from a wrong scale of all defoci.

    Returns:
        What the images agree with, what to do, and the pixel size by name.
    """
    found = search.hypothesis
    base = replace(found, changes=tuple(change for change in found.changes if change.check != PIXEL_SIZE))
    pixel_size_A = base.table.pixel_size_A
    best = found.reading().pixel_scale
    radius = search.images.radius
    for step in _STEPS:
        scales = best * np.array([1 - step, 1.0, 1 + step])
        means = [
            float(search.gain(base.and_changed(pixel_change(scale, pixel_size_A)), radius, "pixel size").mean())
            for scale in scales
        ]
        best = _vertex(scales, np.array(means))
    pixel, defocus = pixel_change(best, pixel_size_A), defocus_change(best**-2)
    lead = compare(
        search.gain(base.and_changed(defocus), radius, defocus.name),
        search.gain(base.and_changed(pixel), radius, pixel.name),
    )
    numbers = {"pixel_size_A": best * pixel_size_A}
    if lead.z >= _LEAST_LEAD_Z:
        return pixel.name, pixel.remedy, numbers
    if lead.z <= -_LEAST_LEAD_Z:
        return defocus.name, defocus.remedy, {"defocus_factor": best**-2}
    return f"{pixel.name}, or as well with {defocus.name}", f"{pixel.remedy}, or {defocus.remedy}", numbers


def _vertex(x: np.ndarray, y: np.ndarray) -> float:
    """Return where the parabola through three points is highest, within a step beyond them."""
    a, b, _ = np.polyfit(x - x[1], y, 2)
    step = x[1] - x[0]
    inside = float(np.clip(-b / (2 * a), -2 * step, 2 * step)) if a < 0 else float(step * np.sign(b))
    return float(x[1]) + inside
