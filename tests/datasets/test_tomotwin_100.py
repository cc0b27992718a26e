"""Tomotwin-100 on the real complexes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from typer.testing import CliRunner

from cryoarena.cli.main import app
from cryoarena.datasets.base import NoOptions, Sources, datasets
from cryoarena.datasets.make import make_dataset
from cryoarena.datasets.settings import resolve_settings
from cryoarena.datasets.sources import MIRROR_VARIABLE, locate_all
from cryoarena.datasets.truth import open_truth
from model_files import write_pdb

TOMOTWIN = datasets.get("tomotwin-100")


@pytest.fixture
def sources(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Sources:
    monkeypatch.setenv(MIRROR_VARIABLE, str(mirror))
    return locate_all(TOMOTWIN, "small")


def test_settings_are_those_of_the_paper() -> None:
    settings = resolve_settings(TOMOTWIN, "paper")
    assert (settings.images, settings.conformations, settings.box_px, settings.pixel_size_A) == (100_000, 100, 128, 4.5)
    assert (settings.source_box_px, settings.source_pixel_size_A, settings.snr) == (384, 1.5, 0.01)
    names = [source.name for source in TOMOTWIN.card.sources]
    assert len(set(names)) == 100


def test_complexes_are_centred_and_ranked(sources: Sources) -> None:
    ensemble = TOMOTWIN.build(resolve_settings(TOMOTWIN, "small"), sources, NoOptions())
    # The stand-ins are listed from the lightest, Get3, to GroEL-GroES.
    assert ensemble.cvs["size_rank"].tolist() == list(range(1, 11))
    np.testing.assert_allclose(ensemble.population, 0.1)
    for number in range(10):
        weights = ensemble.specimen.scattering(number).weights[:, 0]
        np.testing.assert_allclose(
            np.average(ensemble.specimen.position_A(number), axis=0, weights=weights), 0, atol=0.01
        )


def test_true_maps_fit_their_own_atoms(sources: Sources, tmp_path: Path) -> None:
    settings = replace(resolve_settings(TOMOTWIN, "small", 20, 64), conformations=2)
    make_dataset(TOMOTWIN, settings, sources, tmp_path / "d")
    truth = open_truth(tmp_path / "d")
    ensemble = TOMOTWIN.build(settings, sources, NoOptions())
    for number in range(2):
        voxel = ensemble.specimen.position_A(number)[:, ::-1] / settings.pixel_size_A + settings.box_px // 2
        own = map_coordinates(truth.volume(number), voxel.T, order=1).mean()
        assert own > 20 * np.abs(truth.volume(number)).mean()
    assert truth.embedding().shape == (2, 1)


def test_any_models_can_be_given(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    for number in (30, 60, 90):
        points = np.random.default_rng(number).normal(size=(number, 3)) * 20 + 500
        write_pdb(tmp_path / "models" / f"{number}.pdb", points, np.arange(number), atom_name="CA")
    out = tmp_path / "d"
    result = CliRunner().invoke(
        app,
        f"make tomotwin-100 -o {out} --models {tmp_path / 'models'} --images 30 --box 32 --processes 1".split(),
    )
    assert result.exit_code == 0, result.output
    truth = open_truth(out)
    np.testing.assert_array_equal(np.bincount(truth.conformation), [10, 10, 10])
    assert truth.info["recipe"]["conformations"] == 3
