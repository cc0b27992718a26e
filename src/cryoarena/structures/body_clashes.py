"""Tell whether rigid bodies of a molecule run into each other, in a millisecond."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cryoarena.structures.atoms import Atoms
from cryoarena.structures.clashes import CLASH_DISTANCE_A, HYDROGEN, within_bonds

# Bodies that overlap do so in many places: most of them are found by a sixteenth of the atoms.
_FIRST_LOOK = 16


class BodyClashes:
    """Clashes between rigid bodies that move; two may be large, all others should be small.

    A clash is what `count_clashes` counts: two heavy atoms of different bodies nearer than 2.5 Å and more than three
    bonds apart.
    """

    def __init__(self, atoms: Atoms, bonds: NDArray[np.int64], body: NDArray[np.int64]) -> None:
        """Prepare the search.

        Args:
            atoms: n atoms, where they are before bodies move.
            bonds: (m, 2) pairs of bonded atoms.
            body: (n,) which body an atom belongs to; two of them or more.
        """
        heavy = np.flatnonzero(atoms.atomic_number > HYDROGEN)
        self._body = body
        self._position_A = atoms.position_A
        self._near = within_bonds(bonds, len(atoms), 3)
        by_size = np.argsort(-np.bincount(body[heavy]), kind="stable")
        self._large = tuple(heavy[body[heavy] == number] for number in by_size[:2])
        self._large_body = tuple(int(number) for number in by_size[:2])
        self._small = heavy[~np.isin(body[heavy], by_size[:2])]
        self._trees = tuple(cKDTree(self._position_A[index]) for index in self._large)

    def any(self, rotation: NDArray[np.float64], translation_A: NDArray[np.float64]) -> bool:
        """Tell whether there is a clash when an atom of body b at x goes to rotation[b] x + translation_A[b].

        Args:
            rotation: (B, 3, 3).
            translation_A: (B, 3).
        """
        second = self._moved(self._large[1], rotation, translation_A)
        if self._meet(0, self._large[1][::_FIRST_LOOK], second[::_FIRST_LOOK], rotation, translation_A):
            return True
        small = self._moved(self._small, rotation, translation_A)
        return (
            self._meet(0, self._small, small, rotation, translation_A)
            or self._meet(1, self._small, small, rotation, translation_A)
            or self._meet_each_other(small)
            or self._meet(0, self._large[1], second, rotation, translation_A)
        )

    def _moved(
        self, index: NDArray[np.int64], rotation: NDArray[np.float64], translation_A: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        body = self._body[index]
        if len(index) and (body == body[0]).all():
            return np.asarray(self._position_A[index] @ rotation[body[0]].T + translation_A[body[0]])
        return np.asarray(np.einsum("nij,nj->ni", rotation[body], self._position_A[index]) + translation_A[body])

    def _meet(
        self,
        large: int,
        index: NDArray[np.int64],
        position_A: NDArray[np.float64],
        rotation: NDArray[np.float64],
        translation_A: NDArray[np.float64],
    ) -> bool:
        """Tell whether atoms, moved to their places, clash with a large body: looked up where its tree was built."""
        body = self._large_body[large]
        here = (position_A - translation_A[body]) @ rotation[body]
        found = self._trees[large].query_ball_point(here, CLASH_DISTANCE_A)
        return any(
            self._near[atom, other] == 0
            for atom, others in zip(index, found, strict=True)
            for other in self._large[large][others]
        )

    def _meet_each_other(self, position_A: NDArray[np.float64]) -> bool:
        pairs = cKDTree(position_A).query_pairs(CLASH_DISTANCE_A, output_type="ndarray")
        first, second = self._small[pairs].T
        different = self._body[first] != self._body[second]
        return any(self._near[i, j] == 0 for i, j in zip(first[different], second[different], strict=True))
