"""Superposition of models by a chain that they share."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryoarena.errors import UserError
from cryoarena.structures.atoms import read_atoms
from cryoarena.structures.common_chain import backbone, superpose_by_chain
from model_files import write_pdb

POINTS = np.random.default_rng(0).normal(size=(30, 3)) * 30


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write_pdb(tmp_path / "whole.pdb", POINTS, np.arange(30))


def test_a_part_is_laid_on_the_same_residues(whole: Path, tmp_path: Path) -> None:
    rotation = Rotation.random(rng=np.random.default_rng(1)).as_matrix()
    moved = POINTS @ rotation.T + [10, -20, 5]
    # Residues 5 to 24 only, in another order.
    order = np.random.default_rng(2).permutation(np.arange(5, 25))
    part = read_atoms(write_pdb(tmp_path / "part.pdb", moved[order], order))
    target = backbone(read_atoms(whole), "", "whole")
    placed, rmsd_A = superpose_by_chain(part, backbone(part, "", "part"), target)
    np.testing.assert_allclose(placed.position_A, POINTS[order], atol=5e-3)
    assert rmsd_A < 5e-3


def test_a_protein_serves_when_it_is_named(tmp_path: Path) -> None:
    atoms = read_atoms(write_pdb(tmp_path / "p.pdb", POINTS, np.arange(30), atom_name="CA", chain="P"))
    assert len(backbone(atoms, "P", "p").position_A) == 30
    with pytest.raises(UserError, match=r"p has no RNA to superpose it by.*--set chain="):
        backbone(atoms, "", "p")


def test_a_missing_chain_is_named(whole: Path) -> None:
    with pytest.raises(UserError, match=r"whole.pdb has no chain Q; it has A"):
        backbone(read_atoms(whole), "Q", str(whole))


def test_chains_without_common_residues_are_refused(whole: Path, tmp_path: Path) -> None:
    other = read_atoms(write_pdb(tmp_path / "o.pdb", POINTS, np.arange(28, 58)))
    with pytest.raises(UserError, match=r"chain A of o cannot be superposed on chain A of whole: 2 residues"):
        superpose_by_chain(other, backbone(other, "", "o"), backbone(read_atoms(whole), "", "whole"))
