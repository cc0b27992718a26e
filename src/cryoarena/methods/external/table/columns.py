"""Named columns of a .csv or .star file, and which particle each row is."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.methods.external.match_rows import match_images, match_star
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.relion_columns import IMAGE_NAME, PARTICLE_ID
from cryoarena.particles.star_table import read_tables

_IDS, _IMAGES = ("particle_id", PARTICLE_ID), ("image", "image_name", IMAGE_NAME)
_IMAGE = re.compile(r"(\d+)@(\S+)")


class _Every:
    """Contains all names."""

    def __contains__(self, name: object) -> bool:
        return True


@dataclass(frozen=True)
class Columns:
    """A table as words.

    Attributes:
        path: of the file.
        words: column name to M words.
    """

    path: Path
    words: dict[str, list[str]]

    def numbers(self, names: list[str]) -> NDArray[np.float32]:
        """Return columns as finite numbers (M, len(names)).

        Raises:
            UserError: when a column is missing or a value is no number (row named).
        """
        self.require(names)
        columns = [pd.to_numeric(pd.Series(self.words[name]), errors="coerce") for name in names]
        values = np.stack([column.to_numpy(np.float32) for column in columns], axis=1)
        if (bad := ~np.isfinite(values)).any():
            row, column = (int(index) for index in np.argwhere(bad)[0])
            raise UserError(
                f"row {row + 1} of {self.path} has {self.words[names[column]][row]!r} in column {names[column]}, "
                "which is no number; correct or remove the row"
            )
        return values

    def require(self, names: list[str]) -> None:
        """Check that columns are there.

        Raises:
            UserError: when one is not.
        """
        for name in names:
            if name not in self.words:
                raise UserError(f"{self.path} has no column {name}; it has {', '.join(self.words)}")

    def numbered(self, pattern: str) -> list[str]:
        """Return the columns of a pattern with one number, in the order of the number."""
        found = [(int(match[1]), name) for name in self.words if (match := re.fullmatch(pattern, name, re.IGNORECASE))]
        return [name for _, name in sorted(found)]

    def first_of(self, names: tuple[str, ...]) -> str | None:
        """Return the first of some columns that is there."""
        return next((name for name in names if name in self.words), None)

    def tells_particles(self) -> bool:
        """Tell whether there is a column of particle ids or images."""
        return self.first_of((*_IDS, *_IMAGES)) is not None

    def rows(self, particles: ParticleSet) -> NDArray[np.int64]:
        """Return for each row (M,) the row of its particle in the set.

        Raises:
            UserError: when no column tells it, or a row is of no particle of the set or of one named before.
        """
        if self.path.suffix == ".star" and IMAGE_NAME in self.words:
            return match_star(self.path, particles)
        name = self.first_of((*_IDS, *_IMAGES))
        if name is None:
            raise UserError(
                f"{self.path} has no column that tells particles; add particle_id (as in the dataset's particles.star, "
                "rlnParticleName) or image (000012@particles/0000.mrcs)"
            )
        return rows_of_words(self.path, self.words[name], particles)


def read_columns(path: Path) -> Columns:
    """Read a .csv with a header, or the particles of a .star.

    Raises:
        UserError: when it is missing, empty or no such table.
    """
    if path.suffix == ".star":
        names = [name for table in read_tables(path, _Every(), ()).values() for name in table.numbers]
        blocks = read_tables(path, _Every(), names)
        tables = [table for table in blocks.values() if IMAGE_NAME in table or PARTICLE_ID in table]
        if len(tables) != 1:
            raise UserError(f"{path} has {len(tables)} tables of particles (with a column _{IMAGE_NAME}), not one")
        # Nine digits are more than single precision has; ids have more, and classes may be words.
        numbers = {
            name: [f"{value:.9g}" for value in values]
            for name, values in tables[0].numbers.items()
            if name not in (IMAGE_NAME, PARTICLE_ID) and np.isfinite(values).all()
        }
        return Columns(path, tables[0].text | numbers)
    try:
        words = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is not a .csv file with a header: {str(error).strip()}") from error
    if not len(words):
        raise UserError(f"{path} has no rows below its header")
    return Columns(path, {str(name).strip(): words[name].str.strip().tolist() for name in words})


def rows_of_words(path: Path, words: list[str], particles: ParticleSet) -> NDArray[np.int64]:
    """Return the rows of particles that are told by ids or images (000012@stack.mrcs), all in the same way.

    Raises:
        UserError: when a word is neither, or of no particle of the set, or of one named before.
    """
    images = [_IMAGE.fullmatch(word.strip()) for word in words]
    if images[0] is not None:
        if None in images:
            row = images.index(None)
            raise UserError(f"row {row + 1} of {path} has {words[row]!r}, which is not NNNNNN@stack.mrcs")
        stack, names = pd.factorize(np.array([match[2] for match in images if match]))
        slices = np.array([int(match[1]) for match in images if match], np.int64) - 1
        return match_images(path, [str(name) for name in names], stack.astype(np.int64), slices, particles)
    row_of = {str(number): row for row, number in enumerate(particles.particle_id.astype(np.uint64).tolist())}
    rows = np.array([row_of.get(word.strip(), -1) for word in words], np.int64)
    if (unknown := rows < 0).any():
        row = int(unknown.argmax())
        raise UserError(
            f"row {row + 1} of {path} is of particle {words[row]!r}, which the dataset does not have; ids are those of "
            "the column _rlnParticleName of its particles.star"
        )
    distinct, first = np.unique(rows, return_index=True)
    if len(distinct) < len(rows):
        again = int(np.setdiff1d(np.arange(len(rows)), first)[0])
        raise UserError(f"row {again + 1} of {path} names particle {words[again]} again; keep one row of it")
    return rows
