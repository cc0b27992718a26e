"""What all FSC metrics share: score pairs of a map and its truth in several masks."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.metrics.base import Curve, MetricResult, Score
from cryoarena.volumes.alignment import align
from cryoarena.volumes.fsc import FscCurve, HalfShells, correlate, fsc_auc, resolution_at

VolumePair = tuple[object, NDArray[np.float32], NDArray[np.float32]]
Masks = Mapping[str, NDArray[np.float32] | None]

_THRESHOLDS = (0.5, 0.143)
_BOOTSTRAPS = 500


def score_pairs(pairs: Iterable[VolumePair], masks: Masks, pixel_size_A: float, aligned: bool = False) -> MetricResult:
    """Score maps against truth, one pair in memory at a time.

    Args:
        pairs: (item, reconstructed (D, D, D), truth (D, D, D)); the item names it in errors.
        masks: name to soft mask (D, D, D), or to None for no mask; both maps of a pair are multiplied by it.
        pixel_size_A: of the maps.
        aligned: first bring every reconstructed map onto its truth (rotation, shift and hand; `volumes.alignment`).

    Returns:
        The scores and curves of `scores_of_curves` for the variants `standard` and `cryobench` in every mask.

    Raises:
        UserError: when a reconstructed map holds NaN or infinity or is constant, or there is no pair.
        ValueError: when maps and masks differ in box.
    """
    curves: dict[str, list[FscCurve]] = defaultdict(list)
    for item, reconstructed, truth in pairs:
        check_map(item, reconstructed)
        found = align(reconstructed, truth, pixel_size_A).aligned if aligned else reconstructed
        for name, mask in masks.items():
            shells = correlate(found, truth, mask)
            curves[f"standard/{name}"].append(shells.standard())
            curves[f"cryobench/{name}"].append(cryobench_curve(shells))
    if not curves:
        raise UserError("an FSC metric needs at least one map with its truth and one mask; none was given")
    return scores_of_curves(curves, pixel_size_A)


def cryobench_curve(shells: HalfShells) -> FscCurve:
    """Return the FSC as CryoBench bins it, but 0 where the reconstructed map is empty: its code would give 1."""
    frequency, fsc = shells.cryobench()
    return frequency, np.where(shells.power_a.sum(axis=-1, keepdims=True) > 0, fsc, 0.0)


def check_map(item: object, reconstructed: NDArray[np.float32]) -> None:
    """Refuse a map that has no FSC.

    Raises:
        UserError: when it holds NaN or infinity, or is constant.
    """
    if not np.isfinite(reconstructed).all():
        raise UserError(f"the map given for {item} holds NaN or infinity; the method diverged, so run it again")
    if np.ptp(reconstructed) == 0:
        raise UserError(f"the map given for {item} is constant, so that it has no FSC; check the method's output")


def scores_of_curves(curves: Mapping[str, list[FscCurve]], pixel_size_A: float) -> MetricResult:
    """Summarise the FSC curves of the maps, keyed by `<variant>/<mask>`.

    Returns:
        Per key the mean over maps of the area under the curve, `<key>/auc`, and its median, `<key>/auc_median`; for
        the variant `standard` also the mean resolution in Å at FSC 0.5 and 0.143, `<key>/resolution_0.5` and
        `<key>/resolution_0.143` (lower is better). The cryobench area is that of |FSC|, as its authors print it.
        Curves `<key>` are mean and standard deviation over maps.
    """
    scores: dict[str, Score] = {}
    for key, of_maps in curves.items():
        scores |= _scores(key, of_maps, pixel_size_A)
    return MetricResult(scores, {key: _curve(of_maps) for key, of_maps in curves.items()})


def _scores(key: str, of_maps: list[FscCurve], pixel_size_A: float) -> dict[str, Score]:
    if key.startswith("cryobench/"):
        areas = np.array([fsc_auc(frequency, np.abs(fsc)) for frequency, fsc in of_maps])
        return {f"{key}/auc": mean_score(areas), f"{key}/auc_median": _median(areas)}
    areas = np.array([fsc_auc(*curve) for curve in of_maps])
    scores = {f"{key}/auc": mean_score(areas), f"{key}/auc_median": _median(areas)}
    for threshold in _THRESHOLDS:
        resolutions = np.array([resolution_at(*curve, threshold, pixel_size_A) for curve in of_maps])
        scores[f"{key}/resolution_{threshold}"] = mean_score(resolutions, unit="Å", direction="lower")
    return scores


def mean_score(
    values: NDArray[np.float64], unit: str | None = None, direction: Literal["higher", "lower"] | None = None
) -> Score:
    """Return the mean of values (n,) of independent maps with its standard error, which is NaN for n = 1."""
    n = len(values)
    error = float(np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return Score(float(values.mean()), error, n, unit, direction)


def _median(values: NDArray[np.float64]) -> Score:
    n = len(values)
    resampled = values[np.random.default_rng(0).integers(0, n, (_BOOTSTRAPS, n))]
    error = float(np.median(resampled, axis=1).std(ddof=1)) if n > 1 else float("nan")
    return Score(float(np.median(values)), error, n)


def _curve(of_maps: list[FscCurve]) -> Curve:
    stacked = np.stack([fsc for _, fsc in of_maps])
    return Curve(of_maps[0][0], stacked.mean(0), stacked.std(0), "spatial frequency (cycles/px)", "FSC")
