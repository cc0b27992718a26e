"""Beads of residues."""

from pathlib import Path

import numpy as np

from cryoarena.structures.atoms import read_atoms
from cryoarena.structures.beads import residue_beads


def test_beads_keep_the_density_and_its_centre(igg) -> None:
    beads = residue_beads(igg)
    assert beads.atomic_number.sum() == igg.atomic_number.sum()
    np.testing.assert_allclose(
        np.average(beads.position_A, axis=0, weights=beads.atomic_number),
        np.average(igg.position_A, axis=0, weights=igg.atomic_number),
        atol=1e-9,
    )
    residues = set(zip(igg.chain, igg.residue_number, igg.insertion_code, strict=True))
    assert len(beads) == len(residues)


def test_a_residue_is_one_bead_at_its_centre(make_atoms) -> None:
    atoms = make_atoms(
        [[0, 0, 0], [4, 0, 0], [9, 9, 9]], residue_number=np.array([1, 1, 2]), atomic_number=np.array([6, 18, 8])
    )
    beads = residue_beads(atoms)
    np.testing.assert_allclose(beads.position_A, [[3, 0, 0], [9, 9, 9]])
    np.testing.assert_array_equal(beads.atomic_number, [24, 8])


def test_a_nucleotide_is_phosphate_sugar_and_base(mirror: Path) -> None:
    atoms = read_atoms(mirror / "models" / "ribosome50S_maven" / "RNA1.pdb.gz")
    first = atoms[(atoms.chain == atoms.chain[0]) & (atoms.residue_number == atoms.residue_number[0])]
    beads = residue_beads(first)
    assert len(beads) == 3
    phosphate = first[np.isin(first.atom_name, ["P", "OP1", "OP2"])]
    np.testing.assert_allclose(
        beads.position_A[0], np.average(phosphate.position_A, axis=0, weights=phosphate.atomic_number)
    )
    # Six heavy atoms or so apart.
    assert 2 < np.linalg.norm(beads.position_A[0] - beads.position_A[1]) < 6
    assert 2 < np.linalg.norm(beads.position_A[1] - beads.position_A[2]) < 6
