"""Floor and ceiling of the metrics on a dataset, computed once and kept in `truth/limits`."""

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from cryoarena.datasets.truth import Truth
from cryoarena.files import read_json, write_json
from cryoarena.limits.observers import Observation, Observers
from cryoarena.metrics.base import Curve, MetricResult, metrics
from cryoarena.metrics.judge import NoResult, judge
from cryoarena.progress import progress_bar

Limit = dict[str, Any]

# Of the files in the cache; raised whenever they hold something else.
_FORMAT = 3

# A metric that needs one of these judges maps; all others judge what is said about single images.
_NEEDS_OF_MAPS = {"volume_pairs", "conformation_volume_pairs", "ab_initio_volume_pairs", "sample_volumes"}
_NO_MAPS: Limit = {"source": "", "description": "none", "scores": {}, "curves": {}}
# In the order in which they are shown, and whether they are judged by their maps, or by what they say of single images.
OBSERVERS = {
    "chance": False,
    "one-for-all": False,
    "consensus": True,
    "known-label": True,
    "rigid-motion": True,
    "bayes": False,
}
_BEST_MAPS_BY = "per-image-fsc/standard/moving_mask/auc"


def limits_of(truth: Truth, device: str = "cpu") -> dict[str, Limit]:
    """Return {"floor": …, "ceiling": …} as in docs/formats.md; what is not in the cache is computed now.

    Floor: of maps the consensus; of everything else one latent and one class for all images, or random latents and
    poses where that has no value or is, by accident, as good as the ceiling (one class for all has the right
    populations where these are equal). Ceiling: of maps the better of the known-label and the rigid-motion oracle; of
    everything else the Bayes posterior. Every score names the observer it comes from as its `source`. An observer who
    needs a truth that is not there, as of recorded images, is left out, and so are the limits he would give.
    """
    observers = Observers(truth, device)
    floor = by_label = _NO_MAPS
    if observers.can_reconstruct():
        floor = _judged("consensus", observers.consensus, observers)
        by_label = _judged("known-label", observers.known_label, observers)
    by_motion = _judged("rigid-motion", observers.rigid_motion, observers) if truth.rigid_motion else None
    nothing = [_judged("one-for-all", observers.one_for_all, observers), _judged("chance", observers.chance, observers)]
    bayes = [_judged("bayes", observers.bayes, observers)] if observers.knows_all() else []

    maps = sorted(filter(None, [by_label, by_motion]), key=_moving_region, reverse=True)
    ceiling = _joined(maps[0], bayes, {})
    limits = {"floor": _joined(floor, nothing, ceiling["scores"]), "ceiling": ceiling}
    if len(maps) > 1:
        limits["ceiling"]["description"] += (
            f" (area under the moving-region FSC {_moving_region(maps[0]):.3f}, "
            f"{maps[1]['source']} {_moving_region(maps[1]):.3f})"
        )
    for name, limit in limits.items():
        path = truth.folder / "truth" / "limits" / f"{name}.json"
        if not path.exists() or read_json(path) != limit:
            write_json(path, limit)
    return limits


def _judged(source: str, observe: Callable[[], Observation | None], observers: Observers) -> Limit:
    """Return what an observer scores, computed again when a metric is new or changed."""
    path = observers.truth.folder / "truth" / "limits" / f"{source}.json"
    versions = {"format": _FORMAT} | {name: metric.card.version for name, metric in metrics.all().items()}
    if path.exists():
        kept: Limit = read_json(path)
        if kept["metrics"] == versions:
            return kept
    observation = observe()
    assert observation is not None
    with progress_bar(f"Judging {source}") as report:
        results = judge(observation.answer, observation.truth, observation.rows, report, observers.device)
    limit = {"source": source, "description": observation.description, "metrics": versions, **as_json(results)}
    write_json(path, limit)
    return limit


def judges_maps(name: str) -> bool:
    """Tell whether a metric judges maps; all others judge what is said of single images."""
    return bool(_NEEDS_OF_MAPS & set(metrics.get(name).card.needs))


def _moving_region(limit: Limit) -> float:
    value = limit["scores"].get(_BEST_MAPS_BY, {}).get("value")
    return -math.inf if value is None else float(value)


def _joined(of_maps: Limit, of_images: list[Limit], ceiling: dict[str, Any]) -> Limit:
    """Take metrics of maps from one observer, and each other score from the first whose value is below the ceiling.

    Where none is, the first value is taken.
    """
    scores: dict[str, Any] = {}
    curves: dict[str, Any] = {}
    for limit in [of_maps, *of_images]:
        for key, score in limit["scores"].items():
            wanted = judges_maps(key.split("/")[0]) == (limit is of_maps)
            if not wanted or score["value"] is None:
                continue
            better = (
                key in scores and not _is_below(scores[key], ceiling.get(key)) and _is_below(score, ceiling.get(key))
            )
            if key not in scores or better:
                scores[key] = {**score, "source": limit["source"]}
        for key, curve in limit["curves"].items():
            if judges_maps(key.split("/")[0]) == (limit is of_maps):
                curves.setdefault(key, curve)
    described = " or, where that is no limit, ".join(limit["description"] for limit in of_images) or "none"
    return {
        "description": f"of images: {described}; of maps: {of_maps['description']}",
        "scores": scores,
        "curves": curves,
    }


def _is_below(score: dict[str, Any], ceiling: dict[str, Any] | None) -> bool:
    if ceiling is None:
        return True
    sign = 1 if score["direction"] == "higher" else -1
    return bool(sign * (ceiling["value"] - score["value"]) > 0)


def as_json(results: dict[str, MetricResult | NoResult]) -> dict[str, Any]:
    """Return scores and curves keyed by "metric/statistic"; numbers that do not exist are null."""
    scores: dict[str, Any] = {}
    curves: dict[str, Any] = {}
    for name, result in results.items():
        if isinstance(result, NoResult):
            continue
        for statistic, score in result.scores.items():
            scores[f"{name}/{statistic}"] = {
                "value": _number(score.value),
                "unit": metrics.get(name).card.unit if score.unit is None else score.unit,
                "standard_error": _number(score.standard_error),
                "n": score.n,
                "direction": score.direction or metrics.get(name).card.direction,
            }
        for statistic, curve in result.curves.items():
            curves[f"{name}/{statistic}"] = curve_as_json(curve)
    return {"scores": scores, "curves": curves}


def curve_as_json(curve: Curve) -> dict[str, Any]:
    """Return a curve as lists."""
    return {
        key: [_number(float(item)) for item in value] if isinstance(value, np.ndarray) else value
        for key, value in asdict(curve).items()
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
