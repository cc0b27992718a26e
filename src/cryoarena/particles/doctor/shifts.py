"""Conventions in which shifts may have been written, other than as stated."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cryoarena.imaging.poses import Poses
from cryoarena.particles.doctor.hypothesis import Change
from cryoarena.particles.doctor.reading import Reading

CHECK = "shifts"
NO_SHIFTS, HALF_SHIFTS = "no shifts", "shifts half as large"
# What is as near as this to the stated shifts, in pixels, no image can tell.
_LEAST_DIFFERENCE_PX = 0.1


def shift_changes(reading: Reading, box_px: int, pixel_size_A: float) -> list[Change]:
    """Return the conventions that move the images by something else than what is stated."""
    scale = np.eye(2)
    matrices: dict[str, tuple[str, NDArray[np.float64]]] = {
        "shifts of the opposite sign": ("change the sign of both shifts", -scale),
        "x shifts of the opposite sign": ("change the sign of the x shifts", np.diag([-1.0, 1.0])),
        "y shifts of the opposite sign": ("change the sign of the y shifts", np.diag([1.0, -1.0])),
        "x and y shifts exchanged": ("exchange the x and y shifts", scale[::-1]),
        NO_SHIFTS: ("set all shifts to 0: the images are centred already", 0 * scale),
        "shifts in pixels": (f"multiply the shifts by the pixel size, {pixel_size_A:g}", scale * pixel_size_A),
        "shifts that were multiplied by the pixel size twice": (
            f"divide the shifts by the pixel size, {pixel_size_A:g}",
            scale / pixel_size_A,
        ),
        "shifts as fractions of the box": (
            f"multiply the shifts by the box side, {box_px * pixel_size_A:g} Å",
            scale * box_px * pixel_size_A,
        ),
        "shifts as fractions of the box, in pixels": (f"multiply the shifts by the box, {box_px}", scale * box_px),
        "shifts twice as large": ("multiply the shifts by 2: they are of binned images", 2 * scale),
        HALF_SHIFTS: ("divide the shifts by 2: they are of images before binning", scale / 2),
    }
    shift_A, longest_A = reading.poses.shift_A, box_px * pixel_size_A / 2
    found = []
    for name, (remedy, matrix) in matrices.items():
        moved_A = shift_A @ matrix
        difference_px = np.sqrt(np.mean((moved_A - shift_A) ** 2)) / pixel_size_A
        if difference_px >= _LEAST_DIFFERENCE_PX and np.abs(moved_A).max() < longest_A:
            found.append(_change(name, remedy, matrix))
    return found


def _change(name: str, remedy: str, matrix: NDArray[np.float64]) -> Change:
    def apply(reading: Reading) -> Reading:
        poses = reading.poses
        return replace(reading, poses=Poses(poses.rotation_object_to_image, poses.shift_A @ matrix))

    return Change(CHECK, name, remedy, apply)
