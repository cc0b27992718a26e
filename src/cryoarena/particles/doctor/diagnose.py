"""Examine a particle stack."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

from cryoarena.errors import UserError
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.doctor.examination import Examination
from cryoarena.particles.doctor.finding import Finding, Verdict
from cryoarena.particles.doctor.image_checks import check_duplicates, check_normalisation
from cryoarena.particles.doctor.sampled_images import sample_images, spread_rows
from cryoarena.progress import Report, silent
from cryoarena.volumes.mrc import read_grid

# In cycles per box: 12 to 14 Å for usual boxes, where most conventions show and maps are small.
_RADIUS = 31
_SMALLEST_BOX_PX = 16


@final
@dataclass(frozen=True)
class Diagnosis:
    """What was found in a stack.

    Attributes:
        images: how many were looked at.
        findings: one per check.
    """

    images: int
    findings: tuple[Finding, ...]

    @property
    def is_fine(self) -> bool:
        """Return whether nothing is wrong."""
        return all(finding.verdict is not Verdict.WRONG for finding in self.findings)


def diagnose(
    stack: Path,
    reference: Path | None = None,
    images: int = 1000,
    seed: int = 0,
    progress: Report = silent,
) -> Diagnosis:
    """Examine some images of a stack in the conventions that are common.

    Args:
        stack: dataset folder, .star or .cs file.
        reference: map of the same particle, or None.
        images: how many to look at, spread evenly.
        seed: of the halves and of shuffled poses.
        progress: told how far it is.

    Raises:
        UserError: when the stack or the reference cannot be read, the box is odd or tiny, or no images are asked for.
    """
    if images < 1:
        raise UserError(f"--images must be at least 1, not {images}")
    table = open_particles(stack)
    if table.box_px % 2 or table.box_px < _SMALLEST_BOX_PX:
        raise UserError(
            f"{stack} has images of {table.box_px} px; an even box of at least "
            f"{_SMALLEST_BOX_PX} px is needed: crop them"
        )
    if reference is not None:
        # A wrong name should not be told after a minute.
        read_grid(reference)
    rows = spread_rows(len(table), images)
    findings = [check_normalisation(table, rows), check_duplicates(table)]
    sampled = sample_images(table.subset(rows), _RADIUS, seed)
    findings += Examination(table, rows, sampled, reference, seed, progress).findings()
    progress(1, 1)
    return Diagnosis(len(rows), tuple(findings))
