"""What a table would say of the sampled images if some of it were read otherwise."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from cryoarena.particles.doctor.reading import Reading
from cryoarena.particles.particle_set import ParticleSet


@final
@dataclass(frozen=True)
class Change:
    """One thing that may be wrong in a table.

    Attributes:
        check: which it belongs to.
        name: what the images show, to follow "the images agree better with …".
        remedy: what to do, as an imperative.
        apply: turns a reading into the other, row by row.
    """

    check: str
    name: str
    remedy: str
    apply: Callable[[Reading], Reading]


@final
@dataclass(frozen=True)
class RowOrder:
    """Which rows of the table tell of the sampled images.

    Attributes:
        name, remedy: as of a `Change`.
        pose_rows, ctf_rows: (n,) rows of the table.
    """

    name: str
    remedy: str
    pose_rows: NDArray[np.int64]
    ctf_rows: NDArray[np.int64]


@final
@dataclass(frozen=True)
class Hypothesis:
    """A table, the rows of it that tell of the images, and what is read otherwise.

    Attributes:
        table: with poses and CTF; all its rows.
        rows: of the sampled images.
        changes: one after another.
    """

    table: ParticleSet
    rows: RowOrder
    changes: tuple[Change, ...] = ()

    def reading(self) -> Reading:
        """Return poses and CTF of the sampled images."""
        if self.table.poses is None:
            raise ValueError("a hypothesis needs poses")
        reading = Reading(
            self.table.poses[self.rows.pose_rows],
            None if self.table.ctf is None else self.table.ctf[self.rows.ctf_rows],
        )
        for change in self.changes:
            reading = change.apply(reading)
        return reading

    def and_changed(self, change: Change) -> "Hypothesis":
        """Return the hypothesis with one more change."""
        return replace(self, changes=(*self.changes, change))

    def with_rows(self, rows: RowOrder) -> "Hypothesis":
        """Return the hypothesis with other rows."""
        return replace(self, rows=rows)
