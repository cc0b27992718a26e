import numpy as np
from scipy.spatial import cKDTree

from cryoarena.structures.duplex import build_duplex, placed
from cryoarena.structures.pseudo_nuclease import build_pseudo_nuclease


def test_it_is_as_heavy_and_large_as_it_says() -> None:
    atoms = build_pseudo_nuclease().atoms
    residues = len(atoms) / 2
    assert 150 < 0.110 * residues < 165
    np.testing.assert_allclose(np.ptp(atoms.position_A, axis=0), [130, 110, 50], atol=8)
    assert len(set(atoms.chain)) == 15


def test_the_lobe_turns_alone_and_hits_nothing() -> None:
    body = build_pseudo_nuclease()
    still = body.atoms.position_A
    for angle in (-15.0, 15.0):
        turned = body.with_lobe_turned(angle).position_A
        np.testing.assert_array_equal(turned[~body.lobe], still[~body.lobe])
        moved = np.linalg.norm(turned - still, axis=1)[body.lobe]
        assert moved.max() > 10
        np.testing.assert_allclose(turned[body.lobe, 0], still[body.lobe, 0], atol=1e-9)
        assert cKDTree(turned[~body.lobe]).query(turned[body.lobe])[0].min() > 3
    np.testing.assert_allclose(body.with_lobe_turned(0.0).position_A, still, atol=1e-9)


def test_the_longest_duplex_leaves_the_body_and_the_shortest_touches_it() -> None:
    body = build_pseudo_nuclease()
    duplex = placed(build_duplex(14), body.duplex_start_A, body.duplex_direction)
    for angle in (-15.0, 0.0, 15.0):
        tree = cKDTree(body.with_lobe_turned(angle).position_A)
        distance = tree.query(duplex.position_A)[0]
        assert distance.min() > 3
        assert distance[duplex.residue_number <= 2].min() < 10
        assert distance[duplex.residue_number == 14].min() > 25
