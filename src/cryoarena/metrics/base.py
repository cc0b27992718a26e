"""The contract of a metric: a card and a pure function on arrays."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cryoarena.registry import Registry


@dataclass(frozen=True)
class MetricCard:
    """What a metric is.

    Attributes:
        name: as on the command line.
        version: raised whenever a value could change.
        unit: of the values; "" when they have none.
        range: lowest and highest possible value of the statistics that have the card's unit.
        direction: which way is better.
        citation: paper or equation.
        summary: one sentence.
        needs: names of the inputs that the function takes; the scorer supplies them (`benchmark/score.py`).
    """

    name: str
    version: int
    unit: str
    range: tuple[float, float]
    direction: Literal["higher", "lower"]
    citation: str
    summary: str
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """A value with its standard error over n independent items (images, conformations, particles).

    Attributes:
        value: the score.
        standard_error: of the value; NaN when n is 1.
        n: number of items.
        unit: of this statistic, where it is not the card's.
        direction: of this statistic, where it is not the card's.
    """

    value: float
    standard_error: float
    n: int
    unit: str | None = None
    direction: Literal["higher", "lower"] | None = None


@dataclass(frozen=True)
class Curve:
    """A score as a function of something, e.g. FSC against spatial frequency; arrays of equal length."""

    x: NDArray[np.float64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    x_label: str
    y_label: str


@dataclass(frozen=True)
class MetricResult:
    """What a metric returns.

    Attributes:
        scores: one per statistic.
        curves: behind them.
        absent: statistic -> the sentence that says why it cannot be told of such data.
    """

    scores: dict[str, Score]
    curves: dict[str, Curve] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Metric:
    """A registered metric: its card and its function, which takes `card.needs` as keyword arguments."""

    card: MetricCard
    compute: Callable[..., MetricResult]


class NotApplicable(Exception):
    """A metric has nothing to say about such data; the message is the sentence that says why."""


metrics: Registry[Metric] = Registry("metric", "cryoarena.metrics")


def metric(card: MetricCard) -> Callable[[Callable[..., MetricResult]], Callable[..., MetricResult]]:
    """Register the decorated function as the metric described by `card`."""

    def decorate(function: Callable[..., MetricResult]) -> Callable[..., MetricResult]:
        metrics.register(Metric(card, function))
        return function

    return decorate
