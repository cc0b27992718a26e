"""What a result says of the job that it comes from, and in what order its rows are."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.methods.external.cryosparc.job_folder import FINAL, JobFolder
from cryoarena.particles.particle_set import ParticleSet


def in_order(rows: NDArray[np.int64], table: Path, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Return how to sort rows (M,) of a set of `count` particles, and which they then are (None: all).

    Raises:
        UserError: when one is there twice.
    """
    order = np.argsort(rows)
    kept = rows[order]
    if (again := kept[1:] == kept[:-1]).any():
        raise UserError(
            f"{table} and its like have the image of row {kept[int(again.argmax())] + 1} of the dataset twice; "
            "undo a symmetry expansion before the job, or give the tables of one iteration"
        )
    return order, kept if len(kept) < count else None


def about(
    job: JobFolder, iteration: int, rows: int, box_px: int | None, opposite: bool, particles: ParticleSet
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the notes and facts of a result.

    Args:
        job: that it comes from.
        iteration: that was read.
        rows: particles that it has.
        box_px: of its maps; None where it has none.
        opposite: whether the sign of maps is changed.
        particles: of the dataset.
    """
    notes = []
    if not job.complete:
        notes.append("job.json says that the job did not end well; its last files were read")
    if rows < len(particles):
        notes.append(f"{len(particles) - rows} of {len(particles)} particles are not in the job's output")
    if box_px not in (None, particles.box_px):
        notes.append(f"the maps have a box of {box_px}; they are brought to {particles.box_px}")
    if opposite:
        notes.append("cryoSPARC was told the wrong sign of the images (blob/sign); the sign of its maps is changed")
    found = dict(job.about) | ({} if box_px is None else {"box_px": box_px})
    if iteration >= 0:
        found["iteration"] = "final" if iteration == FINAL else iteration
    return tuple(notes), found
