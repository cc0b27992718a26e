"""Collective variables of a molecule, told by expressions such as "angle: resid 1-20 | resid 40-60 | resid 90"."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.structures.dihedral import dihedral_deg
from cryoarena.structures.superpose import superpose

_GROUPS_OF_KIND = {"distance": 2, "angle": 3, "dihedral": 4, "rmsd": 1}


@dataclass(frozen=True)
class CvExpression:
    """A quantity of the centres of some groups of atoms, or the RMSD of one group from where it first was.

    Attributes:
        kind: "distance" (Å), "angle" (deg, at the second group), "dihedral" (deg, IUPAC sign) or "rmsd" (Å, after
            superposition).
        selections: of the groups, in MDAnalysis' language.
    """

    kind: str
    selections: tuple[str, ...]

    @property
    def text(self) -> str:
        """Return the expression as it is written."""
        return f"{self.kind}: {' | '.join(self.selections)}"

    @property
    def unit(self) -> str:
        """Return the unit of the values."""
        return "deg" if self.kind in ("angle", "dihedral") else "Å"

    @property
    def period(self) -> float | None:
        """Return the period of a dihedral angle; the others have none."""
        return 360.0 if self.kind == "dihedral" else None

    def value(
        self, groups_A: Sequence[NDArray[np.floating[Any]]], first_A: Sequence[NDArray[np.floating[Any]]]
    ) -> float:
        """Return the value in one frame.

        Args:
            groups_A: atoms (n_i, 3) of every group.
            first_A: the same in the first frame.
        """
        if self.kind == "rmsd":
            return rmsd_A(groups_A[0], first_A[0])
        centres = [np.asarray(group, np.float64).mean(axis=0) for group in groups_A]
        if self.kind == "distance":
            return float(np.linalg.norm(centres[1] - centres[0]))
        if self.kind == "angle":
            first, second = centres[0] - centres[1], centres[2] - centres[1]
            return float(np.rad2deg(np.arctan2(np.linalg.norm(np.cross(first, second)), first @ second)))
        return dihedral_deg(*centres)


def parse_cv(text: str) -> CvExpression:
    """Read an expression: a kind, a colon, and as many selections as the kind needs, separated by bars.

    Raises:
        UserError: when it is none.
    """
    kind, colon, rest = (part.strip() for part in text.partition(":"))
    selections = tuple(part.strip() for part in rest.split("|"))
    wanted = _GROUPS_OF_KIND.get(kind)
    if not colon or wanted is None or len(selections) != wanted or not all(selections):
        raise UserError(
            f"{text!r} is no collective variable; write distance: A | B, angle: A | B | C, dihedral: A | B | C | D or "
            "rmsd: A, where every letter is a selection of atoms"
        )
    return CvExpression(kind, selections)


def rmsd_A(position_A: NDArray[np.floating[Any]], reference_A: NDArray[np.floating[Any]]) -> float:
    """Return the root-mean-square distance of two sets of n atoms (n, 3), superposed."""
    rotation, translation_A = superpose(position_A, reference_A)
    return float(np.sqrt(((position_A @ rotation.T + translation_A - reference_A) ** 2).sum(axis=1).mean()))
