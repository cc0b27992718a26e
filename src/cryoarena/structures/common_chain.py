"""Superpose a model on another by a chain that both have."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.structures.atoms import Atoms, select_chains
from cryoarena.structures.superpose import superpose

_NUCLEOTIDE_ATOM = "C4'"
_BACKBONE_ATOMS = (_NUCLEOTIDE_ATOM, "CA")
_FEWEST_RESIDUES = 3


@dataclass(frozen=True)
class Backbone:
    """One atom of every residue of a chain (C4' of nucleotides, CA of amino acids), by number and insertion code."""

    position_A: dict[tuple[int, str], NDArray[np.float64]]
    source: str


def backbone(atoms: Atoms, chain: str, source: str) -> Backbone:
    """Return the backbone of a chain.

    Args:
        atoms: of a model.
        chain: its name; "" for the nucleic acid with the most residues.
        source: names the model in an error.

    Raises:
        UserError: when the chain is not there.
    """
    name = chain or _longest_nucleic_acid(atoms, source)
    of_chain = select_chains(atoms, (name,), source)
    of_chain = of_chain[np.isin(of_chain.atom_name, _BACKBONE_ATOMS)]
    residues = zip(of_chain.residue_number.tolist(), of_chain.insertion_code.tolist(), strict=True)
    return Backbone(dict(zip(residues, of_chain.position_A, strict=True)), f"chain {name} of {source}")


def superpose_by_chain(atoms: Atoms, mobile: Backbone, target: Backbone) -> tuple[Atoms, float]:
    """Move a model so that the residues of a chain lie on the same residues of another; also return the RMSD (Å).

    Args:
        atoms: the model.
        mobile: backbone of its chain.
        target: what that is laid on.

    Raises:
        UserError: when fewer than three residues have the same number in both.
    """
    common = sorted(mobile.position_A.keys() & target.position_A.keys())
    if len(common) < _FEWEST_RESIDUES:
        raise UserError(
            f"{mobile.source} cannot be superposed on {target.source}: {len(common)} residues have the same number in "
            "both; name a chain that all have (--set chain=…)"
        )
    here = np.array([mobile.position_A[residue] for residue in common])
    there = np.array([target.position_A[residue] for residue in common])
    rotation, translation_A = superpose(here, there)
    rmsd_A = float(np.sqrt(((here @ rotation.T + translation_A - there) ** 2).sum(axis=1).mean()))
    return atoms.with_positions(atoms.position_A @ rotation.T + translation_A), rmsd_A


def _longest_nucleic_acid(atoms: Atoms, source: str) -> str:
    names, counts = np.unique(atoms.chain[atoms.atom_name == _NUCLEOTIDE_ATOM], return_counts=True)
    if not len(names):
        raise UserError(f"{source} has no RNA to superpose it by; name a chain that all have (--set chain=…)")
    return str(names[counts.argmax()])
