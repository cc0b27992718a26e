"""ASPIRE's covariance: what our script leaves, and a run where ASPIRE is installed."""

import json
from pathlib import Path

import numpy as np
import pytest

from cryoarena.datasets.truth import open_truth
from cryoarena.errors import UserError
from cryoarena.methods.base import methods
from cryoarena.methods.external.aspire.adapter import ASPIRE, AspireOptions, ImportOptions
from cryoarena.methods.result_folder import open_result
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.write_star import write_star
from cryoarena.volumes.filters import fourier_resize_volume
from cryosparc_jobs import write_maps
from finished_run import FinishedRun, assert_import_equals_run, finish, score
from outside import folder_of
from random_particles import make_particles
from simulated import make_small_dataset

N, BOX_PX, SMALL_PX, PIXEL_A = 20, 12, 8, 1.5


@pytest.fixture
def particles(tmp_path: Path) -> ParticleSet:
    return make_particles(tmp_path, N, BOX_PX, PIXEL_A, shard=9)


def test_output_of_the_script(tmp_path: Path, particles: ParticleSet) -> None:
    order = np.random.default_rng(0).permutation(N)[: N - 2]
    write_star(tmp_path / "given.star", particles.subset(order))
    z = np.random.default_rng(1).normal(size=(N, 2)).astype(np.float32)
    out = tmp_path / "output"
    out.mkdir()
    maps = write_maps(out, ["mean.mrc", "component_0.mrc", "component_1.mrc"], SMALL_PX, PIXEL_A * BOX_PX / SMALL_PX)
    np.save(out / "coordinates.npy", z[order])
    with pytest.raises(UserError, match=r"has no settings.json; give the output of estimate_covariance.py"):
        methods.get("aspire").read(out, particles, ImportOptions())
    (out / "settings.json").write_text(json.dumps({"version": "0.14.3", "star": str(tmp_path / "given.star")}))
    found = methods.get("aspire").read(out, particles, ImportOptions())
    np.testing.assert_array_equal(found.rows, np.sort(order))
    np.testing.assert_array_equal(found.embedding, z[np.sort(order)])
    # Images are bright, and ASPIRE takes them to be dark.
    expected = -fourier_resize_volume(maps[0] + 2 * maps[1] - maps[2], BOX_PX)
    np.testing.assert_allclose(found.volumes_at(np.array([[2, -1]], np.float32))[0], expected, atol=1e-6)


def test_a_box_that_takes_too_much_memory_is_refused(tmp_path: Path, particles: ParticleSet) -> None:
    with pytest.raises(UserError, match="from 4 to 16, not 18"):
        next(methods.get("aspire").commands(particles, AspireOptions(box_px=18), None, tmp_path))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    folder_of(ASPIRE)
    folder = tmp_path_factory.mktemp("aspire")
    dataset = make_small_dataset(folder / "set", images=200, box_px=16, snr=1.0)
    return finish("aspire", dataset, folder, {"box_px": "6", "components": "1"})


@pytest.mark.slow
def test_sign_axes_and_origin_are_right(run: FinishedRun) -> None:
    result, truth = open_result(run.result, open_particles(run.dataset)), open_truth(run.dataset)
    mean = np.tensordot(truth.population, [truth.volume(k) for k in range(len(truth.volume_names))], axes=1)
    seen = fourier_resize_volume(fourier_resize_volume(mean.astype(np.float32), 6), 16)
    volume = result.volumes_at(result.embedding.mean(axis=0, keepdims=True))[0]
    assert np.corrcoef(volume.ravel(), seen.ravel())[0, 1] > 0.8


@pytest.mark.slow
def test_an_import_equals_the_run(run: FinishedRun, tmp_path: Path) -> None:
    # It names its table where the run has been.
    with pytest.raises(UserError, match=r"which does not exist; give it by particles=FILE"):
        assert_import_equals_run(run, tmp_path / "import")
    assert_import_equals_run(run, tmp_path / "import", {"particles": str(run.output.parent / "particles.star")})


@pytest.mark.slow
def test_scores(run: FinishedRun) -> None:
    table = score(run)
    assert set(table.loc[table["metric"].isin(["per-image-fsc", "pmn", "cv-regression"]), "status"]) == {"ok"}
