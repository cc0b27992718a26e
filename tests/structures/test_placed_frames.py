"""Frames laid upon the first."""

import numpy as np
from scipy.spatial.transform import Rotation

from cryoarena.structures.frames import Frames
from cryoarena.structures.placed_frames import place_frames


class TumblingArm(Frames):
    """A body of 20 atoms that tumbles, and an arm of 5 that moves by 3 Å on it in frame 2."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._body = rng.normal(size=(25, 3)) * 10 + 40
        self._turns = Rotation.random(3, random_state=1)

    def __len__(self) -> int:
        return 3

    def position_A(self, frame: int) -> np.ndarray:
        position_A = self._body.copy()
        position_A[20:] += 3.0 * (frame == 2) * np.array([0, 0, 1])
        return (self._turns[frame].apply(position_A) + 7.0 * frame).astype(np.float32)


BODY, WITH_ARM = np.arange(20), np.arange(25)


def test_tumbling_is_undone_and_the_motion_of_the_arm_stays() -> None:
    weights = np.linspace(1, 2, 25)
    placed = place_frames(TumblingArm(), WITH_ARM, BODY, weights)
    first, second, third = (placed.position_A(frame) for frame in range(3))
    np.testing.assert_allclose(np.average(first, axis=0, weights=weights), 0, atol=1e-4)
    np.testing.assert_allclose(second, first, atol=1e-4)
    np.testing.assert_allclose(third[:20], first[:20], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(third[20:] - first[20:], axis=1), 3, atol=1e-4)


def test_without_superposition_frames_keep_their_places() -> None:
    frames = TumblingArm()
    shown = np.arange(5, 25)
    placed = place_frames(frames, shown, np.empty(0, np.int64), np.ones(20))
    moved_A = frames.position_A(2)[shown] - frames.position_A(0)[shown]
    np.testing.assert_allclose(placed.position_A(2) - placed.position_A(0), moved_A, atol=1e-4)
    np.testing.assert_allclose(placed.position_A(0).mean(axis=0), 0, atol=1e-4)
