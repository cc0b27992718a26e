"""Put truth and an answer side by side and compute every metric that applies: the only place that does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cryoarena.datasets.truth import Truth
from cryoarena.errors import UserError
from cryoarena.imaging.poses import Poses
from cryoarena.metrics.base import MetricResult, metrics
from cryoarena.progress import Report

VolumePairs = Iterator[tuple[str, NDArray[np.float32], NDArray[np.float32]]]

_DECODED_AT_ONCE = 8
_SEED = 0


@dataclass(frozen=True)
class Answer:
    """What is judged: a method's result, or a limit. Row i belongs to particle i of the truth.

    Attributes:
        embedding: (N, d).
        maps_of: rows (k,) -> maps (k, D, D, D) that the answer gives for these particles.
        posterior: (N, K) class probabilities, or None.
        estimated_poses: of the N particles, or None where poses were given.
    """

    embedding: NDArray[np.float32]
    maps_of: Callable[[NDArray[np.int64]], NDArray[np.float32]]
    posterior: NDArray[np.float32] | None = None
    estimated_poses: Poses | None = None


@dataclass(frozen=True)
class NoResult:
    """Why a metric has no value."""

    status: Literal["failed", "not_applicable"]
    reason: str


def judged_rows(truth: Truth, images: int) -> NDArray[np.int64]:
    """Return about `images` rows spread evenly over the conformations.

    As in CryoBench: rows 0, s, 2s, … with s = N // images of the particles in order of conformation.
    """
    by_conformation = np.argsort(truth.conformation, kind="stable")
    return by_conformation[:: max(1, len(by_conformation) // images)][:images]


def judge(answer: Answer, truth: Truth, rows: NDArray[np.int64], report: Report) -> dict[str, MetricResult | NoResult]:
    """Compute every registered metric.

    Args:
        answer: what to judge.
        truth: of the dataset.
        rows: particles whose maps are compared.
        report: told how many maps are done.

    Returns:
        Per metric its result, or why it has none.
    """
    inputs: dict[str, Callable[[], Any]] = {
        "volume_pairs": lambda: _pairs(answer, truth, rows, report),
        "masks": truth.masks,
        "pixel_size_A": lambda: truth.pixel_size_A,
        "embedding": lambda: answer.embedding,
        "posterior": lambda: answer.posterior,
        "estimated_poses": lambda: answer.estimated_poses,
        "true_embedding": lambda: truth.embedding()[truth.conformation],
        "true_labels": lambda: truth.conformation,
        "true_poses": lambda: truth.poses,
        "seed": lambda: _SEED,
    }
    results: dict[str, MetricResult | NoResult] = {}
    for name, metric in metrics.all().items():
        missing = [need for need in metric.card.needs if need not in inputs]
        if missing:
            results[name] = NoResult("not_applicable", f"there is no {missing[0].replace('_', ' ')} to judge")
            continue
        given = {need: inputs[need]() for need in metric.card.needs}
        absent = [need for need, value in given.items() if value is None]
        if absent:
            results[name] = NoResult("not_applicable", f"the method gives no {absent[0].replace('_', ' ')}")
            continue
        try:
            results[name] = metric.compute(**given)
        except (UserError, ValueError) as error:
            results[name] = NoResult("failed", str(error))
    return results


def _pairs(answer: Answer, truth: Truth, rows: NDArray[np.int64], report: Report) -> VolumePairs:
    for start in range(0, len(rows), _DECODED_AT_ONCE):
        batch = rows[start : start + _DECODED_AT_ONCE]
        for row, volume in zip(batch, answer.maps_of(batch), strict=True):
            yield f"particle {truth.particle_id[row]}", volume, truth.volume(int(truth.conformation[row]))
        report(start + len(batch), len(rows), "maps compared")
