"""Ribosembly: states of the real 50S told from the real maps, and models that are given."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from cryoarena.cli.main import app
from cryoarena.datasets.base import Ensemble, Sources, datasets
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.ribosembly import RibosemblyOptions
from cryoarena.datasets.settings import resolve_settings
from cryoarena.datasets.sources import MIRROR_VARIABLE, locate_all
from cryoarena.datasets.truth import open_truth
from cryoarena.errors import UserError
from cryoarena.structures.atoms import read_atoms
from model_files import write_pdb

RIBOSEMBLY = datasets.get("ribosembly")


@pytest.fixture(scope="module")
def sources(mirror: Path) -> Sources:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MIRROR_VARIABLE, str(mirror))
        return locate_all(RIBOSEMBLY, "small")


@pytest.fixture(scope="module")
def small(sources: Sources) -> Ensemble:
    return RIBOSEMBLY.build(resolve_settings(RIBOSEMBLY, "small"), sources, RibosemblyOptions())


def has(ensemble: Ensemble, state: int, atoms: np.ndarray) -> np.ndarray:
    """Tell which of some atoms (n, 3) a state has."""
    return cKDTree(ensemble.specimen.position_A(state)).query(atoms)[0] < 1e-2


def test_settings_are_those_of_the_paper() -> None:
    settings = resolve_settings(RIBOSEMBLY, "paper")
    assert (settings.images, settings.conformations, settings.box_px, settings.pixel_size_A) == (335_240, 16, 128, 3.0)
    assert len(RIBOSEMBLY.card.sources) == 16
    assert not RIBOSEMBLY.card.is_continuous


def test_states_share_a_core_and_grow(small: Ensemble) -> None:
    assert small.cvs["size_rank"].tolist() == list(range(1, 11))
    assert small.population.sum() == pytest.approx(1)
    assert small.population.max() > 2 * small.population.min()
    lightest, heaviest = small.specimen.position_A(0), small.specimen.position_A(9)
    core = np.all([has(small, state, lightest) for state in range(10)], axis=0)
    # 23S domain I and the proteins of the solvent side are in every intermediate; none is complete.
    assert 30_000 < core.sum() < len(lightest) < 0.6 * len(heaviest)


def test_the_5s_particle_joins_late_and_as_one(small: Ensemble, sources: Sources) -> None:
    """5S rRNA comes with L5 (chain D), L18 (M) and L25 (T), as in the cell; the mature subunit has all."""
    rna = read_atoms(sources.files["RNA_5S.pdb"]).position_A
    proteins = read_atoms(sources.files["prots1.pdb"], ("D", "M", "T")).position_A
    offset_A = frame_offset(small, sources)
    joined = [(has(small, s, rna + offset_A).mean(), has(small, s, proteins + offset_A).mean()) for s in range(10)]
    np.testing.assert_allclose(joined, np.round(joined), atol=0.01)
    together = np.array(joined)
    np.testing.assert_array_equal(together[:, 0], together[:, 1])
    assert not together[0].any()
    assert together[-2:].all()


def frame_offset(ensemble: Ensemble, sources: Sources) -> np.ndarray:
    """Return the shift from the frame of the files to that of the states, from an atom that all have."""
    first = read_atoms(sources.files["RNA1.pdb"]).position_A[0]
    return np.asarray(ensemble.specimen.position_A(9)[0] - first)


def test_true_maps_hold_the_segments_of_their_state_only(small: Ensemble, sources: Sources, tmp_path: Path) -> None:
    settings = resolve_settings(RIBOSEMBLY, "small", 20, 48)
    make_dataset(RIBOSEMBLY, settings, sources, tmp_path / "d")
    truth = open_truth(tmp_path / "d")
    lightest, heaviest = small.specimen.position_A(0), small.specimen.position_A(9)
    added = heaviest[~has(small, 0, heaviest)]

    def mean_at(conformation: int, atoms: np.ndarray) -> float:
        voxel = atoms[:, ::-1] / settings.pixel_size_A + settings.box_px // 2
        return float(map_coordinates(truth.volume(conformation), voxel.T, order=1).mean())

    assert mean_at(0, added) < 0.15 * mean_at(9, added)
    assert mean_at(0, lightest) == pytest.approx(mean_at(9, lightest), rel=0.2)
    moving = truth.masks()["moving_mask"]
    assert moving is not None
    voxel = np.round(added[:, ::-1] / settings.pixel_size_A + settings.box_px // 2).astype(int)
    assert moving[tuple(voxel.T)].mean() > 0.8
    assert moving.mean() < 0.1


def test_given_models_are_laid_on_the_last(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(60, 3)) * 30
    turn = Rotation.random(rng=np.random.default_rng(1)).as_matrix()
    whole = write_pdb(tmp_path / "whole.pdb", points, np.arange(60))
    part = write_pdb(tmp_path / "part.pdb", points[:40] @ turn.T + 100, np.arange(40))
    settings = replace(resolve_settings(RIBOSEMBLY, "small"), conformations=2)
    given = Sources(models=(part, whole), counts=(30, 10))
    ensemble = RIBOSEMBLY.build(settings, given, RibosemblyOptions())
    np.testing.assert_allclose(ensemble.specimen.position_A(0), ensemble.specimen.position_A(1)[:40], atol=5e-3)
    np.testing.assert_allclose(ensemble.specimen.position_A(1).mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(ensemble.population, [0.75, 0.25])
    with pytest.raises(UserError, match=r"whole.pdb has no chain X; it has A"):
        RIBOSEMBLY.build(settings, given, RibosemblyOptions(chain="X"))


def test_published_entries_out_of_reach_give_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = tuple(replace(source, url="http://127.0.0.1:9/model") for source in RIBOSEMBLY.card.sources)
    monkeypatch.setattr(type(RIBOSEMBLY), "card", replace(RIBOSEMBLY.card, sources=dead))
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache")
    arguments = ["make", "ribosembly", "-o", str(tmp_path / "d"), "--preset", "paper"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "cannot get 8c9c.cif" in result.stderr
    assert not (tmp_path / "d").exists()
