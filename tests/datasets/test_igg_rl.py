"""IgG-RL on the real 1HZH."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cryoarena.datasets.base import Ensemble, Settings, Sources, datasets
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.settings import resolve_settings
from cryoarena.datasets.truth import open_truth
from cryoarena.errors import UserError
from cryoarena.structures.atoms import Atoms, centred, read_atoms

DATASET = datasets.get("igg-rl")


@pytest.fixture(scope="module")
def path(mirror: Path) -> Path:
    return mirror / "models" / "igg" / "1hzh.pdb"


@pytest.fixture(scope="module")
def atoms(path: Path) -> Atoms:
    return centred(read_atoms(path))


@pytest.fixture(scope="module")
def ensemble(path: Path) -> Ensemble:
    return DATASET.build(resolve_settings(DATASET, "paper"), Sources({"1hzh.pdb": path}), DATASET.options())


def tiny(**given: int) -> Settings:
    return replace(resolve_settings(DATASET, "small", images=12, box_px=16), conformations=4, **given)


def test_numbers_are_those_of_the_paper() -> None:
    settings = resolve_settings(DATASET, "paper")
    assert (settings.images, settings.conformations, settings.box_px, settings.pixel_size_A) == (100_000, 100, 128, 3.0)
    assert (settings.source_box_px, settings.snr, settings.resolution_A) == (256, 0.01, 3.0)


def test_the_rest_stands_still_and_both_parts_are_rigid(ensemble: Ensemble, atoms: Atoms) -> None:
    fab = (atoms.chain == "L") | ((atoms.chain == "H") & (atoms.residue_number <= 230))
    linker = (atoms.chain == "H") & (atoms.residue_number > 230) & (atoms.residue_number < 239)
    first, other = (ensemble.specimen.position_A(number).astype(float) for number in (0, 50))
    np.testing.assert_allclose(other[~fab & ~linker], atoms.position_A[~fab & ~linker], atol=2e-5)
    pairs = np.random.default_rng(0).choice(np.flatnonzero(fab), (2_000, 2))

    def distance_A(position_A: np.ndarray) -> np.ndarray:
        return np.linalg.norm(position_A[pairs[:, 0]] - position_A[pairs[:, 1]], axis=1)

    np.testing.assert_allclose(distance_A(first), distance_A(other), atol=1e-4)
    assert np.median(np.linalg.norm(first[fab] - other[fab], axis=1)) > 10


def test_arms_go_everywhere_that_is_free(ensemble: Ensemble) -> None:
    distance_A, dihedral_deg = ensemble.cvs["distance"], ensemble.cvs["dihedral"]
    # A Fab and an Fc are 80 and 70 Å long: their centres cannot be nearer than 35 Å, nor farther than 105 Å on a hinge.
    assert 35 < distance_A.min() < 65
    assert 85 < distance_A.max() < 105
    # It stays on its own side of the other arm, which is at 0°.
    assert 150 < dihedral_deg.mean() < 210
    assert 30 < dihedral_deg.std() < 70
    assert ensemble.rigid_bodies is None
    assert ensemble.mapped is None
    assert any("free of clashes" in note for note in ensemble.notes)


def test_the_fab_moves_as_far_as_in_the_published_set(ensemble: Ensemble, atoms: Atoms, mirror: Path) -> None:
    """Read the published "distance", whose unit is not stated, as the way of the Fab from the crystal in nm."""
    published = np.load(mirror / "reference" / "cryobench_IgG-RL_CV_dihedral_distance.npy")[:, 1]
    fab = (atoms.chain == "L") | ((atoms.chain == "H") & (atoms.residue_number <= 230))
    centres = [ensemble.specimen.position_A(number)[fab].mean(axis=0) for number in range(100)]
    way_nm = np.linalg.norm(centres - atoms.position_A[fab].mean(axis=0), axis=1) / 10
    assert np.median(way_nm) == pytest.approx(np.median(published), rel=0.3)
    assert np.percentile(way_nm, 25) == pytest.approx(np.percentile(published, 25), rel=0.3)


def test_seeds_give_other_linkers_and_more_conformations_keep_the_first(path: Path) -> None:
    def cvs(settings: Settings) -> np.ndarray:
        return DATASET.build(settings, Sources({"1hzh.pdb": path}), DATASET.options()).cvs["distance"]

    four = cvs(tiny())
    np.testing.assert_array_equal(cvs(replace(tiny(), conformations=6))[:4], four)
    assert np.abs(cvs(tiny(seed=1)) - four).min() > 1e-3


def test_every_image_may_have_its_own_conformation(path: Path, tmp_path: Path) -> None:
    make_dataset(DATASET, tiny(), Sources({"1hzh.pdb": path}), tmp_path / "d", given_options={"per_image": "true"})
    truth = open_truth(tmp_path / "d")
    assert sorted(truth.conformation) == list(range(12))
    assert truth.mapped.tolist() == [0, 4, 7, 11]
    assert len(np.unique(truth.cvs["distance"])) == 12


def test_true_maps_fit_the_atoms(path: Path, tmp_path: Path, ensemble: Ensemble) -> None:
    settings = replace(tiny(), box_px=64)
    make_dataset(DATASET, settings, Sources({"1hzh.pdb": path}), tmp_path / "d")
    truth = open_truth(tmp_path / "d")
    for conformation in range(4):
        volume = truth.volume(conformation)
        index = np.rint(ensemble.specimen.position_A(conformation) / truth.pixel_size_A).astype(int) + 32
        at_atoms = volume[index[:, 2], index[:, 1], index[:, 0]]
        assert at_atoms.mean() > 20 * np.abs(volume).mean()
        assert (at_atoms > volume.std()).mean() > 0.95
    # A map of another conformation does not fit.
    assert (at_atoms > volume.std()).mean() > (
        (truth.volume(0)[index[:, 2], index[:, 1], index[:, 0]] > volume.std()).mean() + 0.1
    )


def test_a_structure_of_other_chains_is_refused(mirror: Path) -> None:
    with pytest.raises(UserError, match="has no chain H"):
        DATASET.build(tiny(), Sources({"1hzh.pdb": mirror / "models" / "igg" / "1igt.pdb.gz"}), DATASET.options())
