"""Does a metric keep its contract? It judges the truth itself, and an answer that knows nothing."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryoarena.benchmark.conformance.check_card import wrong_in_card
from cryoarena.benchmark.conformance.clause import CannotTell, Clause, tried
from cryoarena.benchmark.conformance.tiny_dataset import make_tiny_dataset
from cryoarena.datasets.truth import Truth, open_truth
from cryoarena.imaging.poses import random_poses
from cryoarena.metrics.base import Metric, MetricResult, Score
from cryoarena.metrics.judge import Answer, judge, judged_rows
from cryoarena.progress import silent

_JUDGED_IMAGES = 8
# in standard errors
_MARGIN = 3.0
# Maps of an answer that estimated poses are judged only turned; such an answer is for the metrics that want it.
_OF_ESTIMATED_POSES = {"estimated_poses", "ab_initio_volume_pairs"}


def check_metric(metric: Metric, folder: Path) -> Iterator[Clause]:
    """Yield the clauses of the contract of metrics (docs/add.md) as they are tried.

    Args:
        metric: any that is registered.
        folder: empty; for the dataset.
    """
    yield tried("the card is complete", lambda: wrong_in_card(metric.card))
    trial = _Trial(metric, open_truth(make_tiny_dataset(folder / "dataset")))
    computed = tried("the truth can be judged", trial.wrong_in_perfect)
    yield computed
    if computed.status == "kept":
        yield tried("values are in the range of the card", trial.wrong_in_range)
        yield tried("standard errors and numbers of items are sensible", trial.wrong_in_errors)
        yield tried("the truth is judged no worse than an answer that knows nothing", trial.wrong_order)


class _Trial:
    """Two answers judged by one metric; each check returns what is wrong, or None."""

    def __init__(self, metric: Metric, truth: Truth) -> None:
        self._metric = metric
        self._truth = truth
        self._perfect: dict[str, Score] = {}

    def wrong_in_perfect(self) -> str | None:
        self._perfect = self._scores(_perfect(self._truth))
        return None if self._perfect else "it returns no score"

    def wrong_in_range(self) -> str | None:
        low, high = self._metric.card.range
        for name, score in self._perfect.items():
            if score.unit is None and not low <= score.value <= high:
                return f"{name or 'its value'} is {score.value:.6g}, not from {low:g} to {high:g}"
        return None

    def wrong_in_errors(self) -> str | None:
        for name, score in self._perfect.items():
            if score.n < 1 or score.standard_error < 0:
                return f"{name or 'its value'} has n = {score.n} and a standard error of {score.standard_error:.3g}"
        return None

    def wrong_order(self) -> str | None:
        ignorant = self._scores(_ignorant(self._truth))
        for name, best in self._perfect.items():
            if name not in ignorant or not math.isfinite(best.value) or not math.isfinite(ignorant[name].value):
                continue
            sign = 1 if (best.direction or self._metric.card.direction) == "higher" else -1
            errors = [error for error in (best.standard_error, ignorant[name].standard_error) if math.isfinite(error)]
            if sign * (ignorant[name].value - best.value) > _MARGIN * math.hypot(*errors):
                return (
                    f"{name or 'its value'} is {best.value:.4g} for the truth and {ignorant[name].value:.4g} for chance"
                )
        return None

    def _scores(self, answer: Answer) -> dict[str, Score]:
        rows = judged_rows(self._truth, _JUDGED_IMAGES)
        name = self._metric.card.name
        if not _OF_ESTIMATED_POSES & set(self._metric.card.needs):
            answer = replace(answer, estimated_poses=None)
        result = judge(answer, self._truth, rows, silent, wanted=lambda card: card.name == name)[name]
        if isinstance(result, MetricResult):
            return result.scores
        if result.status == "not_applicable":
            raise CannotTell(f"it says nothing of the dataset that is tried here: {result.reason}")
        raise ValueError(result.reason)


def _perfect(truth: Truth) -> Answer:
    maps = np.stack([truth.volume(conformation) for conformation in range(len(truth.population))])
    return Answer(
        truth.embedding().astype(np.float32)[truth.conformation],
        lambda rows: maps[truth.conformation[rows]],
        np.eye(len(truth.population), dtype=np.float32)[truth.state],
        truth.poses,
    )


def _ignorant(truth: Truth) -> Answer:
    rng = np.random.default_rng(0)
    n, states = len(truth.particle_id), len(truth.population)
    mean = np.mean([truth.volume(conformation) for conformation in range(states)], axis=0)
    latents: NDArray[np.float32] = rng.standard_normal((n, 2)).astype(np.float32)
    posterior = np.eye(states, dtype=np.float32)[rng.integers(states, size=n)]
    return Answer(latents, lambda rows: np.stack([mean] * len(rows)), posterior, random_poses(n, 0.0, rng))
