import numpy as np
import pytest

from cryoarena.structures.clashes import count_clashes
from cryoarena.structures.dihedral import find_atom, moving_side, rotate_about_bond


def test_pairs_across_count_once_and_only_below_the_distance(make_atoms):
    atoms = make_atoms([[0.0, 0, 0], [2.49, 0, 0], [0, 2.51, 0], [0.0, 0, 1.0]], atomic_number=[6, 6, 6, 1])
    none = np.empty((0, 2), int)
    moving = np.array([True, False, False, False])
    # The carbon at 2.49 Å counts; that at 2.51 Å and the hydrogen do not.
    assert count_clashes(atoms, none, moving) == 1
    assert count_clashes(atoms, none, ~moving) == 1
    assert count_clashes(atoms, none, moving, distance_A=2.6) == 2
    assert count_clashes(atoms, none, np.array([True, True, True, False])) == 0
    assert count_clashes(atoms, none, np.zeros(4, bool)) == 0


@pytest.mark.parametrize(("bonds_between", "expected"), [(1, 0), (2, 0), (3, 0), (4, 1)])
def test_atoms_at_most_three_bonds_apart_never_clash(make_atoms, bonds_between, expected):
    """A chain whose two ends meet; its inner atoms are far away and do not count."""
    n = bonds_between + 1
    position_A = [[0.0, 0, 0], *[[0.0, 50.0 * (i + 1), 0] for i in range(n - 2)], [2.0, 0, 0]]
    bonds = np.array([[i, i + 1] for i in range(n - 1)])
    assert count_clashes(make_atoms(position_A), bonds, np.arange(n) < 1) == expected


def test_the_crystal_structure_has_none_and_the_full_circle_of_the_fab_hardly_any(igg, igg_bonds):
    axis = find_atom(igg, "H", 230, "CA"), find_atom(igg, "H", 230, "C")
    fab = moving_side(igg, igg_bonds, *axis)
    counts = [count_clashes(rotate_about_bond(igg, *axis, fab, angle), igg_bonds, fab) for angle in range(0, 360, 36)]
    assert counts[0] == 0
    assert max(counts) <= 2


def test_a_fab_pushed_into_the_rest_clashes(igg, igg_bonds):
    fab = np.isin(igg.chain, ["L"])
    onto = igg.position_A[igg.chain == "K"].mean(axis=0) - igg.position_A[fab].mean(axis=0)
    assert count_clashes(igg.with_positions(igg.position_A + np.outer(fab, onto)), igg_bonds, fab) > 100
