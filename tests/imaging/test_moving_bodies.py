"""Atoms of rigid bodies, computed when asked for."""

import pickle

import numpy as np
from scipy.spatial.transform import Rotation

from cryoarena.datasets.rigid_bodies import RigidMotion, superpose_bodies
from cryoarena.imaging.moving_bodies import MovingBodies
from cryoarena.structures.density import gaussian_model


def test_atoms_are_where_their_bodies_are_and_the_motion_can_start_anywhere() -> None:
    rng = np.random.default_rng(0)
    rest_A, body = rng.normal(size=(40, 3)) * 20, np.arange(40) % 3
    rotation = Rotation.random(12, rng=rng).as_matrix().reshape(4, 3, 3, 3)
    translation_A = rng.normal(size=(4, 3, 3)) * 10
    specimen = MovingBodies(rest_A, body, rotation, translation_A, gaussian_model(np.full(40, 6), 4.0))
    specimen = pickle.loads(pickle.dumps(specimen))
    assert len(specimen) == 4
    position_A = np.stack([specimen.position_A(number) for number in range(4)])
    np.testing.assert_allclose(position_A[2, 7], rotation[2, 1] @ rest_A[7] + translation_A[2, 1], atol=1e-4)
    assert specimen.reach_A() == np.linalg.norm(position_A, axis=2).max()
    # No rest position need occur: conformation 0 is moved as well.
    motion = RigidMotion(rotation, translation_A).from_first()
    found = superpose_bodies(position_A, body).motion
    np.testing.assert_allclose(motion.rotation, found.rotation, atol=1e-6)
    np.testing.assert_allclose(motion.translation_A, found.translation_A, atol=1e-4)
