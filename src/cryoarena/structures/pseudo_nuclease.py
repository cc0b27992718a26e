"""A two-lobed nuclease of pseudo-atoms built by code, with a place where a duplex of DNA leaves it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from cryoarena.structures.atoms import Atoms, centred
from cryoarena.structures.ig_domain import CONSTANT, VARIABLE, backbone
from cryoarena.structures.side_chains import with_side_chains

# Columns of domains from one end of the molecule to the other, and how many domains lie in each: 15 domains of 11 kDa.
_COLUMNS = (4, 4, 4, 3)
_FIXED_COLUMNS = 2
_COLUMN_SPACING_A = 32.0
_ROW_SPACING_A = 28.0
_CLEFT_A = 2.0
_TILT_DEG = 20.0
_DUPLEX_START_A = np.array([-36.0, -4.0, 24.0])
_DUPLEX_DIRECTION = np.array([-0.35, -0.15, 0.92])


@dataclass(frozen=True)
class PseudoNuclease:
    """A body of 158 kDa and 130 x 110 x 50 Å.

    Attributes:
        atoms: n, centred; two pseudo-atoms per residue, one chain per domain.
        lobe: (n,) mask of the lobe that moves: two of the four columns of domains.
        duplex_start_A: (3,) where the first base pair of a duplex lies.
        duplex_direction: (3,) unit vector along which it leaves the body.
    """

    atoms: Atoms
    lobe: NDArray[np.bool_]
    duplex_start_A: NDArray[np.float64]
    duplex_direction: NDArray[np.float64]

    def with_lobe_turned(self, angle_deg: float) -> Atoms:
        """Return the body with its lobe twisted against the rest about the long axis x: nothing comes nearer."""
        position_A = self.atoms.position_A.copy()
        # About a line through the centre of the lobe.
        pivot_A = position_A[self.lobe].mean(axis=0)
        turn = Rotation.from_euler("x", angle_deg, degrees=True)
        position_A[self.lobe] = turn.apply(position_A[self.lobe] - pivot_A) + pivot_A
        return self.atoms.with_positions(position_A)


def build_pseudo_nuclease(seed: int = 0) -> PseudoNuclease:
    """Build a body of immunoglobulin-like domains that lie side by side, each turned a little at random.

    As large as Cas9 with its guide RNA (Nishimasu et al. 2014, doi:10.1016/j.cell.2014.02.001: two lobes, 158 kDa
    without RNA), not its fold: what matters is a body of known mass with a lobe that moves.

    Args:
        seed: of the tilts and the side chains.
    """
    rng = np.random.default_rng(seed)
    chains: dict[str, NDArray[np.float64]] = {}
    in_lobe: list[NDArray[np.bool_]] = []
    for column, rows in enumerate(_COLUMNS):
        for row in range(rows):
            fold = VARIABLE if (column + row) % 2 else CONSTANT
            tilt = Rotation.from_euler("xyz", rng.uniform(-_TILT_DEG, _TILT_DEG, 3), degrees=True)
            flip = Rotation.from_euler("y", 180 * (row % 2), degrees=True)
            centre_A = [
                _COLUMN_SPACING_A * column + _CLEFT_A * (column >= _FIXED_COLUMNS),
                _ROW_SPACING_A * (row - (rows - 1) / 2),
                0.0,
            ]
            main = (tilt * flip).apply(backbone(fold)) + centre_A
            chains[chr(ord("A") + len(chains))] = main
            in_lobe.append(np.full(2 * len(main), column >= _FIXED_COLUMNS))
    atoms = centred(with_side_chains(chains, rng))
    direction = _DUPLEX_DIRECTION / np.linalg.norm(_DUPLEX_DIRECTION)
    return PseudoNuclease(atoms, np.concatenate(in_lobe), _DUPLEX_START_A, direction)
