"""Coarse-grain a model: one bead per amino acid, three per nucleotide."""

import numpy as np
from numpy.typing import NDArray

from cryoarena.structures.atoms import Atoms

_PHOSPHATE = ("P", "OP1", "OP2", "OP3", "O1P", "O2P", "O3P")


def residue_beads(atoms: Atoms) -> Atoms:
    """Join the atoms of every residue, and of phosphate, sugar and base of every nucleotide, into one bead each.

    A bead lies at the centre of its atoms weighted by atomic number and has the sum of their atomic numbers, so that
    the density keeps its total and its centre. A nucleotide is a residue that has a C1'.

    Args:
        atoms: residues must stand together in them.

    Returns:
        The beads in the order of the residues, named like the first atom of each.
    """
    new = np.ones(len(atoms), bool)
    keys = (atoms.chain, atoms.residue_number, atoms.insertion_code)
    new[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    residue = np.cumsum(new) - 1
    is_nucleotide = np.isin(residue, residue[atoms.atom_name == "C1'"])
    part = np.where(is_nucleotide, _part_of_nucleotide(atoms), 0)
    _, first, bead = np.unique(3 * residue + part, return_index=True, return_inverse=True)
    weight = np.bincount(bead, atoms.atomic_number)
    position_A = np.stack(
        [np.bincount(bead, atoms.atomic_number * atoms.position_A[:, axis]) / weight for axis in range(3)], axis=1
    )
    joined = atoms[first].with_positions(position_A)
    return Atoms(**{**vars(joined), "atomic_number": weight.astype(np.int64)})


def _part_of_nucleotide(atoms: Atoms) -> NDArray[np.int64]:
    """Return 0 for phosphate, 1 for sugar, 2 for base."""
    is_sugar = np.char.endswith(atoms.atom_name, "'")
    return np.where(np.isin(atoms.atom_name, _PHOSPHATE), 0, np.where(is_sugar, 1, 2))
