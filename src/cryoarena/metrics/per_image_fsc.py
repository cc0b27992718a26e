"""Per-image FSC: the map that a method gives for an image against the true map of that image."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.metrics.base import Curve, MetricCard, MetricResult, Score, metric
from cryoarena.volumes.fsc import FscCurve, correlate, fsc_auc, resolution_at

VolumePair = tuple[object, NDArray[np.float32], NDArray[np.float32]]

_THRESHOLD = 0.5
_BOOTSTRAPS = 500


@metric(
    MetricCard(
        name="per-image-fsc",
        version=1,
        unit="cycles/px",
        range=(0.0, 0.5),
        direction="higher",
        citation=(
            "Jeon et al., CryoBench, NeurIPS 2024 Datasets & Benchmarks, §4.1.2 and C.2; "
            "FSC: Harauz & van Heel 1986, Optik 73:146"
        ),
        summary="Area under the FSC between the map given for an image and the true map of that image.",
        needs=("volume_pairs", "masks", "pixel_size_A"),
    )
)
def per_image_fsc(
    volume_pairs: Iterable[VolumePair],
    masks: Mapping[str, NDArray[np.float32] | None],
    pixel_size_A: float,
) -> MetricResult:
    """Score maps against truth, one pair in memory at a time.

    Args:
        volume_pairs: (item, reconstructed (D, D, D), truth (D, D, D)) per image; the item names it in errors.
        masks: name to soft mask (D, D, D), or to None for no mask; all of a pair's maps are multiplied by it.
        pixel_size_A: of the maps.

    Returns:
        Per variant (`standard`, `cryobench`) and mask the mean over images of the FSC AUC,
        `<variant>/<mask>/auc`, and its median, `…/auc_median`; per mask also
        `standard/<mask>/resolution_0.5`, the mean resolution in Å at FSC 0.5 (lower is better). The cryobench
        AUC is that of |FSC|, as its authors print it. Curves `<variant>/<mask>` are mean and standard
        deviation over images.

    Raises:
        UserError: when a reconstructed map holds NaN or infinity or is constant, or there is no pair.
        ValueError: when maps and masks differ in box.
    """
    curves: dict[str, list[FscCurve]] = defaultdict(list)
    for item, reconstructed, truth in volume_pairs:
        _check(item, reconstructed)
        for name, mask in masks.items():
            shells = correlate(reconstructed, truth, mask)
            curves[f"standard/{name}"].append(shells.standard())
            curves[f"cryobench/{name}"].append(shells.cryobench())
    if not curves:
        raise UserError("per-image FSC needs at least one image with a map and one mask; none was given")

    scores: dict[str, Score] = {}
    for key, of_images in curves.items():
        scores |= _scores(key, of_images, pixel_size_A)
    return MetricResult(scores, {key: _curve(of_images) for key, of_images in curves.items()})


def _check(item: object, reconstructed: NDArray[np.float32]) -> None:
    if not np.isfinite(reconstructed).all():
        raise UserError(f"the map given for {item} holds NaN or infinity; the method diverged, so run it again")
    if np.ptp(reconstructed) == 0:
        raise UserError(f"the map given for {item} is constant, so that it has no FSC; check the method's output")


def _scores(key: str, of_images: list[FscCurve], pixel_size_A: float) -> dict[str, Score]:
    if key.startswith("cryobench/"):
        areas = np.array([fsc_auc(frequency, np.abs(fsc)) for frequency, fsc in of_images])
        return {f"{key}/auc": _mean(areas), f"{key}/auc_median": _median(areas)}
    areas = np.array([fsc_auc(*curve) for curve in of_images])
    resolutions = np.array([resolution_at(*curve, _THRESHOLD, pixel_size_A) for curve in of_images])
    return {
        f"{key}/auc": _mean(areas),
        f"{key}/auc_median": _median(areas),
        f"{key}/resolution_{_THRESHOLD}": _mean(resolutions, unit="Å", direction="lower"),
    }


def _mean(values: NDArray[np.float64], unit: str | None = None, direction: Literal["lower"] | None = None) -> Score:
    n = len(values)
    error = float(np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return Score(float(values.mean()), error, n, unit, direction)


def _median(values: NDArray[np.float64]) -> Score:
    n = len(values)
    resampled = values[np.random.default_rng(0).integers(0, n, (_BOOTSTRAPS, n))]
    error = float(np.median(resampled, axis=1).std(ddof=1)) if n > 1 else float("nan")
    return Score(float(np.median(values)), error, n)


def _curve(of_images: list[FscCurve]) -> Curve:
    stacked = np.stack([fsc for _, fsc in of_images])
    return Curve(of_images[0][0], stacked.mean(0), stacked.std(0), "spatial frequency (cycles/px)", "FSC")
