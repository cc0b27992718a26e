"""Poses that a method estimated, from `poses.star` to the pose error in degrees."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryoarena.benchmark.score import match_rows
from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.errors import UserError
from cryoarena.imaging.poses import Poses
from cryoarena.methods.base import methods
from cryoarena.methods.result_folder import open_result, write_arrays
from cryoarena.metrics.base import MetricResult
from cryoarena.metrics.judge import judge
from cryoarena.particles.dataset_folder import open_particles
from cryoarena.particles.particle_set import ParticleSet
from cryoarena.particles.write_star import write_star
from cryoarena.progress import silent
from given_results import Given, GivenMethod, write_given_result
from simulated import make_small_dataset

IMAGES = 60
FRAME = Rotation.from_euler("ZYZ", [40, 110, -75], degrees=True).as_matrix()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=IMAGES, box_px=16)


@pytest.fixture
def result(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(methods._entries, "given", GivenMethod())
    return write_given_result(tmp_path / "result", open_truth(dataset))


def estimated(dataset: Path, degrees: float, shift_A: float) -> ParticleSet:
    """Return the particles with poses in another frame, each wrong by so much in a random direction."""
    particles = open_particles(dataset)
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(IMAGES, 3))
    turn = Rotation.from_rotvec(np.radians(degrees) * axes / np.linalg.norm(axes, axis=1, keepdims=True)).as_matrix()
    direction = rng.uniform(0, 2 * np.pi, IMAGES)
    shift = particles.poses.shift_A + shift_A * np.stack([np.cos(direction), np.sin(direction)], axis=1)
    return replace(particles, poses=Poses(turn @ particles.poses.rotation_object_to_image @ FRAME, shift))


def pose_scores(result: Path, truth: Truth) -> dict[str, float]:
    answer = match_rows(open_result(result, open_particles(truth.folder)), truth)
    found = judge(answer, truth, np.arange(4), silent, wanted=lambda card: card.name == "pose-error")["pose-error"]
    assert isinstance(found, MetricResult)
    assert found.curves["rotation"].mean.sum() == pytest.approx(100)
    return {key: score.value for key, score in found.scores.items()}


@pytest.mark.parametrize(("degrees", "shift_A"), [(0.0, 0.0), (7.0, 2.0)])
def test_poses_are_joined_by_particle_id_and_judged(
    result: Path, dataset: Path, degrees: float, shift_A: float
) -> None:
    particles = estimated(dataset, degrees, shift_A)
    write_star(result / "poses.star", particles.subset(np.random.default_rng(1).permutation(IMAGES)))
    scores = pose_scores(result, open_truth(dataset))
    for variant in ("standard", "cryobench"):
        # The frame and the origin are fitted to poses with errors.
        tolerance = 1e-4 if degrees == 0 else 0.3 if variant == "standard" else 4
        assert scores[f"{variant}/rotation_mean"] == pytest.approx(degrees, abs=tolerance)
        assert scores[f"{variant}/rotation_median"] == pytest.approx(degrees, abs=tolerance)
        assert scores[f"{variant}/shift_mean"] == pytest.approx(shift_A, abs=1e-4 if shift_A == 0 else 0.3)
    assert scores["standard/mirrored"] == 0


def test_discrete_states_are_also_judged_apart(result: Path, dataset: Path) -> None:
    truth = open_truth(dataset)
    states = replace(truth, info=truth.info | {"card": truth.info["card"] | {"kind": "discrete"}})
    states = replace(states, conformation=states.conformation // 4)
    particles = estimated(dataset, 0.0, 0.0)
    # Every state in a frame of its own, as a mixture of molecules has it.
    own = Rotation.random(2, rng=np.random.default_rng(2)).as_matrix()[states.conformation]
    order = np.searchsorted(particles.particle_id, states.particle_id)
    poses = particles.poses[order]
    poses = Poses(poses.rotation_object_to_image @ own, poses.shift_A)
    write_star(result / "poses.star", replace(particles.subset(order), poses=poses))
    scores = pose_scores(result, states)
    assert scores["per_state/rotation_mean"] == pytest.approx(0, abs=1e-4)
    assert scores["standard/rotation_mean"] > 5


def test_a_method_that_estimates_poses_hands_them_on(result: Path, dataset: Path, tmp_path: Path) -> None:
    particles = estimated(dataset, 7.0, 2.0)
    answer = open_result(result, open_particles(dataset))

    class WithPoses(Given):
        embedding, posterior, history = answer.embedding, None, []
        representatives = answer.embedding[:1]
        poses = particles.poses

        def save(self, folder: Path) -> None:
            np.save(folder / "centres.npy", self.centres)
            np.save(folder / "maps.npy", self.maps)

    kept = [np.load(result / "model" / f"{name}.npy") for name in ("centres", "maps")]
    (tmp_path / "again").mkdir()
    write_arrays(tmp_path / "again", WithPoses(*kept), particles)
    (tmp_path / "again" / "result.json").write_bytes((result / "result.json").read_bytes())
    found = open_result(tmp_path / "again", open_particles(dataset)).poses
    np.testing.assert_allclose(found.rotation_object_to_image, particles.poses.rotation_object_to_image, atol=1e-6)
    np.testing.assert_allclose(found.shift_A, particles.poses.shift_A, atol=1e-5)


def test_tables_that_do_not_fit(result: Path, dataset: Path) -> None:
    path = result / "poses.star"
    particles = estimated(dataset, 0.0, 0.0)
    write_star(path, particles.subset(np.arange(3, IMAGES)))
    with pytest.raises(UserError, match=r"poses\.star has no pose for 3 of 60 particles"):
        open_result(result, open_particles(dataset))
    write_star(path, particles)
    whole = path.read_text()
    path.write_text(whole.replace("rlnParticleName", "rlnOtherName"))
    with pytest.raises(UserError, match="no numbers in column _rlnParticleName, which tells whose poses these are"):
        open_result(result, open_particles(dataset))
    path.write_text(re.sub("rlnAngle(Rot|Tilt|Psi)", r"rlnOther\1", whole))
    with pytest.raises(UserError, match="no column _rlnAngleRot; it tells no poses"):
        open_result(result, open_particles(dataset))
    path.write_text("nothing")
    with pytest.raises(UserError, match=r"poses\.star"):
        open_result(result, open_particles(dataset))
