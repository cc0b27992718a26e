"""ASPIRE's covariance: what our script leaves, and a run where ASPIRE is installed."""

import json
from pathlib import Path

import numpy as np
import pytest

from cryoarena.benchmark.run_cell import run_method
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


@pytest.mark.slow
def test_run(tmp_path: Path) -> None:
    folder_of(ASPIRE)
    dataset = make_small_dataset(tmp_path / "set", images=200, box_px=16, snr=1.0)
    info = run_method("aspire", dataset, tmp_path / "run", {"box_px": "6", "components": "1"})
    assert info["status"] == "ok", info["reason"]
    result, truth = open_result(tmp_path / "run", open_particles(dataset)), open_truth(dataset)
    mean = np.tensordot(truth.population, [truth.volume(k) for k in range(len(truth.volume_names))], axes=1)
    seen = fourier_resize_volume(fourier_resize_volume(mean.astype(np.float32), 6), 16)
    # Sign, axes and origin are right.
    volume = result.volumes_at(result.embedding.mean(axis=0, keepdims=True))[0]
    assert np.corrcoef(volume.ravel(), seen.ravel())[0, 1] > 0.8
