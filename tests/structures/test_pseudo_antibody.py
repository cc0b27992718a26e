import itertools

import numpy as np
import pytest
from scipy.spatial import cKDTree

from cryoarena.structures.density import molmap_model
from cryoarena.structures.dihedral import rotate_about_bond
from cryoarena.structures.ig_domain import CONSTANT, VARIABLE, backbone
from cryoarena.structures.pseudo_antibody import build_pseudo_antibody
from cryoarena.structures.render import check_fits, render_volume


@pytest.fixture(scope="module")
def antibody():
    return build_pseudo_antibody()


def _turned(antibody, angle_deg):
    return rotate_about_bond(
        antibody.atoms, antibody.axis_from, antibody.axis_to, antibody.moving, angle_deg
    ).position_A


@pytest.mark.parametrize("fold", [VARIABLE, CONSTANT])
def test_a_domain_has_the_published_size_and_the_geometry_of_a_chain(fold):
    main = backbone(fold)
    assert 90 <= len(main) <= 115
    steps = np.linalg.norm(np.diff(main, axis=0), axis=1)
    assert steps.min() > 2.8
    assert steps.max() < 4.0
    # No two residues that are not neighbours are nearer than strands of a sheet may be.
    far = np.abs(np.subtract.outer(np.arange(len(main)), np.arange(len(main)))) > 1
    assert np.linalg.norm(main[:, None] - main, axis=-1)[far].min() > 3.5
    # Side chains of up to 3.2 Å on either side make that 40 x 25 x 18 Å or so.
    np.testing.assert_allclose(np.ptp(main, axis=0) + 2 * 2.5, [28, 16.8, 44], atol=5)
    # The chain enters at low z and leaves at high z.
    assert main[0, 2] < -10
    assert main[-1, 2] > 10


def test_it_is_the_same_every_time_and_the_seed_changes_only_side_chains():
    first, again, other = build_pseudo_antibody(), build_pseudo_antibody(), build_pseudo_antibody(1)
    for name in vars(first.atoms):
        assert getattr(first.atoms, name).tobytes() == getattr(again.atoms, name).tobytes()
    main = first.atoms.atom_name == "CA"
    shift = first.atoms.position_A[main] - other.atoms.position_A[main]
    # The centre moves a little, since it is weighted by atomic number.
    np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-9)
    assert np.linalg.norm(first.atoms.position_A[~main] - other.atoms.position_A[~main], axis=1).max() > 1


def test_every_chain_is_continuous_and_the_bond_joins_the_moving_fab_to_the_rest(antibody):
    atoms = antibody.atoms
    for chain in "HKLM":
        main = atoms.position_A[(atoms.chain == chain) & (atoms.atom_name == "CA")]
        steps = np.linalg.norm(np.diff(main, axis=0), axis=1)
        assert steps.min() > 2.3
        assert steps.max() < 5.5
    ends = np.array([antibody.axis_from, antibody.axis_to])
    assert list(atoms.chain[ends]) == ["H", "H"]
    assert list(atoms.atom_name[ends]) == ["CA", "CA"]
    assert np.diff(atoms.residue_number[ends]) == 1
    assert list(antibody.moving[ends]) == [True, False]
    assert np.all(antibody.moving[atoms.chain == "L"])
    assert not np.any(antibody.moving[np.isin(atoms.chain, ["K", "M"])])


def test_it_has_the_mass_of_an_antibody_and_fits_in_its_sphere(antibody):
    assert 1_300 <= len(antibody.atoms) <= 2_700
    # 1HZH: 69,892 without hydrogens.
    assert 50_000 < antibody.atoms.atomic_number.sum() < 80_000
    np.testing.assert_allclose(
        np.average(antibody.atoms.position_A, axis=0, weights=antibody.atoms.atomic_number), 0, atol=1e-9
    )
    for angle in range(0, 360, 18):
        check_fits(float(np.linalg.norm(_turned(antibody, angle), axis=1).max()), 106, 2.0)


def test_the_turning_fab_never_touches_the_rest(antibody):
    moving = antibody.moving
    from_hinge_A = np.linalg.norm(antibody.atoms.position_A - antibody.atoms.position_A[antibody.axis_from], axis=1)
    away = from_hinge_A > 12
    for angle in range(0, 360, 6):
        position_A = _turned(antibody, angle)
        rest = cKDTree(position_A[~moving])
        assert rest.query(position_A[moving & away])[0].min() > 4.0
        assert np.count_nonzero(rest.query(position_A[moving])[0] < 2.0) == 0


def test_turning_swings_the_tip_far_and_shows_in_the_map(antibody):
    tip = np.argmax(
        antibody.moving
        * np.linalg.norm(antibody.atoms.position_A - antibody.atoms.position_A[antibody.axis_from], axis=1)
    )
    swing_A = np.linalg.norm(_turned(antibody, 180.0)[tip] - antibody.atoms.position_A[tip])
    assert swing_A > 80
    model = molmap_model(antibody.atoms, 12.0)
    maps = [render_volume(_turned(antibody, angle), model, 48, 5.0).ravel() for angle in range(0, 360, 30)]
    for first, second in itertools.combinations(maps, 2):
        assert np.corrcoef(first, second)[0, 1] < 0.9
