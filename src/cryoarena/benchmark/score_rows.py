"""The rows of the score table (docs/formats.md)."""

import math
from typing import Any

import numpy as np
import pandas as pd

from cryoarena.benchmark.score_columns import COLUMNS
from cryoarena.metrics.base import MetricResult, metrics
from cryoarena.metrics.judge import NoResult

_LEAST_SPAN = 0.02


def table_of(
    rows: list[dict[str, Any]], dataset: str, method: str, run: str, particles: int, covered: int | None
) -> pd.DataFrame:
    """Return the table of one run.

    Args:
        rows: of it.
        dataset: name.
        method: name.
        run: name.
        particles: of the dataset, without junk.
        covered: how many of them the result has; None where there is no result.
    """
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table[["dataset", "method", "run", "particles"]] = dataset, method, run, particles
    table["coverage"] = np.nan if covered is None else covered / particles
    return table


def rows_of(results: dict[str, MetricResult | NoResult], limits: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per statistic, or one per metric or statistic that has no value."""
    rows = []
    for name, result in results.items():
        card = metrics.get(name).card
        if isinstance(result, NoResult):
            rows.append(empty_row(name, result.status, result.reason))
            continue
        for statistic, reason in result.absent.items():
            rows.append(empty_row(name, "not_applicable", reason) | {"statistic": statistic})
        for statistic, score in result.scores.items():
            observed = {
                "value": score.value,
                "unit": card.unit if score.unit is None else score.unit,
                "standard_error": score.standard_error,
                "n": score.n,
                "direction": score.direction or card.direction,
            }
            rows.append(row_of(name, statistic, observed, limits))
    return rows


def row_of(name: str, statistic: str, observed: dict[str, Any], limits: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the row of one statistic.

    Args:
        name: of the metric.
        statistic: of it.
        observed: its value, unit, standard_error, n and direction.
        limits: floor and ceiling of the dataset.
    """
    key = f"{name}/{statistic}"
    floor, ceiling = (limits[kind]["scores"].get(key, {}) for kind in ("floor", "ceiling"))
    finite = math.isfinite(observed["value"])
    return {
        "metric": name,
        "statistic": statistic,
        **observed,
        "status": "ok" if finite else "failed",
        "reason": "" if finite else "the value is not finite",
        "floor": floor.get("value"),
        "ceiling": ceiling.get("value"),
        "normalised": _normalised(observed["value"], floor, ceiling, observed["direction"]),
        "metric_version": metrics.get(name).card.version,
    }


def _normalised(value: float, floor: dict[str, Any], ceiling: dict[str, Any], direction: str) -> float | None:
    """Return (value - floor) / (ceiling - floor), or None where the ceiling is not clearly better than the floor.

    Clearly is by more than three standard errors of their difference, and by more than a fiftieth of the larger one:
    where what can be won is less than that, a small loss would be told as several times all that could be won.
    """
    if floor.get("value") is None or ceiling.get("value") is None:
        return None
    span = ceiling["value"] - floor["value"]
    noise = math.hypot(floor["standard_error"] or 0.0, ceiling["standard_error"] or 0.0)
    better_by = span if direction == "higher" else -span
    least = max(3 * noise, _LEAST_SPAN * max(abs(floor["value"]), abs(ceiling["value"])))
    return float((value - floor["value"]) / span) if better_by > least else None


def empty_row(name: str, status: str, reason: str) -> dict[str, Any]:
    """Return the row of a metric that has no value."""
    card = metrics.get(name).card
    row: dict[str, Any] = dict.fromkeys(COLUMNS[3:])
    return row | {
        "metric": name,
        "status": status,
        "reason": reason,
        "direction": card.direction,
        "metric_version": card.version,
    }
