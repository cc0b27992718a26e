"""Sample conformations of a flexible linker that are free of clashes."""

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.progress import Report, silent
from cryoarena.structures.backbone_linker import BackboneLinker
from cryoarena.structures.body_clashes import BodyClashes
from cryoarena.structures.ramachandran import draw_phi_psi

_BATCH = 200
_MOST_TRIES = 5_000


def sample_linker(
    linker: BackboneLinker, clashes: BodyClashes, count: int, rng: np.random.Generator, report: Report = silent
) -> tuple[NDArray[np.float64], int]:
    """Draw φ and ψ of every residue of a linker as in a disordered peptide; reject draws that clash.

    More conformations of the same `rng` begin with those of fewer.

    Args:
        linker: R residues.
        clashes: of its bodies.
        count: how many conformations to return.
        rng: random numbers.
        report: told how many are found.

    Returns:
        (count, R, 2) φ and ψ (deg), and how many draws it took.

    Raises:
        UserError: when 5,000 draws in a row clash.
    """
    found: list[NDArray[np.float64]] = []
    tries = failed = 0
    while True:
        phi_psi_deg = np.stack([draw_phi_psi(name, _BATCH, rng) for name in linker.residue_names], axis=1)
        for angles, rotation, translation_A in zip(phi_psi_deg, *linker.motion(phi_psi_deg), strict=True):
            tries += 1
            failed += 1
            if clashes.any(rotation, translation_A):
                continue
            found.append(angles)
            failed = 0
            report(len(found), count)
            if len(found) == count:
                return np.stack(found), tries
        if failed >= _MOST_TRIES:
            raise UserError(
                f"{failed} draws of the linker in a row clash ({len(found)} of {count} conformations were found); "
                "give a structure that leaves it more room"
            )
