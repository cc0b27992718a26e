"""The files in which relion_flex_analyse tells the principal components of bodies' motion."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError

_NAMES = {
    "weight": "_pca_weights.dat",
    "eigenvectors": "_eigenvectors.dat",
    "projections": "_projections_along_eigenvectors_all_particles.txt",
}


class Components(NamedTuple):
    """What the files tell.

    Attributes:
        weight: (B, 4) units of rot, tilt, psi and shifts.
        eigenvectors: (6B, 6B), a component in each row.
        projections: (N, 6B) of the particles, in the order of the particle table.
    """

    weight: NDArray[np.float64]
    eigenvectors: NDArray[np.float64]
    projections: NDArray[np.float64]


def has_components(root: Path) -> bool:
    """Tell whether relion_flex_analyse has left all files whose names begin with `root`."""
    return all(_file(root, ending).is_file() for ending in _NAMES.values())


def read_components(root: Path) -> Components:
    """Read the files whose names begin with `root`.

    Raises:
        UserError: when one is damaged, or they do not belong together.
    """
    paths = {name: _file(root, ending) for name, ending in _NAMES.items()}
    weight = _read(paths["weight"], 1)[:, 1:]
    eigenvectors = _read(paths["eigenvectors"], 1)
    width = 6 * len(weight)
    # The first word is the name of the image.
    projections = _read(paths["projections"], 0, tuple(range(1, width + 1)))
    if weight.shape[1:] != (4,) or eigenvectors.shape != (width, width):
        raise UserError(f"{paths['weight']} and {paths['eigenvectors']} are not of the same bodies; delete {root}_*")
    return Components(weight, eigenvectors, projections)


def _file(root: Path, ending: str) -> Path:
    return root.with_name(root.name + ending)


def _read(path: Path, skipped_lines: int, columns: tuple[int, ...] | None = None) -> NDArray[np.float64]:
    try:
        return np.loadtxt(path, skiprows=skipped_lines, usecols=columns, ndmin=2)
    except (ValueError, IndexError, OSError) as error:
        raise UserError(f"{path} is damaged; delete it, so that it is made again: {error}") from error
