"""The truth, written as jobs of cryoSPARC and imported, scores perfect."""

from pathlib import Path

import numpy as np
import pytest

from cryoarena.benchmark.import_result import import_result
from cryoarena.benchmark.score import match_rows
from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.methods.result_folder import open_result
from cryoarena.metrics.base import MetricResult
from cryoarena.metrics.judge import judge, judged_rows
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.progress import silent
from cryoarena.volumes.mrc import write_volume
from cryosparc_jobs import Project, classes_together, components, write_cs_fields
from simulated import make_small_dataset

BOX_PX = 16
# FSC 1 in all shells but the first, over the box.
PERFECT_AUC = (BOX_PX / 2 - 1) / BOX_PX


@pytest.fixture
def truth(tmp_path: Path) -> Truth:
    return open_truth(make_small_dataset(tmp_path / "set", images=120, box_px=BOX_PX, snr=0.5))


@pytest.fixture
def project(tmp_path: Path, truth: Truth) -> Project:
    return Project(tmp_path / "CS-project", open_particles(truth.folder))


def scores(job: Path, truth: Truth, *wanted: str) -> dict[str, float]:
    out = job.parent / "result"
    import_result("cryosparc", job, truth.folder, out, overwrite=True)
    answer = match_rows(open_result(out, open_particles(truth.folder)), truth)
    results = judge(answer, truth, judged_rows(truth, 16), silent, wanted=lambda card: card.name in wanted)
    return {
        f"{name} {statistic}": score.value
        for name, result in results.items()
        if isinstance(result, MetricResult)
        for statistic, score in result.scores.items()
    }


def conformation_of(project: Project, truth: Truth) -> np.ndarray:
    rows = np.argsort(truth.particle_id)
    return truth.conformation[rows[np.searchsorted(truth.particle_id[rows], project.particles.particle_id)]]


def test_ab_initio(project: Project, truth: Truth) -> None:
    job, rows, pixel_A = project.job(5, "homo_abinit"), project.shuffled(), truth.pixel_size_A
    states = np.eye(len(truth.volume_names))[conformation_of(project, truth)]
    write_cs_fields(job / "J5_final_particles.cs", classes_together(project, rows, states[rows]))
    write_cs_fields(job / "J5_passthrough_particles_all_classes.cs", project.blob(project.shuffled()))
    for k in range(states.shape[1]):
        write_volume(job / f"J5_class_{k:02d}_final_volume.mrc", truth.volume(k), pixel_A)
    found = scores(job, truth, "aligned-fsc", "per-conformation-fsc", "posterior-class-agreement", "pose-error")
    assert found["aligned-fsc standard/no_mask/auc"] == pytest.approx(PERFECT_AUC, abs=0.02)
    # Whatever its maps look like, nobody knows that they are not turned.
    assert "per-conformation-fsc standard/no_mask/auc" not in found
    assert found["posterior-class-agreement standard/accuracy"] == 1
    assert found["pose-error standard/rotation_mean"] < 0.01
    assert found["pose-error standard/shift_mean"] < 0.01


def test_variability(project: Project, truth: Truth) -> None:
    job, rows, pixel_A = project.job(6, "var_3D"), project.shuffled(), truth.pixel_size_A
    maps = np.stack([truth.volume(k) for k in range(len(truth.volume_names))])
    mean = maps.mean(axis=0)
    u, strength, axes = np.linalg.svd((maps - mean).reshape(len(maps), -1), full_matrices=False)
    latents = (u * strength)[conformation_of(project, truth)]
    write_cs_fields(job / "J6_particles.cs", components(project, rows, latents))
    write_cs_fields(job / "J6_passthrough_particles.cs", project.blob(project.shuffled()))
    write_volume(job / "J6_map.mrc", mean, pixel_A)
    for k, axis in enumerate(axes.astype(np.float32)):
        write_volume(job / f"J6_component_{k}.mrc", axis.reshape(mean.shape), pixel_A)
    found = scores(job, truth, "per-conformation-fsc", "cv-regression")
    assert found["per-conformation-fsc standard/no_mask/auc"] == pytest.approx(PERFECT_AUC, abs=1e-3)
    assert all(value > 0.99 for name, value in found.items() if name.startswith("cv-regression r2"))
