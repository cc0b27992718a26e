import gemmi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryoarena.errors import UserError
from cryoarena.structures.bonds import covalent_bonds
from cryoarena.structures.dihedral import dihedral_deg, find_atom, moving_side, rotate_about_bond


@pytest.fixture(scope="module")
def psi(igg):
    """Return the indices of N, CA, C of H230 and of N of the next residue, which is numbered 232."""
    atoms = [find_atom(igg, "H", 230, name) for name in ("N", "CA", "C")]
    return [*atoms, find_atom(igg, "H", 232, "N")]


@pytest.fixture(scope="module")
def fab(igg, igg_bonds, psi):
    return moving_side(igg, igg_bonds, psi[1], psi[2])


def _wrapped(angle):
    return (angle + 180) % 360 - 180


@given(st.lists(st.floats(-10, 10), min_size=12, max_size=12))
def test_dihedral_has_the_sign_of_gemmi(values):
    points = np.reshape(values, (4, 3))
    normals = [np.cross(points[i + 1] - points[i], points[i + 2] - points[i + 1]) for i in (0, 1)]
    if min(np.linalg.norm(normal) for normal in normals) < 1e-2 or np.linalg.norm(points[2] - points[1]) < 1e-2:
        return
    outside = np.rad2deg(gemmi.calculate_dihedral(*[gemmi.Position(*point) for point in points]))
    assert abs(_wrapped(dihedral_deg(*points) - outside)) < 1e-6


def test_moving_side_is_the_fab_and_nothing_else(igg, fab, psi):
    assert np.all(fab[igg.chain == "L"])
    assert not np.any(fab[np.isin(igg.chain, ["K", "M", "A", "B"])])
    heavy = igg.chain == "H"
    assert np.all(fab[heavy & (igg.residue_number < 230)])
    assert not np.any(fab[heavy & (igg.residue_number > 230)])
    at_bond = heavy & (igg.residue_number == 230)
    assert set(igg.atom_name[at_bond & fab]) == {"N", "CA", "CB", "SG"}
    assert set(igg.atom_name[at_bond & ~fab]) == {"C", "O"}


@pytest.mark.parametrize("angle", [36.0, -3.6, 200.0])
def test_psi_grows_by_exactly_the_angle(igg, fab, psi, angle):
    before = dihedral_deg(*igg.position_A[psi])
    turned = rotate_about_bond(igg, psi[1], psi[2], fab, angle)
    assert abs(_wrapped(dihedral_deg(*turned.position_A[psi]) - before - angle)) < 1e-9


def test_either_side_may_turn_and_either_end_may_come_first(igg, fab, psi):
    before = dihedral_deg(*igg.position_A[psi])
    for moving in (fab, ~fab):
        for axis in ((psi[1], psi[2]), (psi[2], psi[1])):
            turned = rotate_about_bond(igg, *axis, moving, 36.0)
            assert abs(_wrapped(dihedral_deg(*turned.position_A[psi]) - before - 36.0)) < 1e-9


def test_turning_keeps_bonds_and_the_rest_still_and_the_light_chain_rigid(igg, igg_bonds, fab, psi):
    turned = rotate_about_bond(igg, psi[1], psi[2], fab, 36.0)

    def lengths(atoms, pairs):
        return np.linalg.norm(atoms.position_A[pairs[:, 0]] - atoms.position_A[pairs[:, 1]], axis=1)

    np.testing.assert_allclose(lengths(turned, igg_bonds), lengths(igg, igg_bonds), atol=1e-9)
    np.testing.assert_array_equal(turned.position_A[~fab], igg.position_A[~fab])
    light = np.flatnonzero(igg.chain == "L")
    pairs = np.random.default_rng(0).choice(light, (5000, 2))
    np.testing.assert_allclose(lengths(turned, pairs), lengths(igg, pairs), atol=1e-9)
    assert np.linalg.norm(turned.position_A[light] - igg.position_A[light], axis=1).max() > 20


def test_a_full_circle_comes_back(igg, fab, psi):
    turned = rotate_about_bond(igg, psi[1], psi[2], fab, 360.0)
    np.testing.assert_allclose(turned.position_A, igg.position_A, atol=1e-9)


def test_an_unbound_chain_rides_along_on_request(igg, igg_bonds, psi):
    alone = igg[igg.chain != "L"]
    ends = [find_atom(alone, "H", 230, name) for name in ("CA", "C")]
    without = moving_side(alone, covalent_bonds(alone), *ends)
    riding = moving_side(alone, covalent_bonds(alone), *ends, riding_chains=["A"])
    np.testing.assert_array_equal(riding, without | (alone.chain == "A"))
    with pytest.raises(UserError, match="chain K cannot ride along: it is covalently bound to the side of H 230 C"):
        moving_side(igg, igg_bonds, psi[1], psi[2], riding_chains=["K"])


def test_a_bond_in_a_ring_and_a_bond_that_is_none_are_refused(igg, igg_bonds):
    proline = [find_atom(igg, "H", 227, name) for name in ("N", "CA")]
    with pytest.raises(UserError, match="bond H 227 N - H 227 CA is in a ring"):
        moving_side(igg, igg_bonds, *proline)
    # The disulfide H22-H92 closes a ring, so the whole backbone between them cannot turn.
    with pytest.raises(UserError, match="is in a ring"):
        moving_side(igg, igg_bonds, find_atom(igg, "H", 50, "CA"), find_atom(igg, "H", 50, "C"))
    with pytest.raises(UserError, match="H 50 CA - H 60 CA are not bonded"):
        moving_side(igg, igg_bonds, find_atom(igg, "H", 50, "CA"), find_atom(igg, "H", 60, "CA"))


def test_a_missing_atom_is_named_and_insertion_codes_are_told_apart(igg):
    with pytest.raises(UserError, match="no atom CA in residue H 231, which has no atoms"):
        find_atom(igg, "H", 231, "CA")
    with pytest.raises(UserError, match="no atom CG in residue H 230, which has N, CA, C, O, CB, SG"):
        find_atom(igg, "H", 230, "CG")
    plain, inserted = find_atom(igg, "H", 52, "CA"), find_atom(igg, "H", 52, "CA", "A")
    assert list(igg.residue_name[[plain, inserted]]) == ["ASN", "PRO"]


def test_a_side_with_both_ends_is_refused(igg, psi):
    with pytest.raises(ValueError, match="one end"):
        rotate_about_bond(igg, psi[1], psi[2], np.ones(len(igg), bool), 1.0)
