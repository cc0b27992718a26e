"""A stretch of backbone whose dihedral angles are free, between two ends that stay rigid."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from cryoarena.errors import UserError
from cryoarena.structures.atoms import Atoms
from cryoarena.structures.dihedral import dihedral_deg, find_atom, moving_side


@dataclass(frozen=True)
class BackboneLinker:
    """R residues of one chain whose φ and ψ are free; the N-terminal side is carried, the C-terminal side stays.

    The 2R bonds cut the molecule into 2R + 1 rigid bodies. Body 0 stays; the last one is what is carried.

    Attributes:
        residue_names: (R,) three letters, along the chain.
        body: (n,) which body an atom belongs to.
        dihedral_deg: (R, 2) φ and ψ of the residues in the model.
        axis_origin_A: (2R, 3) a point on every bond, outwards from the one next to body 0.
        axis_direction: (2R, 3) unit vectors along them that point to the side that is carried.
    """

    residue_names: tuple[str, ...]
    body: NDArray[np.int64]
    dihedral_deg: NDArray[np.float64]
    axis_origin_A: NDArray[np.float64]
    axis_direction: NDArray[np.float64]

    def motion(self, phi_psi_deg: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return how the bodies move when the dihedral angles are set.

        Args:
            phi_psi_deg: (K, R, 2) φ and ψ of every residue.

        Returns:
            Rotations (K, 2R + 1, 3, 3) and translations (K, 2R + 1, 3) in Å: an atom of body b at x goes to R x + t.
        """
        change = (phi_psi_deg - self.dihedral_deg)[:, ::-1, ::-1].reshape(len(phi_psi_deg), -1)
        bodies = change.shape[1] + 1
        rotation = np.tile(np.eye(3), (len(change), bodies, 1, 1))
        translation_A = np.zeros((len(change), bodies, 3))
        for number, (origin, axis) in enumerate(zip(self.axis_origin_A, self.axis_direction, strict=True)):
            turn = Rotation.from_rotvec(np.deg2rad(change[:, number, None]) * axis).as_matrix()
            shift = origin - turn @ origin
            # First the turn about the bond as it lies in the model, then what the bodies before it do.
            before, moved = rotation[:, number], translation_A[:, number]
            rotation[:, number + 1] = before @ turn
            translation_A[:, number + 1] = np.einsum("kij,kj->ki", before, shift) + moved
        return rotation, translation_A


def find_linker(atoms: Atoms, bonds: NDArray[np.int64], chain: str, residue_numbers: Sequence[int]) -> BackboneLinker:
    """Find the linker that some residues form.

    Args:
        atoms: n atoms.
        bonds: (m, 2) pairs of bonded atoms.
        chain: name of their chain.
        residue_numbers: along the chain; they need not be consecutive numbers but bonded one to the next.

    Raises:
        UserError: when an atom of the backbone is missing, the chain is broken, or a bond cannot turn.
    """
    quadruples = []
    for number in residue_numbers:
        n, ca, c = (find_atom(atoms, chain, number, name) for name in ("N", "CA", "C"))
        before = _bonded(atoms, bonds, n, "C")
        after = _bonded(atoms, bonds, c, "N")
        quadruples.append(((before, n, ca, c), (n, ca, c, after)))
    for number, (residue, following) in zip(residue_numbers, pairwise(quadruples), strict=False):
        if residue[1][3] != following[0][1]:
            raise UserError(f"residue {chain} {number} is not followed by the next one named; name all, in order")
    position_A = atoms.position_A
    angles = [[dihedral_deg(*position_A[list(four)]) for four in residue] for residue in quadruples]
    # Outwards from the end that stays: ψ of the last residue, its φ, ψ of the one before …
    outwards = [four for residue in reversed(quadruples) for four in reversed(residue)]
    origin_A = position_A[[four[2] for four in outwards]]
    direction = position_A[[four[1] for four in outwards]] - origin_A
    return BackboneLinker(
        residue_names=tuple(str(atoms.residue_name[residue[0][1]]) for residue in quadruples),
        # Every bond further out moves a part of what the one before moves.
        body=np.sum([moving_side(atoms, bonds, four[1], four[2]) for four in outwards], axis=0, dtype=np.int64),
        dihedral_deg=np.array(angles),
        axis_origin_A=origin_A,
        axis_direction=direction / np.linalg.norm(direction, axis=1, keepdims=True),
    )


def _bonded(atoms: Atoms, bonds: NDArray[np.int64], index: int, atom_name: str) -> int:
    """Return the atom of another residue, of some name, that is bonded to an atom."""
    partners = np.concatenate([bonds[bonds[:, 0] == index, 1], bonds[bonds[:, 1] == index, 0]])
    here = (atoms.residue_number[partners] == atoms.residue_number[index]) & (
        atoms.insertion_code[partners] == atoms.insertion_code[index]
    )
    found = partners[~here & (atoms.atom_name[partners] == atom_name)]
    if len(found) != 1:
        raise UserError(
            f"the chain is broken at {atoms.atom_name[index]} of residue {atoms.chain[index]} "
            f"{atoms.residue_number[index]}: no {atom_name} of another residue is bonded to it; give a complete model"
        )
    return int(found[0])
