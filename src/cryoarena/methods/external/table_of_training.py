"""Which particle each latent of a training belongs to, by the table and the selection that its log names."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.methods.external.match_rows import match_table
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.safe_pickle import read_array_pickle


class Named(Protocol):
    """What a log names, or a user gives in its place: a table of particles, and a file of indices (--ind) or None."""

    @property
    def particles(self) -> str | Path | None:
        """Return the table."""

    @property
    def ind(self) -> str | Path | None:
        """Return the file of indices."""


def rows_of_training(log: Path, named: Named, given: Named, particles: ParticleSet) -> NDArray[np.int64]:
    """Return which row of the particle set each latent belongs to.

    Args:
        log: file that names table and indices, in the output folder of the program.
        named: in it.
        given: by the user, which goes first.
        particles: of the dataset.

    Raises:
        UserError: when a file is missing, is no such file, or rows and particles do not match.
    """
    table = Path(given.particles) if given.particles else _find(log, str(named.particles), "particles")
    rows = match_table(table, particles)
    if given.ind is None and named.ind is None:
        return rows
    path = Path(given.ind) if given.ind else _find(log, str(named.ind), "ind")
    # A list is what cryodrgn_utils writes.
    kept = np.asarray(read_array_pickle(path))
    are_indices = kept.ndim == 1 and kept.dtype.kind in "iu" and np.isin(kept, np.arange(len(rows))).all()
    if not are_indices or len(np.unique(kept)) < len(kept):
        raise UserError(f"{path} does not hold distinct indices of the {len(rows)} images of {table}")
    return np.asarray(rows[kept])


def _find(log: Path, name: str, option: str) -> Path:
    """Return a file that a log names: where it says, else beside the output folder."""
    for candidate in (Path(name), *(root / Path(name).name for root in (log.parent, log.parent.parent))):
        if candidate.is_file():
            return candidate
    raise UserError(f"{log} names {name}, which does not exist; give it with --set {option}=FILE")
