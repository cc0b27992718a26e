"""RECOVAR: a real run on a tiny stack, imported, filtered, moved and damaged."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from cryoarena.benchmark.run_cell import run_method
from cryoarena.errors import UserError
from cryoarena.methods.base import methods
from cryoarena.methods.external.recovar.adapter import Recovar
from cryoarena.methods.external.recovar.program import RECOVAR
from cryoarena.methods.external.recovar.read_output import ImportOptions, read_output
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.mrc import read_volume, write_volume
from finished_run import FinishedRun, assert_import_equals_run, run_and_keep, score
from outside import folder_of
from simulated import make_small_dataset

pytestmark = pytest.mark.slow
N, BOX_PX, ZDIM, STATES = 300, 16, 2, 1


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=N, box_px=BOX_PX, snr=0.5)


@pytest.fixture(scope="module")
def particles(dataset: Path) -> ParticleSet:
    return open_particles(dataset)


@pytest.fixture(scope="module")
def result(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the result of a run with two states; .result.work/output beside it is what RECOVAR wrote."""
    folder_of(RECOVAR)
    folder = tmp_path_factory.mktemp("recovar")
    run_and_keep("recovar", dataset, folder / "result", {"zdim": str(ZDIM), "states": str(STATES)})
    return folder / "result"


@pytest.fixture
def output(result: Path, tmp_path: Path) -> Path:
    """Return a copy of what RECOVAR wrote."""
    return Path(shutil.copytree(result.parent / ".result.work" / "output", tmp_path / "project" / "pipeline"))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_latents_of_every_particle_and_bright_maps(
    result: Path, output: Path, dataset: Path, particles: ParticleSet
) -> None:
    info = json.loads((result / "result.json").read_text())
    assert info["found"]["program"] == "RECOVAR 1.0.5"
    latents = np.load(output / "model" / f"zdim_{ZDIM}" / "latent_coords.npy")
    np.testing.assert_array_equal(np.load(result / "embedding.npy"), latents)
    truth = read_volume(dataset / "truth" / "volumes" / "0000.mrc")[0]
    maps = [read_volume(path)[0] for path in sorted((result / "volumes").glob("*.mrc"))]
    assert len(maps) == STATES
    # Without a GPU and its slices not put right, they are twice as large.
    large = affine_transform(truth, np.full(3, 0.5), offset=BOX_PX / 4, order=1)
    assert all(correlation(volume, truth) > 0.7 > correlation(volume, large) for volume in maps)


def test_an_import_equals_the_run_and_is_scored(result: Path, output: Path, dataset: Path, tmp_path: Path) -> None:
    run = FinishedRun("recovar", dataset, result, output)
    assert_import_equals_run(run, tmp_path / "imported")
    score(run)


def test_maps_on_demand_from_a_result_that_was_moved(
    output: Path, dataset: Path, particles: ParticleSet, tmp_path: Path
) -> None:
    latents = np.loadtxt(output / "states" / "latent_coords.txt", ndmin=2).astype(np.float32)
    state = read_volume(output / "states" / "state000.mrc")[0]
    shutil.rmtree(output / "states")
    found = read_output(output, particles, ImportOptions())
    (tmp_path / "model").mkdir()
    found.save(tmp_path / "model")
    # The pipeline's folder and the table that it was given are gone.
    shutil.rmtree(output.parent)
    loaded = methods.get("recovar").load(tmp_path / "model", particles)
    np.testing.assert_allclose(loaded.volumes_at(latents[:1])[0], state, atol=1e-3 * np.abs(state).max())


def test_particles_that_were_left_out(output: Path, dataset: Path, particles: ParticleSet) -> None:
    path = output / "model" / f"zdim_{ZDIM}" / "latent_coords.npy"
    latents = np.load(path)
    # RECOVAR keeps the rows of images that --ind leaves out, as NaN.
    latents[::3] = np.nan
    np.save(path, latents)
    found = read_output(output, particles, ImportOptions())
    rows = np.flatnonzero(np.arange(N) % 3)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_array_equal(found.embedding, latents[rows])
    assert f"{N // 3} of {N} particles have no latent" in " ".join(found.notes)


def test_rows_follow_the_table_that_was_given(
    output: Path, dataset: Path, particles: ParticleSet, tmp_path: Path
) -> None:
    lines = (dataset / "particles.star").read_text().splitlines(keepends=True)
    rows = [line for line in lines if "@particles/" in line]
    table = tmp_path / "reversed.star"
    table.write_text("".join(line for line in lines if "@particles/" not in line) + "".join(rows[::-1]))
    before = read_output(output, particles, ImportOptions())
    found = read_output(output, particles, ImportOptions(particles=table))
    np.testing.assert_array_equal(found.embedding, before.embedding[::-1])
    table.write_text("".join(line for line in lines if line not in rows[:9]))
    with pytest.raises(UserError, match=f"has {N} latents but its table names {N - 9} images"):
        read_output(output, particles, ImportOptions(particles=table))


def test_maps_of_downsampled_images_are_brought_to_the_box_of_the_dataset(output: Path, particles: ParticleSet) -> None:
    metadata = json.loads((output / "model" / "metadata.json").read_text())
    (output / "model" / "metadata.json").write_text(json.dumps(metadata | {"volume_shape": [8, 8, 8]}))
    for path in (output / "states").glob("*.mrc"):
        volume, pixel_A = read_volume(path)
        write_volume(path, volume[::2, ::2, ::2], 2 * pixel_A)
    found = read_output(output, particles, ImportOptions())
    assert found.volumes_at(found.embedding[:3]).shape == (3, BOX_PX, BOX_PX, BOX_PX)
    assert "images of 8 px" in " ".join(found.notes)


def test_maps_of_recovar_alone_without_a_gpu_carry_a_note(output: Path, particles: ParticleSet) -> None:
    job = json.loads((output / "job.json").read_text())
    ours = job["command_line"]
    theirs = ours.replace(ours.split()[1], "/usr/bin/recovar")
    for line, noted in ((ours, False), (theirs, True), (theirs.replace("--accept-cpu", ""), False)):
        (output / "job.json").write_text(json.dumps(job | {"command_line": line}))
        assert ("twice as large" in " ".join(read_output(output, particles, ImportOptions()).notes)) == noted


def test_the_sign_that_recovar_was_told(output: Path, particles: ParticleSet) -> None:
    before = read_output(output, particles, ImportOptions())
    job = json.loads((output / "job.json").read_text())
    job["parameters"]["uninvert_data"] = "false"
    (output / "job.json").write_text(json.dumps(job))
    found = read_output(output, particles, ImportOptions())
    at = before.embedding[:1]
    np.testing.assert_array_equal(found.volumes_at(at), -before.volumes_at(at))
    assert "the wrong sign" in " ".join(found.notes)


def test_wrong_folders_are_told_in_a_sentence(output: Path, particles: ParticleSet, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no folder of `recovar pipeline`: it has no job\.json"):
        read_output(tmp_path, particles, ImportOptions())
    with pytest.raises(UserError, match="is of `recovar compute_state`"):
        read_output(output / "states", particles, ImportOptions())
    with pytest.raises(UserError, match=f"no latents of zdim 7; there are: {ZDIM}"):
        read_output(output, particles, ImportOptions(zdim=7))
    job = json.loads((output / "job.json").read_text())
    (output / "job.json").write_text(json.dumps(job | {"status": "failed"}))
    with pytest.raises(UserError, match="says that the pipeline is failed"):
        read_output(output, particles, ImportOptions())
    job["parameters"]["particles"] = "/gone/particles.star"
    (output / "job.json").write_text(json.dumps(job))
    with pytest.raises(UserError, match=r"/gone/particles\.star, which does not exist"):
        read_output(output, particles, ImportOptions())
    latents = output / "model" / f"zdim_{ZDIM}" / "latent_coords.npy"
    latents.write_bytes(latents.read_bytes()[:200])
    with pytest.raises(UserError, match=r"latent_coords\.npy"):
        read_output(output, particles, ImportOptions())


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("mask", "gone.mrc", "gone.mrc does not exist"),
        ("downsample_px", "32", "less than 16"),
        ("budget_GB", "0", "above 0"),
        ("states", "999", "999"),
    ],
)
def test_options_that_make_no_sense(dataset: Path, tmp_path: Path, option: str, value: str, sentence: str) -> None:
    folder_of(RECOVAR)
    with pytest.raises(UserError, match=sentence):
        run_method("recovar", dataset, tmp_path / "result", {option: value})


def test_progress_from_the_log() -> None:
    method = Recovar()
    assert method.progress("2026 INFO pipeline - standard_recovar_pipeline: mean computed in 47.8").done == 0.025
    state = method.progress("2026 INFO output - compute_and_save_reweighted: Done with volume 3: state003")
    assert (state.done, state.note) == (0.9, "state 4")
    assert method.progress("anything else") is None
