"""Rigid bodies: their motion, and what a dataset records of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryoarena.datasets.base import Sources, datasets
from cryoarena.datasets.rigid_bodies import superpose_bodies
from cryoarena.datasets.settings import resolve_settings
from cryoarena.datasets.truth import open_truth
from cryoarena.datasets.turning import TurnOptions
from cryoarena.imaging.poses import random_poses
from simulated import make_small_dataset


def moving_points() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return positions (3, 30, 3) of two bodies, the body of each point, and the motion."""
    rng = np.random.default_rng(0)
    body = np.arange(30) % 2
    reference = rng.normal(size=(30, 3)) * 20
    rotation = Rotation.random(6, rng=rng).as_matrix().reshape(3, 2, 3, 3)
    rotation[0] = np.eye(3)
    translation_A = rng.normal(size=(3, 2, 3)) * 10
    translation_A[0] = 0
    position_A = np.einsum("knij,nj->kni", rotation[:, body], reference) + translation_A[:, body]
    return position_A, body, rotation, translation_A


def test_superposition_finds_the_motion() -> None:
    position_A, body, rotation, translation_A = moving_points()
    motion = superpose_bodies(position_A, body).motion
    np.testing.assert_allclose(motion.rotation, rotation, atol=1e-10)
    np.testing.assert_allclose(motion.translation_A, translation_A, atol=1e-9)
    assert motion.bodies == 2


def test_a_flexible_body_or_a_mirrored_one_is_refused() -> None:
    position_A, body, *_ = moving_points()
    bent = position_A.copy()
    bent[2, 5] += 0.1
    with pytest.raises(ValueError, match="body 1 is not rigid: conformation 2"):
        superpose_bodies(bent, body)
    with pytest.raises(ValueError, match="not rigid"):
        superpose_bodies(np.stack([position_A[0], position_A[0] * [1, 1, -1]]), body)


def test_a_moved_body_lands_where_its_atoms_do() -> None:
    position_A, body, *_ = moving_points()
    motion = superpose_bodies(position_A, body).motion
    conformation = np.array([0, 1, 2, 1])
    poses = random_poses(4, 5.0, np.random.default_rng(1))
    for number in (0, 1):
        of_body = motion.poses_of_body(poses, conformation, number)
        for i, c in enumerate(conformation):
            atoms = position_A[c, body == number] @ poses.rotation_object_to_image[i].T
            reference = position_A[0, body == number] @ of_body.rotation_object_to_image[i].T
            np.testing.assert_allclose(
                reference[:, :2] + of_body.shift_A[i], atoms[:, :2] + poses.shift_A[i], atol=1e-8
            )


def test_the_truth_records_bodies_that_make_up_the_object(tmp_path: Path) -> None:
    truth = open_truth(make_small_dataset(tmp_path / "d", images=20, box_px=24))
    dataset = datasets.get("igg-pseudo")
    motion = dataset.build(resolve_settings(dataset, "small"), Sources(), TurnOptions()).rigid_bodies.motion
    assert truth.rigid_motion is not None
    assert truth.rigid_motion.rotation.shape == (8, 2, 3, 3)
    np.testing.assert_allclose(truth.rigid_motion.rotation[0], motion.rotation[0], atol=1e-12)
    # Half a turn of 8 or of 20 conformations is the same motion; body 1 turns, body 0 stays.
    np.testing.assert_allclose(truth.rigid_motion.rotation[4], motion.rotation[10], atol=1e-5)
    np.testing.assert_allclose(truth.rigid_motion.translation_A[4], motion.translation_A[10], atol=1e-3)
    np.testing.assert_allclose(truth.rigid_motion.rotation[:, 0], np.broadcast_to(np.eye(3), (8, 3, 3)), atol=1e-6)
    angles_deg = Rotation.from_matrix(truth.rigid_motion.rotation[:, 1]).magnitude() * 180 / np.pi
    np.testing.assert_allclose(angles_deg, [0, 45, 90, 135, 180, 135, 90, 45], atol=1e-3)
    whole = truth.volume(0)
    np.testing.assert_allclose(truth.body_volume(0) + truth.body_volume(1), whole, atol=1e-5 * whole.max())


def test_a_subset_of_the_truth_keeps_the_conformations(tmp_path: Path) -> None:
    truth = open_truth(make_small_dataset(tmp_path / "d", images=20, box_px=16))
    rows = np.array([7, 3])
    some = truth.subset(rows)
    np.testing.assert_array_equal(some.particle_id, truth.particle_id[rows])
    np.testing.assert_array_equal(some.conformation, truth.conformation[rows])
    np.testing.assert_array_equal(some.poses.shift_A, truth.poses.shift_A[rows])
    assert some.volume_names == truth.volume_names
    np.testing.assert_array_equal(some.population, np.full(8, 1 / 8))


def test_one_fab_of_the_real_antibody_is_one_of_two_bodies(mirror: Path) -> None:
    dataset = datasets.get("igg-1d")
    settings = replace(resolve_settings(dataset, "small"), conformations=4)
    ensemble = dataset.build(settings, Sources({"1hzh.pdb": mirror / "models" / "igg" / "1hzh.pdb"}), TurnOptions())
    assert ensemble.rigid_bodies is not None
    body, motion = ensemble.rigid_bodies.body, ensemble.rigid_bodies.motion
    position_A = ensemble.specimen.positions_A
    moved = np.einsum("knij,nj->kni", motion.rotation[:, body], position_A[0]) + motion.translation_A[:, body]
    np.testing.assert_allclose(moved, position_A, atol=1e-3)
    np.testing.assert_array_equal(body[np.linalg.norm(position_A[2] - position_A[0], axis=1) > 0.01], 1)
