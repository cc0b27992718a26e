import numpy as np
import pytest
from scipy.spatial import cKDTree

from cryoarena.errors import UserError
from cryoarena.structures.atoms import Atoms
from cryoarena.structures.backbone_linker import BackboneLinker, find_linker
from cryoarena.structures.body_clashes import BodyClashes
from cryoarena.structures.clashes import within_bonds
from cryoarena.structures.dihedral import dihedral_deg, find_atom, moving_side, rotate_about_bond
from cryoarena.structures.ramachandran import draw_phi_psi
from cryoarena.structures.sample_linker import sample_linker

RESIDUES = (232, 235, 236, 237, 238)


@pytest.fixture(scope="module")
def linker(igg: Atoms, igg_bonds: np.ndarray) -> BackboneLinker:
    return find_linker(igg, igg_bonds, "H", RESIDUES)


@pytest.fixture(scope="module")
def clashes(igg: Atoms, igg_bonds: np.ndarray, linker: BackboneLinker) -> BodyClashes:
    return BodyClashes(igg, igg_bonds, linker.body)


def draw(linker: BackboneLinker, count: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.stack([draw_phi_psi(name, count, rng) for name in linker.residue_names], axis=1)


def moved(igg: Atoms, linker: BackboneLinker, phi_psi_deg: np.ndarray) -> np.ndarray:
    rotation, translation_A = linker.motion(phi_psi_deg[None])
    body = linker.body
    return np.einsum("nij,nj->ni", rotation[0, body], igg.position_A) + translation_A[0, body]


def phi_psi(igg: Atoms, position_A: np.ndarray) -> np.ndarray:
    chain = (230, *RESIDUES, 239)
    angles = []
    for before, here, after in zip(chain, chain[1:], chain[2:], strict=False):
        n, ca, c = (find_atom(igg, "H", here, name) for name in ("N", "CA", "C"))
        phi = [find_atom(igg, "H", before, "C"), n, ca, c]
        psi = [n, ca, c, find_atom(igg, "H", after, "N")]
        angles.append([dihedral_deg(*position_A[phi]), dihedral_deg(*position_A[psi])])
    return np.array(angles)


def test_the_bodies_are_the_fab_the_rest_and_pieces_of_five_residues(igg: Atoms, linker: BackboneLinker) -> None:
    assert linker.residue_names == ("ASP", "LYS", "THR", "HIS", "THR")
    carried, stays = linker.body == 10, linker.body == 0
    assert carried[igg.chain == "L"].all()
    assert stays[np.isin(igg.chain, ["K", "M", "A", "B"])].all()
    heavy = igg.chain == "H"
    assert carried[heavy & (igg.residue_number <= 230)].all()
    assert stays[heavy & (igg.residue_number >= 239)].all()
    np.testing.assert_allclose(linker.dihedral_deg, phi_psi(igg, igg.position_A))


def test_dihedral_angles_become_what_they_are_set_to(igg: Atoms, linker: BackboneLinker) -> None:
    for wanted in draw(linker, 5):
        np.testing.assert_allclose((phi_psi(igg, moved(igg, linker, wanted)) - wanted + 180) % 360 - 180, 0, atol=1e-6)


def test_bonds_and_what_stays_are_kept(igg: Atoms, igg_bonds: np.ndarray, linker: BackboneLinker) -> None:
    position_A = moved(igg, linker, draw(linker, 1)[0])
    first, second = igg_bonds.T
    length_A = np.linalg.norm(igg.position_A[first] - igg.position_A[second], axis=1)
    np.testing.assert_allclose(np.linalg.norm(position_A[first] - position_A[second], axis=1), length_A, atol=1e-9)
    np.testing.assert_array_equal(position_A[linker.body == 0], igg.position_A[linker.body == 0])
    assert np.linalg.norm(position_A - igg.position_A, axis=1).max() > 10


def test_motion_equals_turning_one_bond_after_the_other(
    igg: Atoms, igg_bonds: np.ndarray, linker: BackboneLinker
) -> None:
    wanted = draw(linker, 1)[0]
    atoms = igg
    for number, change in zip(RESIDUES, wanted - linker.dihedral_deg, strict=True):
        n, ca, c = (find_atom(igg, "H", number, name) for name in ("N", "CA", "C"))
        for axis, angle in (((n, ca), change[0]), ((ca, c), change[1])):
            atoms = rotate_about_bond(atoms, *axis, moving_side(igg, igg_bonds, *axis), float(angle))
    np.testing.assert_allclose(moved(igg, linker, wanted), atoms.position_A, atol=1e-8)


def test_clashes_are_those_of_all_pairs(
    igg: Atoms, igg_bonds: np.ndarray, linker: BackboneLinker, clashes: BodyClashes
) -> None:
    near = within_bonds(igg_bonds, len(igg), 3)
    answers = []
    for phi_psi_deg in draw(linker, 60):
        pairs = cKDTree(moved(igg, linker, phi_psi_deg)).query_pairs(2.5, output_type="ndarray")
        pairs = pairs[linker.body[pairs[:, 0]] != linker.body[pairs[:, 1]]]
        expected = any(near[i, j] == 0 for i, j in pairs)
        rotation, translation_A = linker.motion(phi_psi_deg[None])
        assert clashes.any(rotation[0], translation_A[0]) == expected
        answers.append(expected)
    assert 0 < sum(answers) < 60


def test_samples_do_not_clash_and_more_begin_with_those_of_fewer(linker: BackboneLinker, clashes: BodyClashes) -> None:
    few, tries = sample_linker(linker, clashes, 3, np.random.default_rng(5))
    more, more_tries = sample_linker(linker, clashes, 6, np.random.default_rng(5))
    np.testing.assert_array_equal(more[:3], few)
    assert more_tries > tries > 3
    for rotation, translation_A in zip(*linker.motion(more), strict=True):
        assert not clashes.any(rotation, translation_A)


def test_a_linker_without_room_is_told(igg: Atoms, igg_bonds: np.ndarray, linker: BackboneLinker) -> None:
    # The Fab, laid onto the rest: however it turns about the hinge, something is in the way.
    crowded = igg.position_A.copy()
    hinge = crowded[find_atom(igg, "H", 239, "CA")]
    stays = np.flatnonzero(linker.body == 0)
    carried = np.flatnonzero(linker.body == 10)
    directions = np.random.default_rng(0).normal(size=(len(stays), 3))
    shell_A = np.linalg.norm(crowded[carried] - hinge, axis=1).mean()
    crowded[stays] = hinge + shell_A * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    walled = BodyClashes(igg.with_positions(crowded), igg_bonds, linker.body)
    with pytest.raises(UserError, match="5000 draws of the linker in a row clash"):
        sample_linker(linker, walled, 1, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("chain", "residues", "sentence"),
    [
        ("H", (235, 237), "residue H 235 is not followed"),
        ("H", (236, 235), "residue H 236 is not followed"),
        ("H", (233,), "no atom N in residue H 233"),
        ("K", (235,), "the chain is broken at C of residue K 235"),
        ("H", (240,), "is in a ring"),
    ],
)
def test_what_is_no_linker_is_refused(
    igg: Atoms, igg_bonds: np.ndarray, chain: str, residues: tuple[int, ...], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        find_linker(igg, igg_bonds, chain, residues)
