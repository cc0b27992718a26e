import numpy as np
import pytest

from cryoarena.structures.duplex import RISE_A, build_duplex, placed


def test_it_has_the_length_width_and_mass_of_b_dna() -> None:
    duplex = build_duplex(10)
    radius = np.hypot(*duplex.position_A[:, :2].T)
    # The phosphates are the outermost atoms; with their size the helix is 20 Å wide.
    assert radius.max() == pytest.approx(8.9)
    pair = duplex.residue_number
    heights = [duplex.position_A[pair == number, 2].mean() for number in range(1, 11)]
    np.testing.assert_allclose(np.diff(heights), 3.4)
    # About 0.65 kDa per base pair, of which heavy atoms make 0.48 electrons per Da; hydrogens are left out.
    assert duplex.atomic_number.sum() / 10 / 0.48 == pytest.approx(620, rel=0.05)


def test_ten_base_pairs_are_one_right_handed_turn() -> None:
    duplex = build_duplex(11)
    strand = duplex.position_A[(duplex.chain == "T") & (duplex.atom_name == "P")]
    np.testing.assert_allclose(strand[10] - strand[0], [0, 0, 10 * RISE_A], atol=1e-9)
    along = np.cross(strand[:-1], strand[1:])[:, 2]
    assert (along > 0).all()
    assert strand[1, 2] > strand[0, 2]


def test_the_strands_run_against_each_other_with_a_minor_and_a_major_groove() -> None:
    duplex = build_duplex(20)
    first, second = (duplex.position_A[(duplex.chain == name) & (duplex.atom_name == "P")] for name in "TN")
    # Half a turn about the dyad of the middle base pair swaps the strands.
    middle = 10 - 1
    angle = np.deg2rad(36.0 * middle)
    dyad = np.array([np.cos(angle), np.sin(angle), 0])
    from_middle = first - [0, 0, RISE_A * middle]
    turned = 2 * (from_middle @ dyad)[:, None] * dyad - from_middle + [0, 0, RISE_A * middle]
    np.testing.assert_allclose(turned[: 2 * middle + 1][::-1], second[: 2 * middle + 1], atol=1e-9)
    # Nearest phosphates across the grooves of B-DNA: about 12 Å over the minor one, 17 Å or more over the major one.
    near = np.sort(np.linalg.norm(first[10] - second, axis=1))
    assert 9 < near[0] < 14


def test_a_longer_duplex_is_a_shorter_one_and_more() -> None:
    short, long = build_duplex(5), build_duplex(9)
    np.testing.assert_array_equal(long.position_A[: len(short)], short.position_A)
    assert len(long) - len(short) == 4 * 6
    with pytest.raises(ValueError, match="at least one base pair"):
        build_duplex(0)


def test_it_is_placed_by_a_rotation() -> None:
    duplex = build_duplex(4)
    direction = np.array([-0.35, -0.15, 0.92])
    moved = placed(duplex, np.array([1.0, 2.0, 3.0]), direction)

    def distances(atoms: np.ndarray) -> np.ndarray:
        return np.linalg.norm(atoms[:, None] - atoms, axis=-1)

    np.testing.assert_allclose(distances(moved.position_A), distances(duplex.position_A), atol=1e-9)
    unit = direction / np.linalg.norm(direction)
    from_start = moved.position_A - [1, 2, 3]
    np.testing.assert_allclose(from_start @ unit, duplex.position_A[:, 2], atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(from_start, axis=1), np.linalg.norm(duplex.position_A, axis=1), atol=1e-9)
    # No reflection.
    after, before = (atoms.position_A[:3] - atoms.position_A[3] for atoms in (moved, duplex))
    assert np.linalg.det(after) == pytest.approx(np.linalg.det(before))
