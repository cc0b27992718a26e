"""RELION Class3D and InitialModel: run, interrupted, imported, damaged."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import starfile

from cryoarena.benchmark.import_result import import_result
from cryoarena.benchmark.run_cell import run_method
from cryoarena.errors import UserError
from cryoarena.methods.base import Run, methods
from cryoarena.methods.external.relion.adapter import Class3dOptions
from cryoarena.methods.external.relion.job_folder import choose_iteration, last_iteration
from cryoarena.methods.external.relion.read_classes import ImportOptions, read_job
from cryoarena.methods.work_folder import WorkFolder
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.filters import fourier_crop_volume
from cryoarena.volumes.mrc import read_volume, write_volume
from finished_run import FinishedRun, assert_import_equals_run, score


@pytest.fixture
def particles(dataset: Path) -> ParticleSet:
    return open_particles(dataset)


@pytest.fixture
def copy(job: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(job, tmp_path / "Class3D" / "job007"))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def rewrite(path: Path, change) -> None:
    """Change the particle table of a STAR file."""
    blocks = starfile.read(path, always_dict=True)
    blocks["particles"] = change(blocks["particles"])
    starfile.write(blocks, path, overwrite=True)


def test_classes_of_every_particle_and_their_maps(job: Path, dataset: Path, particles: ParticleSet) -> None:
    found = read_job(job, particles, ImportOptions())
    table = starfile.read(job / "run_it002_data.star", always_dict=True)["particles"]
    of_id = dict(zip(table.rlnParticleName.astype(int), table.rlnClassNumber, strict=True))
    expected = [of_id[number] - 1 for number in particles.particle_id.tolist()]
    np.testing.assert_array_equal(found.posterior.argmax(axis=1), expected)
    maps = found.volumes_at(found.embedding[:5])
    for k, volume in zip(expected, maps, strict=False):
        np.testing.assert_allclose(volume, read_volume(job / f"run_it002_class{k + 1:03d}.mrc")[0], atol=1e-5)
        assert correlation(volume, read_volume(dataset / "truth" / "volumes" / "0000.mrc")[0]) > 0.5
    assert found.poses is None
    assert [row["iteration"] for row in found.history] == [1, 2]
    assert found.found["program"].startswith("RELION ")


def test_classes_alone_of_a_job_that_has_no_maps(copy: Path, particles: ParticleSet) -> None:
    whole = read_job(copy, particles, ImportOptions())
    for path in copy.glob("*class*.mrc"):
        path.unlink()
    with pytest.raises(UserError, match="`--set maps=none` for its classes alone"):
        read_job(copy, particles, ImportOptions())
    alone = read_job(copy, particles, ImportOptions(maps="none"))
    assert alone.posterior is not None
    assert whole.posterior is not None
    np.testing.assert_array_equal(alone.posterior.argmax(axis=1), whole.posterior.argmax(axis=1))
    assert len(alone.representatives) == 0
    assert alone.poses is None


@pytest.mark.slow
def test_an_import_equals_the_run_and_is_scored(job: Path, dataset: Path, tmp_path: Path) -> None:
    run = FinishedRun("relion-class3d", dataset, job.parents[1] / "result", job)
    assert run.info["found"]["judged"] == "iteration 2"
    assert_import_equals_run(run, tmp_path / "imported")
    scores = score(run)
    agreement = scores[(scores.metric == "posterior-class-agreement") & (scores.statistic == "standard/ari")]
    assert agreement.value.item() > 0


def test_an_interrupted_run_goes_on(job: Path, particles: ParticleSet, tmp_path: Path) -> None:
    method = methods.get("relion-class3d")
    options = Class3dOptions(classes=3, iterations=2)
    work = tmp_path / "work"
    run = Run(seed=1, work=WorkFolder(work, "identity"))
    work.mkdir()
    (work / "run-identity.txt").write_text("identity")
    shutil.copytree(job, work / "output")
    shutil.copyfile(job.parent / "reference.mrc", work / "reference.mrc")
    for path in (work / "output").glob("run_it002_*"):
        path.unlink()
    table = (job / "run_it002_data.star").read_text()
    (work / "output" / "run_it002_data.star").write_text(table[: len(table) // 2])
    again = method.fit(particles, options, run)
    log = (work / "log.txt").read_text()
    assert "--continue output/run_it001_optimiser.star" in log
    assert "relion_reconstruct" not in log
    undisturbed = read_job(job, particles, ImportOptions())
    np.testing.assert_array_equal(again.posterior, undisturbed.posterior)
    # RELION does not keep all of its state in its files.
    pairs = zip(*(found.volumes_at(found.representatives) for found in (again, undisturbed)), strict=True)
    assert min(correlation(a, b) for a, b in pairs) > 0.99


def test_reconstructed_maps_are_those_of_the_images_of_a_class(
    job: Path, particles: ParticleSet, tmp_path: Path
) -> None:
    own = read_job(job, particles, ImportOptions())
    again = read_job(job, particles, ImportOptions(maps="reconstructed"))
    np.testing.assert_array_equal(own.posterior, again.posterior)
    pairs = zip(own.volumes_at(own.representatives), again.volumes_at(again.representatives), strict=True)
    correlations = [correlation(a, b) for a, b in pairs]
    assert min(correlations) > 0.6
    assert max(correlations) < 0.9999
    (tmp_path / "model").mkdir()
    again.save(tmp_path / "model")
    loaded = methods.get("relion-class3d").load(tmp_path / "model", particles)
    np.testing.assert_array_equal(loaded.volumes_at(again.embedding[:9]), again.volumes_at(again.embedding[:9]))


def test_maps_of_dark_images_are_bright(copy: Path, dataset: Path, particles: ParticleSet, tmp_path: Path) -> None:
    dark = tmp_path / "dark"
    shutil.copytree(dataset, dark)
    for stack in (dark / "particles").glob("*.mrcs"):
        with mrcfile.open(stack, "r+") as stream:
            stream.data[:] *= -1
    card = json.loads((dark / "dataset.json").read_text())
    card["recipe"]["contrast_sign"] *= -1
    (dark / "dataset.json").write_text(json.dumps(card))
    info = run_method("relion-class3d", dark, tmp_path / "result", {"classes": "3", "iterations": "2"}, seed=1)
    assert info["status"] == "ok", info["reason"]
    truth = read_volume(dataset / "truth" / "volumes" / "0000.mrc")[0]
    for path in (tmp_path / "result" / "volumes").glob("*.mrc"):
        assert correlation(read_volume(path)[0], truth) > 0.5


def test_particles_are_known_by_name_in_any_order(copy: Path, particles: ParticleSet) -> None:
    before = read_job(copy, particles, ImportOptions())
    rewrite(
        copy / "run_it002_data.star",
        # As of a user whose table has no names of ours.
        lambda table: table.sample(frac=1, random_state=0).drop(columns="rlnParticleName"),
    )
    np.testing.assert_array_equal(read_job(copy, particles, ImportOptions()).posterior, before.posterior)


def test_particles_that_were_dropped_are_told(copy: Path, dataset: Path, particles: ParticleSet, tmp_path: Path):
    before = read_job(copy, particles, ImportOptions())

    def drop(table):
        table = table[table.index % 3 != 0].copy()
        table.loc[table.index[:5], "rlnClassNumber"] = 0
        return table

    kept = starfile.read(copy / "run_it002_data.star", always_dict=True)["particles"].rlnParticleName.astype(int)
    rewrite(copy / "run_it002_data.star", drop)
    expected = np.sort(kept[kept.index % 3 != 0].to_numpy()[5:])
    found = read_job(copy, particles, ImportOptions())
    np.testing.assert_array_equal(particles.particle_id[found.rows], expected)
    np.testing.assert_array_equal(found.posterior, before.posterior[found.rows])
    assert f"{240 - len(expected)} of 240 particles have no class" in " ".join(found.notes)
    import_result("relion-class3d", copy, dataset, tmp_path / "imported")
    np.testing.assert_array_equal(np.load(tmp_path / "imported" / "particle_id.npy"), expected)


def test_maps_of_another_box_are_brought_to_that_of_the_dataset(copy: Path, particles: ParticleSet) -> None:
    before = read_job(copy, particles, ImportOptions())
    for path in copy.glob("run_it002_class*.mrc"):
        volume, pixel_A = read_volume(path)
        write_volume(path, fourier_crop_volume(volume, 16), pixel_A * 24 / 16)
    found = read_job(copy, particles, ImportOptions())
    maps = found.volumes_at(found.embedding[:1])
    assert maps.shape == (1, 24, 24, 24)
    assert correlation(maps, before.volumes_at(before.embedding[:1])) > 0.9
    assert "images of 16 px" in " ".join(found.notes)


def test_poses_are_told_where_they_were_changed(copy: Path, particles: ParticleSet) -> None:
    rewrite(copy / "run_it002_data.star", lambda table: table.assign(rlnAnglePsi=table.rlnAnglePsi + 10))
    found = read_job(copy, particles, ImportOptions())
    assert found.poses is not None
    assert particles.poses is not None
    turned = found.poses.rotation_object_to_image @ np.swapaxes(particles.poses.rotation_object_to_image, 1, 2)
    np.testing.assert_allclose(np.trace(turned, axis1=1, axis2=2), 1 + 2 * np.cos(np.deg2rad(10)), atol=1e-4)


def test_relion_3_0_tables(copy: Path, particles: ParticleSet) -> None:
    before = read_job(copy, particles, ImportOptions())
    blocks = starfile.read(copy / "run_it002_data.star", always_dict=True)
    table = blocks["particles"].drop(columns="rlnOpticsGroup")
    for axis in "XY":
        table[f"rlnOrigin{axis}"] = table.pop(f"rlnOrigin{axis}Angst") / particles.pixel_size_A
    table = table.assign(rlnMagnification=10000, rlnDetectorPixelSize=particles.pixel_size_A)
    starfile.write({"": table}, copy / "run_it002_data.star", overwrite=True)
    found = read_job(copy, particles, ImportOptions())
    np.testing.assert_array_equal(found.posterior, before.posterior)
    assert found.poses is None


def test_iterations_in_order_of_number_and_of_continuation(copy: Path) -> None:
    table = (copy / "run_it002_data.star").read_text()
    assert last_iteration(copy).data.name == "run_it002_data.star"
    (copy / "run_ct001_it002_data.star").write_text(table)
    assert last_iteration(copy).data.name == "run_ct001_it002_data.star"
    (copy / "run_it010_data.star").write_text(table[:-200])
    assert last_iteration(copy).number == 2
    (copy / "run_it010_data.star").write_text(table)
    assert last_iteration(copy).number == 10
    (copy / "run_data.star").write_text(table)
    assert choose_iteration(copy, None).label == "the end"
    assert choose_iteration(copy, 1).number == 1


def test_wrong_folders_are_told_in_a_sentence(copy: Path, particles: ParticleSet, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no complete iteration 7; there are: 1, 2"):
        read_job(copy, particles, ImportOptions(iteration=7))
    with pytest.raises(UserError, match="option maps must be class, reconstructed or none, not 'both'"):
        read_job(copy, particles, ImportOptions(maps="both"))
    with pytest.raises(UserError, match="no folder of a RELION job"):
        read_job(tmp_path, particles, ImportOptions())
    (copy / "run_it002_class003.mrc").unlink()
    with pytest.raises(UserError, match=r"of class 3, but there are maps of classes 1 to 2"):
        read_job(copy, particles, ImportOptions())
    shutil.copyfile(copy / "run_it002_class002.mrc", copy / "run_it002_class004.mrc")
    with pytest.raises(UserError, match=r"run_it002_class003\.mrc is missing"):
        read_job(copy, particles, ImportOptions())
    for path in copy.glob("run_it002_class*"):
        path.unlink()
    with pytest.raises(UserError, match=r"has no run_it002_class001\.mrc"):
        read_job(copy, particles, ImportOptions())
    other = replace(particles, stack_files=(Path("/elsewhere/other.mrcs"),), particle_id=particles.particle_id + 9000)
    with pytest.raises(UserError, match="which is no particle of the dataset"):
        read_job(copy, other, ImportOptions(iteration=1))


def test_more_classes_than_images_are_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="option classes must be from 1 to 240"):
        run_method("relion-class3d", dataset, tmp_path / "result", {"classes": "241"})
    assert not (tmp_path / "result").exists()
