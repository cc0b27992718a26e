"""The particle table of a STAR file, with each value taken from where RELION's version of it keeps it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.imaging.ctf import CtfParameters
from cryoarena.imaging.poses import Poses
from cryoarena.particles.euler import rotation_from_relion
from cryoarena.particles.given import FLAGS, Given, require_no_conflict
from cryoarena.particles.relion_columns import (
    ANGLES,
    BEAM_TILT,
    BEAM_TILT_CLASS,
    CTF,
    IMAGE_NAME,
    OPTICS_GROUP,
    OPTICS_NAME,
    PARTICLE_ID,
)
from cryoarena.particles.star_table import Table, read_tables

_ZERO_IF_ABSENT = {"rlnPhaseShift", "rlnCtfBfactor"}
_TEXT = (IMAGE_NAME, PARTICLE_ID, OPTICS_NAME)
_NUMBERS = {
    *ANGLES,
    *BEAM_TILT,
    *CTF.values(),
    OPTICS_GROUP,
    BEAM_TILT_CLASS,
    *("rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginX", "rlnOriginY"),
    *("rlnImagePixelSize", "rlnImageSize", "rlnDetectorPixelSize", "rlnMagnification"),
    *("rlnRandomSubset", "rlnCtfDataAreCtfPremultiplied"),
    *("rlnImageDimensionality", "rlnTomoSubTomosAre2DStacks"),
}
READ_COLUMNS = frozenset({*_NUMBERS, *_TEXT})
# What a user can tell where a table lacks the column.
_GIVEN = {"pixel_size_A": "rlnImagePixelSize", **{name: CTF[name] for name in FLAGS if name in CTF}}


class StarParticles:
    """The particle table of a STAR file, each value taken from the optics table where that has it."""

    def __init__(self, path: Path, given: Given = Given()) -> None:
        """Read the tables of `path`; `given` stands in for columns that it lacks.

        Raises:
            UserError: when it is no particle table, or `given` contradicts it.
        """
        self.path = path
        tables = read_tables(path, _NUMBERS, _TEXT)
        particles = [table for name, table in tables.items() if name != "optics" and IMAGE_NAME in table]
        if not particles:
            raise UserError(f"{path} has no table with the column _{IMAGE_NAME}; it is not a particle table")
        if any("rlnTomoSubTomosAre2DStacks" in table for table in tables.values()):
            raise UserError(f"{path} lists subtomograms; only single-particle images are read")
        self._particles = max(particles, key=len)
        if not len(self._particles):
            raise UserError(f"{path} has no particles")
        self._optics = tables.get("optics", Table())
        self._optics_row = self._find_optics_rows() if len(self._optics) else None
        self._given: dict[str, float] = {}
        self._given = self._accept(given)

    def __len__(self) -> int:
        return len(self._particles)

    def has(self, name: str) -> bool:
        """Tell whether there is a column `name`."""
        return name in self._optics or name in self._particles

    def image_names(self) -> list[str]:
        """Return rlnImageName of every particle."""
        return self._particles.text[IMAGE_NAME]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column as finite numbers, one per particle.

        Raises:
            UserError: when there is none, or a value is no finite number (row named).
        """
        if name in self._optics.numbers and self._optics_row is not None:
            values = self._optics.numbers[name][self._optics_row]
        elif name in self._particles.numbers:
            values = self._particles.numbers[name]
        elif name in self._given:
            return np.full(len(self), self._given[name])
        else:
            flag = next((FLAGS[field] for field, column in _GIVEN.items() if column == name), None)
            remedy = f"tell it to `cryoarena convert` by {flag}" if flag else "export the particles again"
            raise UserError(f"{self.path} has no column _{name}; add it or {remedy}")
        good = np.isfinite(values)
        if not good.all():
            row = int(np.argmin(good)) + 1
            raise UserError(f"row {row} of {self.path} has no valid number in column _{name}; correct or remove it")
        return values

    def optional(self, name: str, default: float) -> NDArray[np.float64]:
        """Return a column, or `default` for every particle where there is none."""
        return self.numbers(name) if self.has(name) else np.full(len(self), float(default))

    def the_one(self, values: NDArray[np.float64], what: str) -> float:
        """Return the positive number that all particles share.

        Raises:
            UserError: when they differ.
        """
        distinct = np.unique(values)
        if len(distinct) > 1:
            listed = ", ".join(f"{value:g}" for value in distinct)
            raise UserError(f"{self.path} mixes {what}: {listed}; split it and rescale the images to one")
        if not distinct[0] > 0:
            raise UserError(f"{self.path} gives {distinct[0]:g} where {what} are told; correct the table")
        return float(distinct[0])

    def pixel_sizes_A(self) -> NDArray[np.float64]:
        """Return the pixel size of every image."""
        if self.has("rlnImagePixelSize") or not self.has("rlnDetectorPixelSize"):
            return self.numbers("rlnImagePixelSize")
        # RELION 3.0: the detector's pixel (µm) over the magnification.
        return np.asarray(1e4 * self.numbers("rlnDetectorPixelSize") / self.numbers("rlnMagnification"))

    def particle_ids(self) -> NDArray[np.int64]:
        """Return the particle ids, which are the row numbers from 1 where the table has none."""
        ids = self.given_particle_ids()
        return np.arange(1, len(self) + 1) if ids is None else ids

    def given_particle_ids(self) -> NDArray[np.int64] | None:
        """Return the particle ids; None where there are none, or names of another program: ours are numbers."""
        try:
            # Unsigned 64 bits, as in cryoSPARC; inside, the same bits are signed.
            wide = [int(word) for word in self._particles.text.get(PARTICLE_ID, [""])]
            ids = np.array(wide, np.uint64 if max(wide) >= 2**63 else np.int64).astype(np.int64)
        except (ValueError, OverflowError):
            return None
        distinct, first = np.unique(ids, return_index=True)
        if len(distinct) < len(ids):
            again = int(np.setdiff1d(np.arange(len(ids)), first)[0])
            raise UserError(f"row {again + 1} of {self.path} repeats the particle id {wide[again]}; ids must be unique")
        return ids

    def poses(self, pixel_size_A: float) -> Poses | None:
        """Return the poses, or None where the table has no angles."""
        if not any(self.has(name) for name in ANGLES):
            return None
        rotation = rotation_from_relion(*(self.numbers(name) for name in ANGLES))
        if self.has("rlnOriginXAngst"):
            origin_A = np.stack([self.numbers("rlnOriginXAngst"), self.numbers("rlnOriginYAngst")], axis=1)
        else:
            origin_px = np.stack([self.optional("rlnOriginX", 0), self.optional("rlnOriginY", 0)], axis=1)
            origin_A = origin_px * pixel_size_A
        return Poses(rotation, -origin_A + 0.0)

    def ctf(self) -> CtfParameters | None:
        """Return the CTF parameters, or None where the table has no defocus."""
        if not self.has("rlnDefocusU"):
            return None
        return CtfParameters(
            **{
                field: self.optional(name, 0) if name in _ZERO_IF_ABSENT else self.numbers(name)
                for field, name in CTF.items()
            }
        )

    def beam_tilt_mrad(self) -> NDArray[np.float64] | None:
        """Return the tilt of the beam (N, 2), or None where the table has none."""
        if not any(self.has(name) for name in BEAM_TILT):
            return None
        return np.stack([self.optional(name, 0) for name in BEAM_TILT], axis=1)

    def optics(self) -> dict[str, Any]:
        """Return the fields of a particle set that tell optics groups, as far as the table does."""
        if self._optics_row is not None:
            numbers = self._optics.numbers[OPTICS_GROUP]
            names = self._optics.text.get(OPTICS_NAME, [f"opticsGroup{number:g}" for number in numbers])
            return {"optics_group": self._optics_row.astype(np.int64), "optics_names": tuple(names)}
        if BEAM_TILT_CLASS in self._particles:
            distinct, group = np.unique(self.numbers(BEAM_TILT_CLASS), return_inverse=True)
            return {"optics_group": group, "optics_names": tuple(f"opticsGroup{number:g}" for number in distinct)}
        return {}

    def _accept(self, given: Given) -> dict[str, float]:
        """Return what is given and not in the table, by column; refuse what contradicts the table."""
        accepted = {}
        for field, column in _GIVEN.items():
            value = getattr(given, field)
            if value is None:
                continue
            if field == "pixel_size_A" and self._tells_pixel_sizes():
                require_no_conflict(self.path, FLAGS[field], value, self.pixel_sizes_A())
            elif self.has(column):
                require_no_conflict(self.path, FLAGS[field], value, self.numbers(column))
            else:
                accepted[column] = value
        return accepted

    def _tells_pixel_sizes(self) -> bool:
        return self.has("rlnImagePixelSize") or self.has("rlnDetectorPixelSize")

    def _find_optics_rows(self) -> NDArray[np.int64]:
        """Return for each particle its row in the optics table."""
        for name, table in (("optics", self._optics), ("particles", self._particles)):
            if OPTICS_GROUP not in table.numbers:
                raise UserError(f"the {name} table of {self.path} has no column _{OPTICS_GROUP}; add it")
        known, mine = self._optics.numbers[OPTICS_GROUP], self._particles.numbers[OPTICS_GROUP]
        order = np.argsort(known)
        place = order[np.minimum(np.searchsorted(known, mine, sorter=order), len(known) - 1)]
        if (wrong := known[place] != mine).any():
            row = int(wrong.argmax())
            raise UserError(
                f"row {row + 1} of {self.path} is of optics group {mine[row]:g}, which its optics table lacks; add it"
            )
        return place
