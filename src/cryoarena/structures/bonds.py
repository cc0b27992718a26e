"""Covalent bonds, found from distances alone."""

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cryoarena.structures.atoms import Atoms

BOND_TOLERANCE_A = 0.4
_SHORTEST_BOND_A = 0.4


def covalent_bonds(atoms: Atoms) -> NDArray[np.int64]:
    """Return the (m, 2) pairs i < j of bonded atoms.

    Two atoms are bonded when they are nearer than the sum of their covalent radii (Cordero et al. 2008,
    doi:10.1039/b801115j) plus 0.4 Å, and not on top of each other. Residue numbers are never used: they jump
    where nothing is missing, do not where something is, and say nothing of disulfides and glycans.
    """
    numbers, inverse = np.unique(atoms.atomic_number, return_inverse=True)
    radius_A = np.array([gemmi.Element(int(number)).covalent_r for number in numbers])[inverse]
    reach_A = 2 * float(radius_A.max()) + BOND_TOLERANCE_A
    pairs = cKDTree(atoms.position_A).query_pairs(reach_A, output_type="ndarray")
    distance_A = np.linalg.norm(atoms.position_A[pairs[:, 0]] - atoms.position_A[pairs[:, 1]], axis=1)
    longest_A = radius_A[pairs].sum(axis=1) + BOND_TOLERANCE_A
    bonded = pairs[(distance_A > _SHORTEST_BOND_A) & (distance_A < longest_A)]
    return np.asarray(bonded[np.lexsort((bonded[:, 1], bonded[:, 0]))], np.int64)
