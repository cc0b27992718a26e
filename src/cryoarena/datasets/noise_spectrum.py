"""Which spectrum the noise of a dataset has."""

import csv
from pathlib import Path

import numpy as np

from cryoarena.errors import UserError
from cryoarena.files import atomic_path
from cryoarena.imaging.noise import NoiseSpectrum, carbon_spectrum

_COLUMNS = ("frequency_per_A", "power")


def noise_spectrum(name: str) -> NoiseSpectrum | None:
    """Return the spectrum called `white` (None) or `carbon`, or that in a CSV file.

    Raises:
        UserError: when it is none of these, or the file has no valid spectrum.
    """
    if name == "white":
        return None
    if name == "carbon":
        return carbon_spectrum()
    path = Path(name)
    if not path.is_file():
        raise UserError(f"there is no noise spectrum {name!r}; give white, carbon, or a CSV file: {','.join(_COLUMNS)}")
    return read_noise_spectrum(path)


def read_noise_spectrum(path: Path) -> NoiseSpectrum:
    """Read a CSV file with the columns frequency_per_A and power.

    Raises:
        UserError: when a column is missing, a value is no number, power is not positive or frequency not ascending.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [[float(row[column]) for column in _COLUMNS] for row in csv.DictReader(stream)]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is no noise spectrum (CSV columns {' and '.join(_COLUMNS)}): {error}") from error
    if not rows:
        raise UserError(f"{path} has no rows; a noise spectrum needs at least one")
    frequency, power = np.array(rows).T
    if not np.isfinite(power).all() or power.min() <= 0:
        raise UserError(f"{path} has a power that is not a positive number; correct it")
    if not np.isfinite(frequency).all() or np.any(np.diff(frequency) <= 0) or frequency[0] < 0:
        raise UserError(f"{path} has frequencies that do not ascend from 0 or above; sort them")
    return NoiseSpectrum(frequency, power)


def write_noise_spectrum(path: Path, spectrum: NoiseSpectrum) -> None:
    """Write a spectrum as a CSV file that `read_noise_spectrum` reads."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(zip(spectrum.frequency_per_A.tolist(), spectrum.power.tolist(), strict=True))
