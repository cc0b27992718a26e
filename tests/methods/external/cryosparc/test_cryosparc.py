"""Job folders of cryoSPARC, as results: whatever the order of rows, the version, and what was dropped."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from cryoarena.benchmark.import_result import import_result
from cryoarena.cli.main import app
from cryoarena.errors import UserError
from cryoarena.methods.base import NoMaps
from cryoarena.methods.result_folder import open_result
from cryoarena.particles.dataset_folder import open_particles, write_folder
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.volumes.filters import fourier_resize_volume
from cryosparc_jobs import (
    Project,
    classes_apart,
    classes_together,
    components,
    write_cs_fields,
    write_maps,
)
from random_particles import make_particles

N, BOX_PX, PIXEL_A, CLASSES = 40, 8, 1.5, 3


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    write_folder(tmp_path / "set", replace(make_particles(tmp_path / "set", N, BOX_PX, PIXEL_A, shard=9)))
    return tmp_path / "set"


@pytest.fixture
def particles(dataset: Path) -> ParticleSet:
    return open_particles(dataset)


@pytest.fixture
def project(tmp_path: Path, particles: ParticleSet) -> Project:
    return Project(tmp_path / "CS-project", particles)


@pytest.fixture
def posterior(project: Project) -> np.ndarray:
    """Return the probabilities (N, K) of all particles."""
    return project.rng.dirichlet([0.1] * CLASSES, N).astype(np.float32)


def map_names(job: Path, iteration: str) -> list[str]:
    return [f"{job.name}_class_{k:02d}_{iteration}_volume.mrc" for k in range(CLASSES)]


def imported(job: Path, dataset: Path, name: str = "cryosparc", **options: object):
    out = job.parent / "result"
    info = import_result(name, job, dataset, out, {key: str(value) for key, value in options.items()}, True)
    assert info["status"] == "ok"
    return info, open_result(out, open_particles(dataset))


def refusal(job: Path, dataset: Path, name: str = "cryosparc", **options: object) -> str:
    out = job.parent / "refused"
    with pytest.raises(UserError) as error:
        import_result(name, job, dataset, out, {key: str(value) for key, value in options.items()})
    assert not out.exists()
    return str(error.value)


def of_particles(project: Project, result, values: np.ndarray) -> np.ndarray:
    """Return values (N, …) of all particles in the order of a result."""
    order = np.argsort(project.particles.particle_id)
    return values[order[np.searchsorted(project.particles.particle_id[order], result.particle_id)]]


@pytest.mark.parametrize("version", ["4.4", "4.5"])
@pytest.mark.parametrize("kept", [N, N - 7])
def test_classification(project: Project, dataset: Path, posterior: np.ndarray, version: str, kept: int) -> None:
    job = project.job(12, "class_3D")
    rows = project.shuffled(kept)
    table = (classes_apart if version == "4.4" else classes_together)(project, rows, posterior[rows])
    write_cs_fields(job / "J12_00042_particles.cs", table)
    early = (classes_apart if version == "4.4" else classes_together)(project, rows, posterior[rows][:, ::-1])
    write_cs_fields(job / "J12_00007_particles.cs", early)
    write_cs_fields(job / "J12_passthrough_particles_all_classes.cs", project.blob(project.shuffled()))
    write_maps(job, map_names(job, "00007"), BOX_PX, PIXEL_A, seed=1)
    maps = write_maps(job, map_names(job, "00042"), BOX_PX, PIXEL_A)
    info, result = imported(job, dataset)
    assert info["method"]["name"] == "cryosparc-class3d"
    assert info["found"]["program"] == "cryoSPARC 4.4.1"
    assert info["found"]["iteration"] == 42
    assert len(result.particle_id) == kept
    assert bool(info.get("notes")) == (kept < N)
    np.testing.assert_allclose(result.posterior, of_particles(project, result, posterior), atol=1e-5)
    # Poses were given.
    assert result.poses is None
    pure = result.posterior.max(axis=1) > 0.99
    assert pure.sum() >= 5
    np.testing.assert_allclose(
        result.volumes_at(result.embedding[pure]), maps[result.posterior[pure].argmax(axis=1)], atol=1e-6
    )


def test_a_job_is_imported_on_the_command_line(project: Project, dataset: Path, posterior: np.ndarray) -> None:
    job, out = project.job(12, "class_3D"), dataset.parent / "results" / "theirs"
    rows = project.shuffled(N - 7)
    write_cs_fields(job / "J12_00042_particles.cs", classes_apart(project, rows, posterior[rows]))
    write_cs_fields(job / "J12_passthrough_particles_all_classes.cs", project.blob(project.shuffled()))
    write_maps(job, map_names(job, "00042"), BOX_PX, PIXEL_A)
    words = ["import", "cryosparc", str(job), "--dataset", str(dataset), "-o", str(out)]

    def invoke(*more: str) -> Result:
        return CliRunner().invoke(app, [*words, *more])

    done = invoke("--set", "kind=class3d")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{job} imported as cryosparc-class3d into {out}"
    assert any(line.startswith("note: 7 of 40 particles") for line in done.stdout.splitlines())
    result = open_result(out, open_particles(dataset))
    np.testing.assert_allclose(result.posterior, of_particles(project, result, posterior), atol=1e-5)
    again = invoke()
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    assert invoke("--overwrite").exit_code == 0
    wrong = invoke("--overwrite", "--set", "iteration=7")
    assert wrong.exit_code == 2
    assert wrong.stderr.startswith("cryoarena: ")
    # What was there stays.
    assert len(open_result(out, open_particles(dataset)).particle_id) == N - 7


@pytest.mark.parametrize(
    ("job_type", "iteration", "name"),
    [("homo_abinit", "final", "cryosparc-ab-initio"), ("hetero_refine", "00102", "cryosparc-hetero-refine")],
)
@pytest.mark.parametrize("form", [classes_apart, classes_together])
def test_poses_of_the_most_probable_class(
    project: Project, dataset: Path, posterior: np.ndarray, job_type: str, iteration: str, name: str, form
) -> None:
    job = project.job(5, job_type)
    rows = project.shuffled()
    # Both jobs align downsampled images: their pixels are twice as large.
    table = form(project, rows, posterior[rows], pixels=2)
    write_cs_fields(job / f"cryosparc_P3_J5_{iteration}_particles.cs", table | project.blob(rows))
    write_maps(job, map_names(job, iteration), BOX_PX // 2, 2 * PIXEL_A)
    info, result = imported(job, dataset)
    assert info["method"]["name"] == name
    assert any("box of 4" in note for note in info["notes"])
    true = project.particles.poses
    np.testing.assert_allclose(
        result.poses.rotation_object_to_image, of_particles(project, result, true.rotation_object_to_image), atol=1e-5
    )
    np.testing.assert_allclose(result.poses.shift_A, of_particles(project, result, true.shift_A), atol=1e-4)


def test_poses_in_unknown_pixels_are_refused(project: Project, dataset: Path, posterior: np.ndarray) -> None:
    job = project.job(5, "homo_abinit")
    rows = project.shuffled()
    table = classes_apart(project, rows, posterior[rows]) | project.blob(rows)
    del table["alignments_class_1/psize_A"]
    write_cs_fields(job / "J5_final_particles.cs", table)
    write_maps(job, map_names(job, "final"), BOX_PX, PIXEL_A)
    assert "has no field alignments_class_1/psize_A, without which its classes or poses" in refusal(job, dataset)


def test_tables_of_single_classes_tell_hard_classes(project: Project, dataset: Path) -> None:
    job = project.job(12, "class_3D")
    of_class = project.rng.integers(CLASSES, size=N)
    for k in range(CLASSES):
        rows = np.flatnonzero(of_class == k)
        write_cs_fields(job / f"J12_passthrough_particles_class_{k}.cs", project.blob(project.rng.permutation(rows)))
    write_maps(job, map_names(job, "00042"), BOX_PX, PIXEL_A)
    _, result = imported(job, dataset)
    np.testing.assert_array_equal(result.posterior, np.eye(CLASSES)[of_particles(project, result, of_class)])


def variability(project: Project, sign: float = 1, box_px: int = BOX_PX) -> tuple[Path, np.ndarray, np.ndarray]:
    job = project.job(30, "var_3D")
    latents = project.rng.normal(size=(N, 2)).astype(np.float32)
    rows = project.shuffled()
    write_cs_fields(job / "J30_particles.cs", components(project, rows, latents))
    write_cs_fields(job / "J30_passthrough_particles.cs", project.blob(project.shuffled(), sign))
    names = ["J30_map.mrc", "J30_component_0.mrc", "J30_component_1.mrc"]
    return job, latents, write_maps(job, names, box_px, PIXEL_A * BOX_PX / box_px)


@pytest.mark.parametrize("box_px", [BOX_PX, 6])
def test_variability_is_linear(project: Project, dataset: Path, box_px: int) -> None:
    job, latents, maps = variability(project, box_px=box_px)
    info, result = imported(job, dataset)
    assert info["method"]["name"] == "cryosparc-3dva"
    np.testing.assert_allclose(result.embedding, of_particles(project, result, latents), rtol=1e-6)
    z = np.array([[0, 0], [1.5, -2]], np.float32)
    expected = [maps[0], maps[0] + 1.5 * maps[1] - 2 * maps[2]]
    expected = [fourier_resize_volume(volume, BOX_PX) for volume in expected]
    np.testing.assert_allclose(result.volumes_at(z), expected, atol=1e-6)


def test_a_wrong_contrast_is_mended(project: Project, dataset: Path) -> None:
    job, _, maps = variability(project, sign=-1)
    info, result = imported(job, dataset)
    assert any("sign" in note for note in info["notes"])
    np.testing.assert_allclose(result.volumes_at(np.zeros((1, 2), np.float32))[0], -maps[0], atol=1e-6)


def test_uids_that_cryosparc_was_given_need_no_images(
    tmp_path: Path, project: Project, particles: ParticleSet, dataset: Path
) -> None:
    project.uid = particles.particle_id.astype(np.uint64)
    job, latents, _ = variability(project)
    (job / "J30_passthrough_particles.cs").unlink()
    _, result = imported(job, dataset)
    np.testing.assert_allclose(result.embedding, of_particles(project, result, latents), rtol=1e-6)


@pytest.mark.parametrize("links", ["kept", "lost"])
def test_images_are_told_by_the_stacks_that_were_imported(project: Project, dataset: Path, links: str) -> None:
    job, latents, _ = variability(project)
    if links == "lost":
        for link in (project.folder / "J1" / "imported").iterdir():
            link.unlink()
    _, result = imported(job, dataset)
    np.testing.assert_allclose(result.embedding, of_particles(project, result, latents), rtol=1e-6)


def test_downsampled_particles_are_told_by_the_import_job(project: Project, dataset: Path, tmp_path: Path) -> None:
    job, latents, _ = variability(project)
    blob = project.blob(np.arange(N))
    blob["blob/path"] = np.array([b"J2/downsample/batch_0.mrc"] * N)
    blob["blob/idx"] = np.arange(N)[::-1]
    write_cs_fields(job / "J30_passthrough_particles.cs", blob)
    assert "which is no particle of the dataset" in refusal(job, dataset)
    images = write_cs_fields(project.folder / "J1" / "imported_particles.cs", project.blob(project.shuffled()))
    _, result = imported(job, dataset, images=images)
    np.testing.assert_allclose(result.embedding, of_particles(project, result, latents), rtol=1e-6)
    few = write_cs_fields(tmp_path / "few.cs", project.blob(project.shuffled(N - 3)))
    assert "lacks 3 of the 40 particles" in refusal(job, dataset, images=few)


def flex(project: Project) -> tuple[Path, np.ndarray]:
    job = project.job(40, "flex_train")
    latents = project.rng.normal(size=(N, 2)).astype(np.float32)
    for epoch, values in (("000560", -latents), ("011200", latents)):
        write_cs_fields(job / f"J40_latents_{epoch}.cs", components(project, project.shuffled(), values))
    write_cs_fields(job / "J40_passthrough_particles.cs", project.blob(project.shuffled()))
    return job, latents


def test_flex_has_latents_without_maps(project: Project, dataset: Path) -> None:
    job, latents = flex(project)
    info, result = imported(job, dataset)
    assert info["method"]["name"] == "cryosparc-3dflex"
    assert info["found"]["iteration"] == 11200
    np.testing.assert_allclose(result.embedding, of_particles(project, result, latents), rtol=1e-6)
    with pytest.raises(NoMaps):
        result.volumes_at(latents)
    assert any("no maps" in note for note in info["notes"])


def test_flex_has_the_nearest_generated_map(project: Project, dataset: Path, tmp_path: Path) -> None:
    job, latents = flex(project)
    series = project.folder / "J41" / "J41_series_000"
    series.mkdir(parents=True)
    maps = write_maps(series, [f"J41_series_000_frame_{frame:03d}.mrc" for frame in range(3)], BOX_PX, PIXEL_A)
    chosen = components(project, np.arange(3), np.array([[2, 0], [0, 0], [-2, 0.0]]))
    path = write_cs_fields(tmp_path / "chosen.cs", chosen)
    _, result = imported(job, dataset, maps=series, latents=path)
    np.testing.assert_allclose(
        result.volumes_at(np.array([[-1.6, 0.1], [1.6, 0], [0.3, 0]], np.float32)), maps[[2, 0, 1]], atol=1e-6
    )
    assert "need both --maps FOLDER and the latents" in refusal(job, dataset, maps=series)
    assert "unzip" in refusal(job, dataset, maps=job, latents=path)
    write_cs_fields(path, components(project, np.arange(2), latents))
    assert "has 2 latents of 2 dimensions for 3 maps" in refusal(job, dataset, maps=series, latents=path)


def test_the_kind_is_told_by_files_or_the_user_where_job_json_is_missing(project: Project, dataset: Path) -> None:
    job, _, _ = variability(project)
    (job / "job.json").unlink()
    assert imported(job, dataset)[0]["method"]["name"] == "cryosparc-3dva"
    (job / "J30_component_0.mrc").unlink()
    assert "no job.json and no files that tell what job" in refusal(job, dataset)
    assert "kind must be one of" in refusal(job, dataset, kind="class_3D")
    assert "has no J12_component_0.mrc" in refusal(job, dataset, kind="3dva")


def test_jobs_of_other_kinds(project: Project, dataset: Path) -> None:
    assert "homo_refine_new, which has no result to import" in refusal(project.job(2, "homo_refine_new"), dataset)
    assert "give the folder of its 3D Variability job" in refusal(project.job(3, "var_3D_disp"), dataset)
    job, _, _ = variability(project)
    assert "is 3dva, not class3d" in refusal(job, dataset, kind="class3d")
    assert "is 3dva, not 3dflex" in refusal(job, dataset, name="cryosparc-3dflex")
    assert "no particle table with components_mode_0/value" in refusal(project.job(4, "var_3D"), dataset)


def test_version_5_keeps_the_type_elsewhere(project: Project, dataset: Path) -> None:
    job, _, _ = variability(project)
    (job / "job.json").write_text('{"uid": "J30", "version": "v5.0", "spec": {"type": "var_3D", "params": {}}}')
    assert imported(job, dataset)[0]["found"]["program"] == "cryoSPARC 5.0"


def test_damaged_and_hostile_tables(project: Project, dataset: Path) -> None:
    job, _, _ = variability(project)
    table = job / "J30_particles.cs"
    whole = table.read_bytes()
    table.write_bytes(whole[:-5])
    assert f"{table} is truncated" in refusal(job, dataset)
    table.write_bytes(b"\x95CSDAT" + whole)
    assert "is a compressed .cs file; rewrite it with cryosparc-tools" in refusal(job, dataset)
    with table.open("wb") as stream:
        np.save(stream, np.array([Hostile(job / "executed")], object), allow_pickle=True)
    assert "is truncated or damaged: Array can't be memory-mapped: Python objects" in refusal(job, dataset)
    assert not (job / "executed").exists()


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return Path.mkdir, (self.folder,)


def test_files_that_do_not_belong_together(
    project: Project, dataset: Path, tmp_path: Path, posterior: np.ndarray
) -> None:
    job = project.job(12, "class_3D")
    rows = project.shuffled()
    table = job / "J12_00042_particles.cs"
    assert "has no table with class probabilities" in refusal(job, dataset)
    write_cs_fields(table, classes_apart(project, rows, posterior[rows]))
    assert "has no maps of classes" in refusal(job, dataset)
    names = map_names(job, "00042")
    write_maps(job, names[:2], BOX_PX, PIXEL_A)
    assert "3 classes but the last iteration has 2 maps" in refusal(job, dataset)
    write_maps(job, names, BOX_PX, PIXEL_A)
    assert "names the images (blob/path) of all particles" in refusal(job, dataset)
    write_cs_fields(job / "J12_passthrough_particles_all_classes.cs", project.blob(rows))
    write_cs_fields(table, classes_apart(project, rows, 0.5 * posterior[rows]))
    assert "class probabilities in row 1" in refusal(job, dataset)
    write_cs_fields(table, classes_apart(project, rows, posterior[rows]))
    write_maps(job, names[:1], BOX_PX, 2 * PIXEL_A)
    assert "shows 8 voxels of 3 Å, 24.0 Å in all, but the images of the dataset 12.0 Å" in refusal(job, dataset)
    (job / names[1]).unlink()
    assert "a map of class 2 but none of class 1" in refusal(job, dataset)


def test_the_wrong_dataset(project: Project, tmp_path: Path) -> None:
    job, _, _ = variability(project)
    write_folder(tmp_path / "other", make_particles(tmp_path / "other", 5, BOX_PX, PIXEL_A))
    assert "which is no particle of the dataset" in refusal(job, tmp_path / "other")


def test_another_dataset_with_the_same_ids(tmp_path: Path, project: Project, particles: ParticleSet) -> None:
    """Made datasets number their particles from 1: uids alone do not tell one from another."""
    project.uid = particles.particle_id.astype(np.uint64)
    job, _, _ = variability(project)
    ctf = particles.ctf
    others = replace(particles, ctf=replace(ctf, defocus_u_A=ctf.defocus_u_A[::-1] + 5000))
    write_folder(tmp_path / "other", others)
    assert "is about other particles than those of the dataset" in refusal(job, tmp_path / "other")
