"""Map distances: ways other than the FSC to compare the map given for an image with its truth."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.metrics.base import MetricCard, MetricResult, NotApplicable, metric
from cryoarena.metrics.volume_fsc import Masks, VolumePair, check_map, mean_score
from cryoarena.volumes.earth_mover import earth_mover_distance
from cryoarena.volumes.fsc import fsc
from cryoarena.volumes.local_correlation import local_correlation

_STATISTICS: dict[str, tuple[str, Literal["higher", "lower"]]] = {
    "l2": ("", "lower"),
    "correlation": ("", "higher"),
    "fsc_distance": ("", "lower"),
    "earth_mover": ("Å", "lower"),
    "local_correlation": ("", "higher"),
}


@metric(
    MetricCard(
        name="map-distance",
        version=1,
        unit="",
        range=(-1.0, 2.0),
        direction="lower",
        citation=(
            "Inaugural heterogeneity challenge: map-to-map distances; earth mover's: Rabin et al. 2012, "
            "doi:10.1007/978-3-642-24785-9_37"
        ),
        summary="L2, correlation, 1 - mean FSC, earth mover's distance and local correlation of map and truth.",
        needs=("volume_pairs", "masks", "pixel_size_A"),
    )
)
def map_distance(volume_pairs: Iterable[VolumePair], masks: Masks, pixel_size_A: float) -> MetricResult:
    """Compare maps with truth in real space, one pair in memory at a time.

    Args:
        volume_pairs: (item, reconstructed (D, D, D), truth (D, D, D)) per image; the item names it in errors.
        masks: name to soft mask w (D, D, D), or to None for no mask (w = 1).
        pixel_size_A: of the maps.

    Returns:
        Means over images per mask, `standard/<mask>/…`, of the masked maps a = w · map and b = w · truth:
        `l2` = min over s >= 0 of |s a - b| / |b|, 0 … 1; `correlation` = Pearson's with weights w, -1 … 1;
        `fsc_distance` = 1 - mean FSC over the shells 1 … D/2, 0 … 2; `earth_mover` in Å, see
        `earth_mover_distance`; `local_correlation` = mean with weights w of the correlation in windows of 25 Å of
        the maps as they are, where the truth is not flat. A map of reversed contrast has l2 = 1.

    Raises:
        UserError: when a reconstructed map holds NaN or infinity, is constant, or has no positive density in a mask,
            or there is no pair.
        NotApplicable: when a truth is empty, flat or without positive density in a mask.
        ValueError: when maps and masks differ in box.
    """
    values: dict[str, list[float]] = defaultdict(list)
    for item, reconstructed, truth in volume_pairs:
        check_map(item, reconstructed)
        local = local_correlation(reconstructed, truth, pixel_size_A)
        for name, mask in masks.items():
            weight = np.ones_like(truth) if mask is None else mask
            a, b = reconstructed * weight, truth * weight
            if not np.ptp(b):
                raise NotApplicable(f"the true map of {item} is empty inside {name}")
            values[f"{name}/l2"].append(_scaled_difference(a, b))
            values[f"{name}/correlation"].append(_correlation(reconstructed, truth, weight))
            values[f"{name}/fsc_distance"].append(1 - float(fsc(reconstructed, truth, mask)[1].mean()))
            values[f"{name}/earth_mover"].append(_earth_mover(item, name, a, b, pixel_size_A))
            values[f"{name}/local_correlation"].append(_mean_in_mask(item, name, local, weight))
    if not values:
        raise UserError("map distances need at least one map with its truth and one mask; none was given")
    scores = {}
    for key, of_maps in values.items():
        unit, direction = _STATISTICS[key.rsplit("/", 1)[1]]
        scores[f"standard/{key}"] = mean_score(np.array(of_maps), unit, direction)
    return MetricResult(scores)


def _scaled_difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.sqrt(1 - max(0.0, _cosine(a.astype(np.float64), b.astype(np.float64))) ** 2))


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32], weight: NDArray[np.float32]) -> float:
    """Return Pearson's correlation with weights, 0 where a map is constant."""
    w = weight.astype(np.float64)
    centred = [each - (w * each).sum() / w.sum() for each in (a, b)]
    return _cosine(*(np.sqrt(w) * each for each in centred))


def _cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    # Plain sums: the threads of a linear algebra library cost more than they save on maps of any size.
    norm = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    return float(np.clip((a * b).sum() / norm, -1, 1)) if norm > 0 else 0.0


def _earth_mover(item: object, mask: str, a: NDArray[np.float32], b: NDArray[np.float32], pixel_size_A: float) -> float:
    if not (b > 0).any():
        raise NotApplicable(f"the true map of {item} has no positive density inside {mask}")
    if not (a > 0).any():
        raise UserError(f"the map given for {item} has no positive density inside {mask}; check its contrast")
    return earth_mover_distance(a, b, pixel_size_A)


def _mean_in_mask(item: object, name: str, local: NDArray[np.float64], weight: NDArray[np.float32]) -> float:
    known = ~np.isnan(local) & (weight > 0)
    if not known.any():
        raise NotApplicable(f"the true map of {item} is flat inside {name}")
    return float(np.average(local[known], weights=weight[known]))
