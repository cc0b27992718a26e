"""Count atoms that the turning part of a molecule pushes into the rest."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, eye_array
from scipy.spatial import cKDTree

from cryoarena.structures.atoms import Atoms

CLASH_DISTANCE_A = 2.5
HYDROGEN = 1


def count_clashes(
    atoms: Atoms,
    bonds: NDArray[np.int64],
    moving: NDArray[np.bool_],
    distance_A: float = CLASH_DISTANCE_A,
) -> int:
    """Return the number of pairs of heavy atoms, one moving and one not, that are too near each other.

    Too near is below 2.5 Å: shorter than any hydrogen bond, so no two atoms that are not bonded can be there.
    Pairs at most three bonds apart are left out, since their distance is that of the bonds between them.

    Args:
        atoms: n atoms, as turned.
        bonds: (m, 2) pairs of bonded atoms, from the structure before it was turned.
        moving: (n,) mask of the part that was turned.
        distance_A: pairs nearer than this count.
    """
    heavy = atoms.atomic_number > HYDROGEN
    turned, still = np.flatnonzero(moving & heavy), np.flatnonzero(~moving & heavy)
    if len(turned) == 0 or len(still) == 0:
        return 0
    near = cKDTree(atoms.position_A[turned]).sparse_distance_matrix(
        cKDTree(atoms.position_A[still]), distance_A, output_type="ndarray"
    )
    first, second = turned[near["i"]], still[near["j"]]
    within_three = within_bonds(bonds, len(atoms), 3)
    return int(sum(within_three[i, j] == 0 for i, j in zip(first, second, strict=True)))


def within_bonds(bonds: NDArray[np.int64], n: int, most: int) -> csr_array[np.float64]:
    """Return the sparse (n, n) matrix that is non-zero where two atoms are at most `most` bonds apart."""
    one = coo_array((np.ones(len(bonds)), bonds.T), shape=(n, n)).tocsr()
    step = one + one.T + eye_array(n, format="csr")
    reach = step
    for _ in range(most - 1):
        reach = reach @ step
    return reach
