"""Draw backbone dihedral angles of residues in a disordered peptide.

A density is a sum of five products of von Mises distributions, one per basin of the Ramachandran plot. Published: about
where the basins lie (Hollingsworth & Karplus 2010, doi:10.1515/bmc.2010.022), and that residues outside helices and
sheets prefer polyproline II to β and α (Jha et al. 2005, doi:10.1021/bi0474822). Ours: widths and weights, round
numbers that keep that preference, with more β and hardly any left-handed helix for residues branched at CB, and more
of the turn and the left-handed helix for Asp and Asn. Neighbours do not matter; residues before a proline would need
another density.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError


@dataclass(frozen=True)
class _Basin:
    """Centre (φ, ψ) and standard deviations of one basin, all in degrees."""

    centre_deg: tuple[float, float]
    width_deg: tuple[float, float]


_BASINS = (
    _Basin((-68, 146), (16, 18)),  # polyproline II
    _Basin((-118, 135), (22, 22)),  # β
    _Basin((-66, -38), (12, 14)),  # right-handed helix
    _Basin((-92, -4), (18, 18)),  # turn
    _Basin((57, 42), (9, 12)),  # left-handed helix
)
_GENERAL = (0.42, 0.25, 0.18, 0.10, 0.05)
_BRANCHED_AT_CB = (0.36, 0.38, 0.16, 0.09, 0.01)
_TURN_FORMING = (0.37, 0.19, 0.20, 0.14, 0.10)
_WEIGHTS = {
    **dict.fromkeys(
        ("ALA", "ARG", "CYS", "GLN", "GLU", "HIS", "LEU", "LYS", "MET", "PHE", "SER", "TRP", "TYR"), _GENERAL
    ),
    **dict.fromkeys(("ILE", "THR", "VAL"), _BRANCHED_AT_CB),
    **dict.fromkeys(("ASN", "ASP"), _TURN_FORMING),
}


def draw_phi_psi(residue_name: str, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (count, 2) φ and ψ (deg, -180 to 180) of a residue in a disordered peptide.

    Args:
        residue_name: three letters.
        count: number of independent draws.
        rng: random numbers.

    Raises:
        UserError: for a residue that there is no density of: glycine, proline and what is no amino acid.
    """
    if residue_name not in _WEIGHTS:
        raise UserError(
            f"there is no density of φ and ψ for {residue_name}; a linker may hold {', '.join(sorted(_WEIGHTS))}"
        )
    basin = rng.choice(len(_BASINS), count, p=_WEIGHTS[residue_name])
    centre = np.deg2rad([each.centre_deg for each in _BASINS])[basin]
    width = np.deg2rad([each.width_deg for each in _BASINS])[basin]
    # A narrow von Mises distribution has variance 1 / concentration.
    return np.rad2deg(rng.vonmises(centre, width**-2.0))
