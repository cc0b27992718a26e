"""Floor and ceiling of the metrics on a dataset, computed once and kept in `truth/limits`."""

import math
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cryoarena.datasets.truth import Truth
from cryoarena.files import read_json, write_json
from cryoarena.limits.observers import Observation, Observers
from cryoarena.metrics.base import Curve, MetricResult, metrics
from cryoarena.metrics.judge import NoResult, judge
from cryoarena.progress import progress_bar

Limit = dict[str, Any]

# Of the files in the cache; raised whenever they hold something else, or observers make other maps.
_FORMAT = 8

# A metric that needs one of these judges maps; all others judge what is said about single images.
_NEEDS_OF_MAPS = {"volume_pairs", "conformation_volume_pairs", "ab_initio_volume_pairs", "sample_volumes"}
# In the order in which they are shown, and whether they are judged by their maps, or by what they say of single images.
OBSERVERS = {
    "chance": False,
    "one-for-all": False,
    "consensus": True,
    "turned-consensus": True,
    "known-label": True,
    "known-components": True,
    "rigid-motion": True,
    "bayes": False,
}
_GIVEN_FRAME, _OWN_FRAME = "per-image-fsc", "aligned-fsc"
# standard errors
_MOST_LUCK = 4.0
_BEST_MAPS_BY = "per-image-fsc/standard/moving_mask/auc"


def limits_of(truth: Truth, device: str = "cpu") -> dict[str, Limit]:
    """Return {"floor": …, "ceiling": …} as in docs/formats.md; what is not in the cache is computed now.

    Floor: of maps the consensus; of everything else one latent and one class for all images, or random latents and
    poses where these are better without reaching the ceiling, or where that has no value or reaches the ceiling (one
    class for all has the right populations where these are equal). Ceiling: of every score of maps the best oracle; of
    everything else the Bayes posterior. Every score names the observer it comes from as its `source`. An observer who
    needs a truth that is not there, as of recorded images, is left out, and so are the limits he would give.
    """
    _forget_other_formats(truth.folder / "truth" / "limits")
    observers = Observers(truth, device)
    of_maps: dict[str, Limit] = {}
    if observers.can_reconstruct():
        of_maps["consensus"] = _judged("consensus", observers.consensus, observers)
        if observers.knows_all():
            of_maps["turned-consensus"] = _judged("turned-consensus", observers.turned_consensus, observers)
        of_maps["known-label"] = _judged("known-label", observers.known_label, observers)
        of_maps["known-components"] = _judged("known-components", observers.known_components, observers)
        if truth.rigid_motion:
            of_maps["rigid-motion"] = _judged("rigid-motion", observers.rigid_motion, observers)
    nothing = [_judged("one-for-all", observers.one_for_all, observers), _judged("chance", observers.chance, observers)]
    bayes = [_judged("bayes", observers.bayes, observers)] if observers.knows_all() else []

    floors = [of_maps.pop(source) for source in ("consensus", "turned-consensus") if source in of_maps]
    oracles = sorted(of_maps.values(), key=_moving_region, reverse=True)
    ceiling = _joined(oracles, bayes, None)
    # The maps of an oracle lie as the truth does: turning them onto it gains nothing.
    for kind in ("scores", "curves"):
        unturned = {key: value for key, value in ceiling[kind].items() if key.startswith(f"{_GIVEN_FRAME}/")}
        ceiling[kind] |= {key.replace(_GIVEN_FRAME, _OWN_FRAME, 1): value for key, value in unturned.items()}
    if len(oracles) > 1:
        areas = ", ".join(f"{oracle['source']} {_moving_region(oracle):.3f}" for oracle in oracles)
        ceiling["description"] += f" (area under the moving-region FSC: {areas})"
    limits = {"floor": _joined(floors, nothing, ceiling["scores"]), "ceiling": ceiling}
    for name, limit in limits.items():
        path = truth.folder / "truth" / "limits" / f"{name}.json"
        if not path.exists() or read_json(path) != limit:
            write_json(path, limit)
    return limits


def _forget_other_formats(folder: Path) -> None:
    """Remove what another version of the observers left: their maps are other maps."""
    if any(read_json(path).get("metrics", {}).get("format", _FORMAT) != _FORMAT for path in folder.glob("*.json")):
        shutil.rmtree(folder)


def _judged(source: str, observe: Callable[[], Observation], observers: Observers) -> Limit:
    """Return what an observer scores, computed again when a metric is new or changed."""
    path = observers.truth.folder / "truth" / "limits" / f"{source}.json"
    versions = {"format": _FORMAT} | {name: metric.card.version for name, metric in metrics.all().items()}
    if path.exists():
        kept: Limit = read_json(path)
        if kept["metrics"] == versions:
            return kept
    observation = observe()
    with progress_bar(f"Judging {source}") as report:
        results = judge(
            observation.answer,
            observation.truth,
            observation.rows,
            report,
            observers.device,
            lambda card: _judges_maps(card.name) == OBSERVERS[source],
        )
    limit = {"source": source, "description": observation.description, "metrics": versions, **as_json(results)}
    write_json(path, limit)
    return limit


def _judges_maps(name: str) -> bool:
    """Tell whether a metric judges maps; all others judge what is said of single images."""
    return bool(_NEEDS_OF_MAPS & set(metrics.get(name).card.needs))


def _moving_region(limit: Limit) -> float:
    value = limit["scores"].get(_BEST_MAPS_BY, {}).get("value")
    return -math.inf if value is None else float(value)


def _joined(of_maps: list[Limit], of_images: list[Limit], ceiling: dict[str, Any] | None) -> Limit:
    """Take every score from the observer who is best at it: of a floor by more than luck, and below the ceiling.

    A curve is that of the observer whose area is taken, or else of the first who has one.
    """
    scores: dict[str, Any] = {}
    curves: dict[str, Any] = {}
    for limit in [*of_maps, *of_images]:
        for key, score in limit["scores"].items():
            if score["value"] is None:
                continue
            if key not in scores or _is_better(score, scores[key], ceiling, key):
                scores[key] = {**score, "source": limit["source"]}
    for limit in [*of_maps, *of_images]:
        for key, curve in limit["curves"].items():
            if scores.get(f"{key}/auc", limit)["source"] == limit["source"]:
                curves.setdefault(key, {**curve, "observer": limit["description"]})
    images, maps = ("; or ".join(limit["description"] for limit in found) or "none" for found in (of_images, of_maps))
    return {"description": f"of images: {images}; of maps: {maps}", "scores": scores, "curves": curves}


def _is_better(score: dict[str, Any], known: dict[str, Any], ceiling: dict[str, Any] | None, key: str) -> bool:
    """Tell whether a score takes the place of the one that is known."""
    if ceiling is None:
        return _is_below(known, score)
    if key not in ceiling or not _is_below(score, ceiling[key]):
        return False
    luck = _MOST_LUCK * math.hypot(*(each["standard_error"] or 0.0 for each in (score, known)))
    return _is_below(known, score, luck) or not _is_below(known, ceiling[key])


def _is_below(score: dict[str, Any], other: dict[str, Any], by: float = 0.0) -> bool:
    sign = 1 if score["direction"] == "higher" else -1
    return bool(sign * (other["value"] - score["value"]) > by)


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
