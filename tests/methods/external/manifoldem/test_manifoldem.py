"""ManifoldEM: projects written as its stages write them, and a run where it is installed."""

import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from cryoarena.benchmark.import_result import import_result
from cryoarena.benchmark.score import score_result
from cryoarena.datasets.truth import open_truth
from cryoarena.errors import UserError
from cryoarena.methods.base import NoMaps, methods
from cryoarena.methods.external.manifoldem.adapter import ManifoldemOptions
from cryoarena.methods.external.manifoldem.program import MANIFOLDEM
from cryoarena.methods.external.manifoldem.read_output import ImportOptions, read_output
from cryoarena.methods.result_folder import open_result
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.write_star import write_star
from cryosparc_jobs import write_maps
from finished_run import run_and_keep
from outside import folder_of
from random_particles import make_particles
from simulated import make_small_dataset

N, BOX_PX, PIXEL_A = 130, 8, 1.5
COARSE, STATES, JOINED = 20, 5, 2
# Images of the two directions, by place in the table; the others belong to none.
DIRECTIONS = (np.arange(0, 2 * 50, 2), np.arange(1, 2 * 50, 2))


@pytest.fixture
def particles(tmp_path: Path) -> ParticleSet:
    return make_particles(tmp_path, N, BOX_PX, PIXEL_A, shard=99)


@pytest.fixture
def order() -> np.ndarray:
    return np.random.default_rng(1).permutation(N)


def write_direction(out: Path, number: int, images: np.ndarray, place: np.ndarray) -> None:
    """Write what the stages leave of a direction whose images have these places (n,) on the coordinate.

    ManifoldEM 02576d3: calc_distance.get_distance_CTF_local and psi_analysis.psi_analysis_single.
    """
    rng = np.random.default_rng(number)
    inside = rng.permutation(images)
    with h5py.File(out / "distances" / f"IMGs_prD_{number}.h5", "w") as stream:
        stream["ind"] = inside
    # A direction may be trimmed.
    kept = rng.permutation(len(inside))
    sequence = np.argsort(place[inside[kept]])
    tau = np.sort(place[images])[JOINED - 1 : -JOINED - 1]
    content = {"posPath": kept, "PosPsi1": sequence, "tau": tau[:, None], "tauinds": list(np.arange(STATES))}
    with (out / f"ELConc{COARSE}" / f"S2_prD_{number}.pkl").open("wb") as stream:
        pickle.dump(content, stream, protocol=pickle.HIGHEST_PROTOCOL)


@pytest.fixture
def place() -> np.ndarray:
    """Return the true coordinate of the rows of the table: both directions have the same values."""
    place = np.full(N, np.nan)
    rng = np.random.default_rng(3)
    values = rng.uniform(size=50)
    for images in DIRECTIONS:
        place[images] = rng.permutation(values)
    return place


@pytest.fixture
def folder(tmp_path: Path, particles: ParticleSet, order: np.ndarray, place: np.ndarray) -> Path:
    work = tmp_path / "work"
    out = work / "output" / "mine"
    for name in ("distances", f"ELConc{COARSE}", "CC", "bin", "postproc/vols"):
        (out / name).mkdir(parents=True)
    write_star(work / "given.star", particles.subset(order))
    parameters = {"project_name": '"mine"', "project_level": 9, "align_param_file": '"given.star"', "prd_n_active": 3}
    parameters |= {"con_order_range": COARSE, "states_per_coord": STATES, "width_1D": 1, "traj_name": '"1"'}
    parameters |= {"ms_pixel_size": PIXEL_A, "ms_ctf_envelope": "inf"}
    lines = [f"{name} = {value}" for name, value in parameters.items()]
    (work / "params_mine.toml").write_text("\n".join(["[params]", *lines, "", "[params.opt_movie]", "printFig = 0"]))
    for number, images in enumerate(DIRECTIONS):
        write_direction(out, number, images, place)
    with (out / "CC" / "CC_file.pkl").open("wb") as stream:
        pickle.dump({"psinums": np.array([[0, 3, -1], [0, 0, 0]]), "senses": np.ones((2, 3), int)}, stream, protocol=5)
    return work


def test_places_on_the_coordinate(folder: Path, particles: ParticleSet, order: np.ndarray, place: np.ndarray) -> None:
    found = read_output(folder, particles, ImportOptions())
    expected = np.full(N, np.nan)
    for images in DIRECTIONS:
        values = np.sort(place[images])
        # The first and the last images have no frame of their own.
        inside = np.clip(place[images], values[JOINED - 1], values[-JOINED - 2])
        expected[images] = (inside - inside.min()) / np.ptp(inside)
    known = np.flatnonzero(np.isfinite(expected))
    np.testing.assert_array_equal(found.rows, np.sort(order[known]))
    np.testing.assert_allclose(found.embedding[:, 0], expected[np.argsort(order)][found.rows], atol=1e-6)
    assert any(f"{N - 100} of {N} particles have no coordinate" in note for note in found.notes)
    with pytest.raises(NoMaps):
        found.volumes_at(found.embedding[:1])


def test_directions_are_brought_to_one_distribution(
    folder: Path, particles: ParticleSet, order: np.ndarray, place: np.ndarray
) -> None:
    write_direction(folder / "output" / "mine", 1, DIRECTIONS[1], place**3)
    found = read_output(folder, particles, ImportOptions())
    values = np.full(N, np.nan)
    values[np.argsort(order)[found.rows]] = found.embedding[:, 0]
    first, second = (np.sort(values[images]) for images in DIRECTIONS)
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert (np.argsort(values[DIRECTIONS[1]])[-20:] == np.argsort(place[DIRECTIONS[1]])[-20:]).mean() > 0.5


def test_maps_belong_to_bins(folder: Path, particles: ParticleSet) -> None:
    names = [f"EulerAngles_1_{number}_of_{STATES}.mrc" for number in (1, 2, 4)]
    maps = write_maps(folder / "output" / "mine" / "postproc" / "vols", names, BOX_PX, PIXEL_A)
    found = read_output(folder, particles, ImportOptions())
    at = np.array([[0.05], [0.32], [0.99]], np.float32)
    np.testing.assert_allclose(found.volumes_at(at), maps, atol=1e-6)
    np.testing.assert_allclose(found.representatives, [[0.1], [0.3], [0.7]], atol=1e-6)


def test_a_pickle_that_would_run_something_is_refused(folder: Path, particles: ParticleSet, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> object:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    for name in ("CC/CC_file.pkl", f"ELConc{COARSE}/S2_prD_1.pkl"):
        path = folder / "output" / "mine" / name
        kept = path.read_bytes()
        path.write_bytes(pickle.dumps({"psinums": Evil(), "tau": Evil()}))
        with pytest.raises(UserError, match=r"asks for .*system; only plain arrays"):
            read_output(folder, particles, ImportOptions())
        path.write_bytes(kept)
    assert not (tmp_path / "ran").exists()


def test_folders_that_will_not_do(folder: Path, particles: ParticleSet, tmp_path: Path) -> None:
    def refused(sentence: str) -> None:
        with pytest.raises(UserError, match=sentence):
            read_output(folder, particles, ImportOptions())

    with pytest.raises(UserError, match=r"no folder that ManifoldEM worked in: it has no file params_NAME\.toml"):
        read_output(tmp_path, particles, ImportOptions())
    parameters, out = folder / "params_mine.toml", folder / "output" / "mine"
    whole = parameters.read_text()
    parameters.write_text(whole.replace("project_level = 9", "project_level = 4"))
    refused("has no coordinate yet; run it to the stage calc-probabilities")
    parameters.write_text(whole.replace("con_order_range", "conOrderRange"))
    refused("is not of ManifoldEM 0.3")
    parameters.write_text(whole)
    write_star(folder / "given.star", particles.subset(np.arange(50)))
    refused(r"has 100 images or more but .*given\.star 50 particles")
    (folder / "given.star").unlink()
    refused(r"given\.star, which does not exist; give it with --set particles=FILE")
    write_star(folder / "given.star", particles)
    path = out / f"ELConc{COARSE}" / "S2_prD_0.pkl"
    path.write_bytes(pickle.dumps({"posPath": np.arange(50), "PosPsi1": np.arange(50), "tau": np.arange(48.0)}))
    refused("has 48 frames of 50 images, which cannot be")
    path.write_bytes(pickle.dumps({"posPath": np.arange(50)}))
    refused(r"S2_prD_0\.pkl has no array PosPsi1")
    path.unlink()
    refused(r"S2_prD_0\.pkl does not exist")
    with (out / "CC" / "CC_file.pkl").open("wb") as stream:
        pickle.dump({"psinums": np.full((2, 3), -1)}, stream)
    refused("no projection direction of the project .* has a coordinate")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (ManifoldemOptions(images_per_direction=40), "it must be from 50 to half of the 130 images"),
        (ManifoldemOptions(images_per_direction=66), "it must be from 50 to half of the 130 images"),
        (ManifoldemOptions(images_per_direction=60, states=1), "at least 2"),
    ],
)
def test_options_that_make_no_sense(
    options: ManifoldemOptions, sentence: str, particles: ParticleSet, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=sentence):
        next(methods.get("manifoldem").commands(particles, options, None, tmp_path))


@pytest.mark.slow
def test_run_import_and_score(tmp_path: Path) -> None:
    folder_of(MANIFOLDEM, in_ci=False)
    dataset = make_small_dataset(tmp_path / "set", images=400, box_px=16, snr=2.0)
    options = {"images_per_direction": "100", "states": "3"}
    run_and_keep("manifoldem", dataset, tmp_path / "run", options)
    import_result("manifoldem", tmp_path / ".run.work", dataset, tmp_path / "imported")
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file() and path.name not in ("log.txt", "result.json"):
            assert (tmp_path / "imported" / path.relative_to(tmp_path / "run")).read_bytes() == path.read_bytes(), path
    result, truth = open_result(tmp_path / "run", open_particles(dataset)), open_truth(dataset)
    assert 0 <= result.embedding.min() < 0.2 < 0.8 < result.embedding.max() <= 1
    mean = np.tensordot(truth.population, [truth.volume(k) for k in range(len(truth.volume_names))], axes=1)
    maps = result.volumes_at(np.array([[0.2], [0.5], [0.8]], np.float32))
    # Sign and axes are right: no other does as well.
    for volume in maps:
        likeness = [np.corrcoef(np.flip(volume, axis).ravel(), mean.ravel())[0, 1] for axis in ((), 0, 1, 2, (0, 1, 2))]
        assert likeness[0] > max(0.4, *likeness[1:])
    assert set(score_result(tmp_path / "imported", dataset).status) <= {"ok", "not_applicable"}
