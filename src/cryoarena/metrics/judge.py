"""Put truth and an answer side by side and compute every metric that applies: the only place that does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.datasets.truth import Truth
from cryoarena.errors import UserError
from cryoarena.metrics.base import MetricResult, metrics
from cryoarena.progress import Report

_DECODED_AT_ONCE = 8


@dataclass(frozen=True)
class Answer:
    """What is judged: a method's result, or a limit.

    Attributes:
        embedding: (N, d), row i for particle i of the truth.
        maps_of: rows (k,) -> maps (k, D, D, D) that the answer gives for these particles.
    """

    embedding: NDArray[np.float32]
    maps_of: Callable[[NDArray[np.int64]], NDArray[np.float32]]


@dataclass(frozen=True)
class Failure:
    """Why a metric has no value."""

    reason: str


def judged_rows(truth: Truth, images: int) -> NDArray[np.int64]:
    """Return about `images` rows spread evenly over the conformations.

    As in CryoBench: rows 0, s, 2s, … with s = N // images of the particles in order of conformation.
    """
    by_conformation = np.argsort(truth.conformation, kind="stable")
    return by_conformation[:: max(1, len(by_conformation) // images)][:images]


def judge(answer: Answer, truth: Truth, rows: NDArray[np.int64], report: Report) -> dict[str, MetricResult | Failure]:
    """Compute every registered metric.

    Args:
        answer: what to judge.
        truth: of the dataset.
        rows: particles whose maps are compared.
        report: told how many maps are done.

    Returns:
        Per metric its result, or why it failed.
    """
    inputs: dict[str, Callable[[], Any]] = {
        "volume_pairs": lambda: _pairs(answer, truth, rows, report),
        "masks": truth.masks,
        "pixel_size_A": lambda: truth.pixel_size_A,
        "embedding": lambda: answer.embedding,
        "true_embedding": lambda: truth.embedding()[truth.conformation],
    }
    results: dict[str, MetricResult | Failure] = {}
    for name, metric in metrics.all().items():
        try:
            results[name] = metric.compute(**{need: inputs[need]() for need in metric.card.needs})
        except (UserError, ValueError) as error:
            results[name] = Failure(str(error))
    return results


def _pairs(
    answer: Answer, truth: Truth, rows: NDArray[np.int64], report: Report
) -> Iterator[tuple[str, NDArray[np.float32], NDArray[np.float32]]]:
    for start in range(0, len(rows), _DECODED_AT_ONCE):
        batch = rows[start : start + _DECODED_AT_ONCE]
        for row, volume in zip(batch, answer.maps_of(batch), strict=True):
            yield f"particle {truth.particle_id[row]}", volume, truth.volume(int(truth.conformation[row]))
        report(start + len(batch), len(rows), "maps compared")
