"""Bring estimated poses into the frame, the hand and the origin of the truth.

A reconstruction that found its own poses may be turned, mirrored and displaced as a whole without being wrong.
An object turned by Gᵀ gives the true images at the rotations R G. A mirrored one, V(F x) with F = diag(1, 1, -1),
gives them at F R F, because a projection along z does not see the sign of z. An object displaced by -o (in the true
frame) gives them at shifts larger by (R o)_xy.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MIRROR = np.diag([1.0, 1.0, -1.0])
_ITERATIONS = 100
_CONVERGED = 1e-9
_SMALLEST_DISTANCE = 1e-6  # keeps the weight of a perfect particle finite


@dataclass(frozen=True)
class Frame:
    """The global rotation G and hand of estimated rotations: R_estimated = R G, or F R F G when mirrored.

    Attributes:
        rotation: (3, 3) G.
        mirrored: whether the reconstruction has the other hand.
    """

    rotation: NDArray[np.float64]
    mirrored: bool

    def to_truth(self, estimated: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return estimated rotations (N, 3, 3) in the frame and hand of the truth."""
        turned = estimated @ self.rotation.T
        return _MIRROR @ turned @ _MIRROR if self.mirrored else turned


def rotation_angle_deg(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the angles (N,) in degrees between rotations (N, 3, 3); exact for small angles too."""
    chord = np.sqrt(np.square(a - b).sum(axis=(1, 2)) / 8)
    return np.asarray(np.degrees(2 * np.arcsin(np.minimum(chord, 1))))


def find_frame(estimated: NDArray[np.float64], true: NDArray[np.float64]) -> Frame:
    """Return the frame that explains most rotations, robust to outliers (up to half of them).

    For either hand, G minimises the sum of chordal distances |R_trueᵀ R_estimated - G|: first the closed-form least
    squares solution (Moakher 2002, SIAM J. Matrix Anal. Appl. 24:1), then reweighted by the inverse distances (Hartley
    et al. 2011, CVPR, "L1 rotation averaging"). The hand is the one with the smaller sum.

    Args:
        estimated: (N, 3, 3) rotations.
        true: (N, 3, 3) rotations of the same particles.
    """
    candidates = []
    for mirrored in (False, True):
        of_truth = _MIRROR @ true @ _MIRROR if mirrored else true
        each = of_truth.transpose(0, 2, 1) @ estimated
        rotation, cost = _median_rotation(each)
        candidates.append((cost, mirrored, rotation))
    _, mirrored, rotation = min(candidates, key=lambda candidate: candidate[0])
    return Frame(rotation, mirrored)


def find_frame_cryobench(
    estimated: NDArray[np.float64], true: NDArray[np.float64], seed: int, candidates: int = 30
) -> Frame:
    """Return the frame as CryoBench finds it: the best of 30 random particles.

    Each proposes G = R_trueᵀ R_estimated for both hands; the one with the least median squared Frobenius distance
    wins. (Their random numbers are others, so that values agree within the spread of the candidates.)
    """
    chosen = np.random.default_rng(seed).choice(len(true), min(candidates, len(true)), replace=False)
    best, least = Frame(np.eye(3), False), np.inf
    for mirrored in (False, True):
        of_truth = _MIRROR @ true @ _MIRROR if mirrored else true
        for i in chosen:
            rotation = of_truth[i].T @ estimated[i]
            median = float(np.median(np.square(of_truth @ rotation - estimated).sum(axis=(1, 2))))
            if median < least:
                best, least = Frame(rotation, mirrored), median
    return best


def find_origin(
    shift_difference_A: NDArray[np.float64], true: NDArray[np.float64], robust: bool
) -> NDArray[np.float64]:
    """Return the displacement o (3,) in Å with shift_estimated - shift_true = (R o)_xy + error.

    Args:
        shift_difference_A: (N, 2) estimated minus true shifts.
        true: (N, 3, 3) true rotations R.
        robust: minimise the sum of the distances (iteratively reweighted) and not of their squares.
    """
    design = true[:, :2, :]
    weight = np.ones(len(true))
    origin = np.zeros(3)
    for _ in range(_ITERATIONS if robust else 1):
        normal = np.einsum("n,nij,nik->jk", weight, design, design)
        # lstsq: views from one direction only leave the depth undetermined; it is then left at 0
        updated = np.linalg.lstsq(normal, np.einsum("n,nij,ni->j", weight, design, shift_difference_A))[0]
        moved = float(np.abs(updated - origin).max())
        origin = updated
        if moved < _CONVERGED:
            break
        weight = 1 / np.maximum(np.linalg.norm(shift_difference_A - design @ origin, axis=1), _SMALLEST_DISTANCE)
    return np.asarray(origin)


def _median_rotation(rotations: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return the rotation with the least mean chordal distance to `rotations` (N, 3, 3), and that distance."""
    mean = _nearest_rotation(rotations.sum(axis=0))
    for _ in range(_ITERATIONS):
        distance = np.sqrt(np.square(rotations - mean).sum(axis=(1, 2)))
        weight = 1 / np.maximum(distance, _SMALLEST_DISTANCE)
        updated = _nearest_rotation(np.einsum("n,nij->ij", weight, rotations))
        moved = float(np.abs(updated - mean).max())
        mean = updated
        if moved < _CONVERGED:
            break
    return mean, float(np.sqrt(np.square(rotations - mean).sum(axis=(1, 2))).mean())


def _nearest_rotation(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    left, _, right = np.linalg.svd(matrix)
    return np.asarray(left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right)
