"""What a user tells about particles because their table does not."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError


@dataclass(frozen=True)
class Given:
    """Facts that a table may lack; None where nothing is told.

    Attributes:
        pixel_size_A: of the images.
        contrast_sign: +1 bright, -1 dark.
        voltage_kV, cs_mm, amplitude_contrast: of the microscope.
        datadir: the folder that the stacks named in the table are in.
    """

    pixel_size_A: float | None = None
    contrast_sign: int | None = None
    voltage_kV: float | None = None
    cs_mm: float | None = None
    amplitude_contrast: float | None = None
    datadir: Path | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UserError: when one is impossible.
        """
        for name, flag in FLAGS.items():
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value >= 0):
                raise UserError(f"{flag} must be a positive number, not {value}")
        if self.pixel_size_A == 0 or self.voltage_kV == 0 or (self.amplitude_contrast or 0) > 1:
            raise UserError("--pixel-size and --voltage must be more than 0, and --amplitude-contrast at most 1")


FLAGS = {
    "pixel_size_A": "--pixel-size",
    "voltage_kV": "--voltage",
    "cs_mm": "--cs",
    "amplitude_contrast": "--amplitude-contrast",
}


def require_no_conflict(path: Path, flag: str, given: float, told: NDArray[np.float64] | float) -> None:
    """Check that what is given is not told otherwise by the table `path`.

    Raises:
        UserError: when it is, by more than 0.01 %.
    """
    differs = ~np.isclose(told, given, rtol=1e-4, atol=0)
    if np.any(differs):
        first = np.atleast_1d(told)[np.atleast_1d(differs)][0]
        raise UserError(f"{path} tells {first:g} where {flag} tells {given:g}; leave out {flag} or correct the table")
