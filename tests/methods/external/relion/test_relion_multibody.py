"""RELION multi-body refinement: run, interrupted, imported, damaged."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import starfile

from cryoarena.benchmark.import_result import import_result
from cryoarena.benchmark.run_cell import run_method
from cryoarena.benchmark.score import score_result
from cryoarena.errors import UserError
from cryoarena.methods.base import Run, methods
from cryoarena.methods.external.relion.body_motion import BodyMotion, Residuals, coordinates
from cryoarena.methods.external.relion.flex_folder import map_paths, mask_path
from cryoarena.methods.external.relion.gather_bodies import gather_bodies
from cryoarena.methods.external.relion.job_folder import choose_iteration
from cryoarena.methods.external.relion.multibody import MultibodyOptions
from cryoarena.methods.external.relion.program import RELION
from cryoarena.methods.external.relion.read_multibody import MultibodyImportOptions, read_multibody
from cryoarena.methods.work_folder import WorkFolder
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.euler import rotation_from_relion
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.filters import fourier_crop_volume
from cryoarena.volumes.mrc import read_volume, write_volume
from finished_run import run_and_keep
from hinged_phantom import HINGE_A, make_hinged_dataset
from outside import folder_of

GIVEN = {"iterations": "2", "components": "2"}
OPTIONS = MultibodyOptions(iterations=2, components=2)


@pytest.fixture(scope="module")
def hinged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_hinged_dataset(tmp_path_factory.mktemp("data") / "d")


@pytest.fixture(scope="module")
def work(hinged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that RELION worked in; `result` beside it is what it gave."""
    folder_of(RELION)
    folder = tmp_path_factory.mktemp("multibody")
    (folder / ".result.work").mkdir()
    run_and_keep("relion-multibody", hinged, folder / "result", GIVEN, seed=1)
    return folder / ".result.work"


@pytest.fixture
def particles(hinged: Path) -> ParticleSet:
    return open_particles(hinged)


@pytest.fixture
def copy(work: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(work / "output", tmp_path / "MultiBody" / "job012"))


def read(folder: Path, particles: ParticleSet, **options):
    return read_multibody(folder, particles, MultibodyImportOptions(**{"components": 2, **options}))


def swing_deg(hinged: Path, particles: ParticleSet) -> np.ndarray:
    table = pd.read_parquet(hinged / "truth" / "particles.parquet").set_index("particle_id")
    return table.loc[particles.particle_id].cv_swing.to_numpy()


def arm_and_block(volume: np.ndarray, pixel_size_A: float) -> np.ndarray:
    """Return where the arm is seen from the hinge and where it points (deg), and the centre of the block (Å)."""
    z, y, x = (np.indices(volume.shape) - len(volume) // 2) * pixel_size_A
    density = np.maximum(volume - 0.2 * volume.max(), 0)
    arm, block = density * (x > HINGE_A[0] + 10), density * (x < HINGE_A[0] - 10)
    places = np.stack([x, y], axis=-1) - HINGE_A[:2]
    middle = np.average(places, weights=arm, axis=(0, 1, 2))
    moments = np.cov(places.reshape(-1, 2).T, aweights=arm.ravel())
    axis = np.linalg.eigh(moments)[1][:, 1]
    angles = np.rad2deg([np.arctan2(middle[1], middle[0]), np.arctan(axis[1] / axis[0])])
    return np.array([*angles, *((block * along).sum() / block.sum() for along in (x, y, z))])


@pytest.mark.slow
def test_the_first_component_is_the_swing(work: Path, hinged: Path, particles: ParticleSet) -> None:
    found = read(work / "output", particles)
    truth = swing_deg(hinged, particles)
    assert np.corrcoef(found.embedding[:, 0], truth)[0, 1] ** 2 > 0.7
    assert abs(np.corrcoef(found.embedding[:, 1], truth)[0, 1]) < 0.3
    assert found.found["share_of_variance"][0] > 0.35
    assert found.found["judged"] == "the end"
    assert [row["iteration"] for row in found.history] == [1, 2]
    # The consensus has the given poses.
    assert found.poses is None


@pytest.mark.slow
def test_maps_along_it_move_the_arm_alone(work: Path, hinged: Path, particles: ParticleSet) -> None:
    found = read(work / "output", particles)
    truth = swing_deg(hinged, particles)
    angles = np.unique(truth)
    latents = np.stack([np.median(found.embedding[truth == angle], axis=0) for angle in angles])
    maps = found.volumes_at(latents)
    true_maps = [read_volume(hinged / "truth" / "volumes" / f"{number:04d}.mrc")[0] for number in range(len(angles))]
    expected, placed = (
        np.array([arm_and_block(volume, particles.pixel_size_A) for volume in volumes]) for volumes in (true_maps, maps)
    )
    seen, points = (np.polyfit(expected[:, i], placed[:, i], 1)[0] for i in (0, 1))
    assert np.corrcoef(expected[:, 0], placed[:, 0])[0, 1] > 0.97
    # An image does not show a shift along the beam. RELION counts it as none, so that a third of all shifts is lost.
    assert 0.4 < seen < 0.8
    assert 0.7 < points < 1.2
    assert np.ptp(placed[:, 2:], axis=0).max() < 0.6 * particles.pixel_size_A
    nearest = [np.argmax([np.corrcoef(a.ravel(), b.ravel())[0, 1] for b in true_maps]) for a in maps]
    assert (np.diff(nearest) >= 0).all()
    assert np.abs(nearest - np.arange(len(angles))).max() <= 2


@pytest.mark.slow
def test_an_import_equals_the_run_and_is_scored(work: Path, hinged: Path, tmp_path: Path) -> None:
    run = work.parent / "result"
    imported = import_result("relion-multibody", work / "output", hinged, tmp_path / "imported", {"components": "2"})
    assert imported["imported"]
    names = sorted(path.relative_to(run) for path in run.rglob("*") if path.is_file())
    assert {"log.txt", "result.json"} < {str(name) for name in names}
    for name in names:
        if name.name not in ("log.txt", "result.json"):
            assert (tmp_path / "imported" / name).read_bytes() == (run / name).read_bytes(), name
    assert imported["found"] == json.loads((run / "result.json").read_text())["found"]
    scores = score_result(tmp_path / "imported", hinged)
    assert set(scores.status) <= {"ok", "not_applicable"}
    of_map = scores[(scores.metric == "per-conformation-fsc") & (scores.statistic == "standard/moving_mask/auc")]
    assert of_map.normalised.item() > 0


@pytest.mark.slow
def test_what_is_saved_gives_the_same_maps(work: Path, particles: ParticleSet, tmp_path: Path) -> None:
    found = read(work / "output", particles)
    (tmp_path / "model").mkdir()
    found.save(tmp_path / "model")
    latents, expected = found.embedding[:3], found.volumes_at(found.embedding[:3])
    del found
    loaded = methods.get("relion-multibody").load(tmp_path / "model", particles)
    np.testing.assert_array_equal(loaded.volumes_at(latents), expected)
    dark = methods.get("relion-multibody").load(tmp_path / "model", replace(particles, contrast_sign=-1))
    np.testing.assert_array_equal(dark.volumes_at(latents), -expected)


@pytest.mark.slow
def test_an_interrupted_run_goes_on(work: Path, particles: ParticleSet, tmp_path: Path) -> None:
    again = tmp_path / "work"
    shutil.copytree(work, again, symlinks=True)
    identity = (again / "run-identity.txt").read_text()
    (again / "log.txt").unlink()
    for path in (again / "output").iterdir():
        if ("_it" not in path.name and not path.name.endswith("_mask.mrc")) or "_it002" in path.name:
            path.unlink()
    table = (work / "output" / "run_it002_data.star").read_text()
    (again / "output" / "run_it002_data.star").write_text(table[: len(table) // 2])
    found = methods.get("relion-multibody").fit(particles, OPTIONS, Run(seed=1, work=WorkFolder(again, identity)))
    log = (again / "log.txt").read_text()
    assert "--continue output/run_it001_optimiser.star" in log
    assert "relion_reconstruct" not in log
    assert "--skip_align" not in log
    undisturbed = read(work / "output", particles)
    both = np.corrcoef(found.embedding[:, 0], undisturbed.embedding[:, 0])[0, 1]
    assert abs(both) > 0.9


@pytest.mark.slow
def test_an_iteration_before_the_end(copy: Path, particles: ParticleSet) -> None:
    end = read(copy, particles)
    before = read(copy, particles, iteration=1)
    assert before.found["judged"] == "iteration 1"
    assert "means of the two half-sets of iteration 1" in " ".join(before.notes)
    assert 0.5 < abs(np.corrcoef(before.embedding[:, 0], end.embedding[:, 0])[0, 1]) < 0.9999
    assert (
        np.corrcoef(before.volumes_at(np.zeros((1, 2))).ravel(), end.volumes_at(np.zeros((1, 2))).ravel())[0, 1] > 0.8
    )


@pytest.mark.slow
def test_what_the_analysis_lacks_is_made(copy: Path, particles: ParticleSet, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read(copy, particles)
    # RELION's interface does not ask for it.
    projections = copy / "analyse_projections_along_eigenvectors_all_particles.txt"
    projections.unlink()
    np.testing.assert_allclose(read(copy, particles).embedding, expected.embedding, rtol=1e-5)
    monkeypatch.setattr("cryoarena.methods.external.tool.Tool.find", lambda self: None)
    with pytest.raises(UserError, match=r"has no analysis .*or run there `relion_flex_analyse --PCA_orient"):
        read(copy, particles)


@pytest.mark.slow
def test_an_analysis_of_other_bodies_is_refused(copy: Path, particles: ParticleSet) -> None:
    projections = copy / "analyse_projections_along_eigenvectors_all_particles.txt"
    lines = projections.read_text().splitlines()
    projections.write_text("\n".join([lines[1], lines[0], *lines[2:]]) + "\n")
    with pytest.raises(UserError, match=r"are not those of the bodies in .*_data\.star; delete them"):
        read(copy, particles)
    projections.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(UserError, match="delete them"):
        read(copy, particles)
    projections.write_text("nothing\n")
    with pytest.raises(UserError, match=r"is damaged; delete it"):
        read(copy, particles)


@pytest.mark.slow
def test_particles_that_were_dropped_are_told(copy: Path, particles: ParticleSet) -> None:
    before = read(copy, particles)
    end = choose_iteration(copy, None).data
    blocks = starfile.read(end, always_dict=True)
    order = np.random.default_rng(0).permutation(len(particles))[: len(particles) // 2]
    for name in ("particles", "images_body_1", "images_body_2"):
        blocks[name] = blocks[name].iloc[order]
    starfile.write(blocks, end, overwrite=True)
    (copy / "analyse_projections_along_eigenvectors_all_particles.txt").unlink()
    found = read(copy, particles)
    np.testing.assert_array_equal(found.rows, np.sort(order))
    assert abs(np.corrcoef(found.embedding[:, 0], before.embedding[np.sort(order), 0])[0, 1]) > 0.98
    assert f"{len(particles) - len(order)} of {len(particles)} particles have no latent" in " ".join(found.notes)


@pytest.mark.slow
def test_maps_of_another_box_are_brought_to_that_of_the_dataset(copy: Path, particles: ParticleSet) -> None:
    # As if the dataset had been binned less than the images that RELION was given.
    finer = replace(particles, box_px=40, pixel_size_A=particles.pixel_size_A * particles.box_px / 40)
    found = read(copy, finer)
    maps = found.volumes_at(np.zeros((1, 2), np.float32))
    assert maps.shape == (1, 40, 40, 40)
    coarse = read(copy, particles).volumes_at(np.zeros((1, 2), np.float32))
    np.testing.assert_allclose(fourier_crop_volume(maps[0], particles.box_px), coarse[0], atol=0.02 * coarse.max())
    assert "images of 32 px" in " ".join(found.notes)


@pytest.mark.slow
def test_bodies_are_placed_where_they_are_told_to_be(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "bodies").mkdir()
    bodies = gather_bodies(choose_iteration(copy, None), tmp_path / "bodies")
    half = bodies.box_px // 2
    centres = []
    for path in map_paths(bodies.folder, 2):
        mask = read_volume(mask_path(path))[0]
        centre = np.round(
            [(mask.sum(axis=sums) @ np.arange(-half, half)) / mask.sum() for sums in ((0, 1), (0, 2), (1, 2))]
        )
        centres.append(centre)
        z, y, x = np.indices(mask.shape) - half
        # A blob three voxels along x from the middle of its body.
        blob = np.exp(-((x - centre[0] - 3) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2) / 4)
        write_volume(path, blob.astype(np.float32), bodies.pixel_size_A)
        write_volume(mask_path(path), np.where(mask > 0.01, mask, 0), bodies.pixel_size_A)
    still = np.array([[[0.0, 90, 0]] * 2] * 2)
    turned = still.copy()
    turned[1, 1] = [30, 75, -20]
    shift_px = np.array([[[0.0, 0, 0], [0, 0, 0]], [[0, 0, 0], [1.0, -2, 3]]])
    motion = BodyMotion(bodies.axis, np.ones((2, 4)), np.eye(12), np.zeros(12))
    latents = np.concatenate([turned, shift_px], axis=-1).reshape(2, 12)
    maps = bodies.maps_of(motion.residuals_at(latents), bodies.box_px, bodies.pixel_size_A, opposite=False)

    def centre_px(volume: np.ndarray, near: np.ndarray) -> np.ndarray:
        z, y, x = np.indices(volume.shape) - half
        weight = volume * ((x - near[0]) ** 2 + (y - near[1]) ** 2 + (z - near[2]) ** 2 < 36)
        return np.array([(weight * axis).sum() for axis in (x, y, z)]) / weight.sum()

    before = centre_px(maps[0], centres[1] + [3, 0, 0])
    np.testing.assert_allclose(before, centres[1] + [3, 0, 0], atol=0.25)
    still_rotation, turned_rotation = (
        rotation_from_relion(*np.array([angles]).T)[0] for angles in ([0.0, 90, 0], turned[1, 1])
    )
    z_axis = -bodies.axis[1] / np.linalg.norm(bodies.axis[1])
    y_axis = np.cross(z_axis, [1, 0, 0]) / np.linalg.norm(np.cross(z_axis, [1, 0, 0]))
    frame = np.stack([np.cross(y_axis, z_axis), y_axis, z_axis])
    turn = frame.T @ still_rotation.T @ turned_rotation @ frame
    expected = centres[1] + turn @ [3, 0, 0] + shift_px[1, 1]
    np.testing.assert_allclose(centre_px(maps[1], expected), expected, atol=0.25)
    np.testing.assert_allclose(centre_px(maps[1], centres[0] + [3, 0, 0]), centres[0] + [3, 0, 0], atol=0.25)


def test_coordinates_and_residuals_are_inverse() -> None:
    rng = np.random.default_rng(0)
    axis = rng.normal(size=(3, 3))
    axis[0] = [-1, 0, 0]
    axis /= np.linalg.norm(axis, axis=1)[:, None]
    weight = rng.uniform(1, 5, (3, 4))
    residuals = Residuals(rng.normal([0, 90, 0], 10, (7, 3, 3)), rng.normal(size=(7, 3, 3)))
    orientation = np.broadcast_to(np.eye(3), (7, 3, 3))
    placed = coordinates(axis, weight, orientation, residuals)
    mean = placed.mean(axis=0)
    eigenvectors = np.linalg.svd(rng.normal(size=(18, 18)))[0]
    again = BodyMotion(axis, weight, eigenvectors, mean).residuals_at((placed - mean) @ eigenvectors.T)
    np.testing.assert_allclose(again.angle_deg, residuals.angle_deg, atol=1e-6)
    np.testing.assert_allclose(again.origin_px, residuals.origin_px, atol=1e-6)
    # A shift that is seen in an image is the same shift of the body, whatever the orientation.
    turned = rotation_from_relion(*rng.uniform(0, 180, (3, 7)))
    still = Residuals(np.broadcast_to([0.0, 90, 0], (7, 3, 3)), residuals.origin_px)
    seen = still._replace(origin_px=np.einsum("nij,nbj->nbi", turned, residuals.origin_px))
    np.testing.assert_allclose(
        coordinates(axis, weight, turned, seen), coordinates(axis, weight, orientation, still), atol=1e-6
    )


@pytest.mark.slow
def test_wrong_folders_are_told_in_a_sentence(copy: Path, job: Path, dataset: Path, particles: ParticleSet) -> None:
    with pytest.raises(UserError, match=r"has no table images_body_1: .*give the folder of a MultiBody job"):
        read(job, open_particles(dataset))
    with pytest.raises(UserError, match="no folder of a RELION job"):
        read(copy.parent, particles)
    with pytest.raises(UserError, match=r"no complete iteration 7; there are: 1, 2"):
        read(copy, particles, iteration=7)
    with pytest.raises(UserError, match="option components must be from 1 to 12, not 13"):
        read(copy, particles, components=13)
    other = replace(particles, stack_files=(Path("/elsewhere/other.mrcs"),), particle_id=particles.particle_id + 9000)
    with pytest.raises(UserError, match="which is no particle of the dataset"):
        read(copy, other)
    (copy / "run_it001_half2_body002.mrc").unlink()
    with pytest.raises(UserError, match=r"run_it001_half2_body002\.mrc is missing; copy the maps and masks"):
        read(copy, particles, iteration=1)
    (copy / "run_body002_mask.mrc").unlink()
    with pytest.raises(UserError, match=r"run_body002_mask\.mrc is missing; copy the maps and masks"):
        read(copy, particles)
    model = choose_iteration(copy, None).beside("model.star")
    model.write_text(model.read_text().replace("data_model_bodies", "data_model_classes"))
    with pytest.raises(UserError, match=r"model\.star has no bodies; give the folder of a MultiBody job"):
        read(copy, particles)
    model.unlink()
    with pytest.raises(UserError, match=r"model\.star does not exist"):
        read(copy, particles)


def test_options_that_make_no_sense(hinged: Path, tmp_path: Path) -> None:
    folder_of(RELION)
    for given, sentence in (
        ({"body_count": "1"}, "300 images allow 2 to 50 bodies, not 1; change option body_count"),
        ({"body_count": "51"}, "300 images allow 2 to 50 bodies, not 51"),
        ({"components": "13"}, "option components must be from 1 to 12, six for every body"),
        ({"iterations": "0"}, "option iterations must be at least 1"),
        ({"bodies": str(tmp_path / "none.star")}, r"none\.star does not exist"),
    ):
        with pytest.raises(UserError, match=sentence):
            run_method("relion-multibody", hinged, tmp_path / "result", given)
        assert not (tmp_path / "result").exists()


def test_without_mpirun_it_says_what_to_install(hinged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(RELION)
    monkeypatch.setattr("cryoarena.methods.external.relion.multibody.has_mpirun", lambda: False)
    info = run_method("relion-multibody", hinged, tmp_path / "result")
    assert info["status"] == "not_applicable"
    assert "install the Debian package openmpi-bin" in info["reason"]
