"""Pose error of methods that find their own poses."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.imaging.poses import Poses
from cryoarena.metrics.base import Curve, MetricCard, MetricResult, NotApplicable, Score, metric
from cryoarena.metrics.finite_rows import finite_rows
from cryoarena.metrics.pose_alignment import find_frame, find_frame_cryobench, find_origin, rotation_angle_deg

_FEWEST = 10
_ORTHOGONAL = 1e-3
_ROTATION_BINS_DEG = np.arange(0.0, 181.0)
_SHIFT_BINS_A = np.arange(0.0, 30.5, 0.5)


@dataclass(frozen=True)
class PoseErrors:
    """Errors left after one global alignment.

    Attributes:
        rotation_deg: (N,) angle between estimated and true rotation.
        shift_A: (N,) distance between estimated and true shift.
        mirrored: whether the estimated poses belong to the other hand.
    """

    rotation_deg: NDArray[np.float64]
    shift_A: NDArray[np.float64]
    mirrored: bool


@metric(
    MetricCard(
        name="pose-error",
        version=1,
        unit="°",
        range=(0.0, 180.0),
        direction="lower",
        citation=(
            "Jeon et al., CryoBench, NeurIPS 2024 Datasets & Benchmarks, C.7 and Table S7; "
            "robust rotation averaging: Hartley et al., CVPR 2011"
        ),
        summary="Error of the estimated rotations and shifts after one global alignment, hand decision and origin fit.",
        needs=("estimated_poses", "true_poses", "true_labels", "kind", "seed"),
    )
)
def pose_error(
    estimated_poses: Poses,
    true_poses: Poses,
    true_labels: NDArray[np.int64],
    kind: Literal["continuous", "discrete"],
    seed: int,
) -> MetricResult:
    """Score N estimated poses against the true poses of the same images.

    Args:
        estimated_poses: N, in any global frame, hand and origin.
        true_poses: N.
        true_labels: (N,) conformation; for discrete heterogeneity every state is also aligned apart, since a mixture
            of different molecules has no common frame.
        kind: of the heterogeneity.
        seed: of the published variant's candidates.

    Returns:
        `<variant>/rotation_mean`, `…_median` (degrees), `<variant>/shift_mean`, `…_median` (Å). Variants: `standard`
        (robust frame and origin), `cryobench` (best of 30 candidate frames, least-squares origin; its authors print
        shifts in pixels) and, for discrete truth, `per_state` (standard, every state of ten or more images aligned
        apart). `standard/mirrored` is 1 where the other hand was found: no error by itself. Curves `rotation` and
        `shift` are histograms; the last bin holds all that is beyond.

    Raises:
        UserError: when poses are missing, hold NaN or are no rotations.
        NotApplicable: when there are fewer than ten images.
    """
    estimated, true = _checked("estimated", estimated_poses, len(true_poses)), _checked("true", true_poses)
    standard = pose_errors(estimated, true)
    scores = _scores("standard", standard) | _scores("cryobench", pose_errors_cryobench(estimated, true, seed))
    absent: dict[str, str] = {}
    scores["standard/mirrored"] = Score(float(standard.mirrored), float("nan"), len(true), unit="")
    if kind == "discrete":
        groups = [np.flatnonzero(true_labels == state) for state in np.unique(true_labels)]
        apart = [pose_errors(estimated[rows], true[rows]) for rows in groups if len(rows) >= _FEWEST]
        if apart:
            scores |= _scores("per_state", _joined(apart))
        else:
            keys = [f"per_state/{of}_{how}" for of in ("rotation", "shift") for how in ("mean", "median")]
            absent = dict.fromkeys(keys, f"no state has the {_FEWEST} images that an alignment of its own needs")
    curves = {
        "rotation": _histogram(standard.rotation_deg, _ROTATION_BINS_DEG, "rotation error (°)"),
        "shift": _histogram(standard.shift_A, _SHIFT_BINS_A, "shift error (Å)"),
    }
    return MetricResult(scores, curves, absent)


def pose_errors(estimated: Poses, true: Poses) -> PoseErrors:
    """Return the errors (N,) after the robust global alignment of rotations and origin."""
    frame = find_frame(estimated.rotation_object_to_image, true.rotation_object_to_image)
    aligned = frame.to_truth(estimated.rotation_object_to_image)
    rotation = rotation_angle_deg(aligned, true.rotation_object_to_image)
    return PoseErrors(rotation, _shift_error_A(estimated, true, robust=True), frame.mirrored)


def pose_errors_cryobench(estimated: Poses, true: Poses, seed: int) -> PoseErrors:
    """Return the errors (N,) after the alignment that CryoBench uses."""
    frame = find_frame_cryobench(estimated.rotation_object_to_image, true.rotation_object_to_image, seed)
    aligned = frame.to_truth(estimated.rotation_object_to_image)
    rotation = rotation_angle_deg(aligned, true.rotation_object_to_image)
    return PoseErrors(rotation, _shift_error_A(estimated, true, robust=False), frame.mirrored)


def _shift_error_A(estimated: Poses, true: Poses, robust: bool) -> NDArray[np.float64]:
    difference = estimated.shift_A - true.shift_A
    origin = find_origin(difference, true.rotation_object_to_image, robust)
    displaced = true.rotation_object_to_image[:, :2, :] @ origin
    return np.asarray(np.linalg.norm(difference - displaced, axis=1))


def _joined(parts: list[PoseErrors]) -> PoseErrors:
    return PoseErrors(
        np.concatenate([part.rotation_deg for part in parts]),
        np.concatenate([part.shift_A for part in parts]),
        any(part.mirrored for part in parts),
    )


def _checked(name: str, poses: Poses, n: int | None = None) -> Poses:
    n = len(poses) if n is None else n
    if n < _FEWEST:
        raise NotApplicable(f"pose error needs at least {_FEWEST} images, but the dataset has {n}")
    rotation = finite_rows(f"{name} rotations", poses.rotation_object_to_image, n).reshape(n, 3, 3)
    shift = finite_rows(f"{name} shifts", poses.shift_A, n)
    away = np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    bad = np.flatnonzero((away > _ORTHOGONAL) | (np.linalg.det(rotation) < 0))
    if bad.size:
        raise UserError(f"row {bad[0]} of the {name} poses is no rotation; write proper rotation matrices")
    return Poses(rotation, shift)


def _scores(variant: str, errors: PoseErrors) -> dict[str, Score]:
    scores = {}
    for name, values, unit in (("rotation", errors.rotation_deg, "°"), ("shift", errors.shift_A, "Å")):
        n = len(values)
        scores[f"{variant}/{name}_mean"] = Score(float(values.mean()), float(values.std(ddof=1) / np.sqrt(n)), n, unit)
        scores[f"{variant}/{name}_median"] = Score(float(np.median(values)), _error_of_median(values), n, unit)
    return scores


def _error_of_median(values: NDArray[np.float64]) -> float:
    """Return half the distance between the order statistics one standard deviation (√n/2 ranks) off the median."""
    n = len(values)
    ranks = np.clip(np.round([(n - np.sqrt(n)) / 2, (n + np.sqrt(n)) / 2]).astype(int), 0, n - 1)
    low, high = np.partition(values, ranks)[ranks]
    return float(high - low) / 2


def _histogram(values: NDArray[np.float64], edges: NDArray[np.float64], label: str) -> Curve:
    counts = np.histogram(np.minimum(values, edges[-1]), edges)[0]
    share = counts / len(values)
    spread = np.sqrt(share * (1 - share) / len(values))
    return Curve((edges[:-1] + edges[1:]) / 2, 100 * share, 100 * spread, label, "images (%)")
