"""The curves behind the scores, each with the floor's and the ceiling's."""

from typing import Any

import numpy as np

from cryoarena.report.collect import DatasetFolder
from cryoarena.report.curve_sources import CONFUSION, CurveSource
from cryoarena.report.packing import finite_list
from cryoarena.report.scores import label

_FIRST = (
    "per-image-fsc/standard/moving_mask",
    "per-image-fsc/standard/mask",
    "per-image-fsc/standard/no_mask",
)


def curves_payload(sources: list[CurveSource], dataset: DatasetFolder | None) -> list[dict[str, Any]]:
    """Return one entry per curve key: its label, axes and series, those of the moving region first."""
    pixel_size_A = dataset.recipe.get("pixel_size_A") if dataset else None
    found: dict[str, dict[str, Any]] = {}
    for source in sources:
        for key, curve in source.curves.items():
            if key.endswith(f"/{CONFUSION}"):
                continue  # a matrix, flattened row by row, is drawn apart
            entry = found.setdefault(key, _entry(key, curve, pixel_size_A))
            entry["series"].append(
                {
                    "label": ": ".join(filter(None, [source.label, curve.get("observer")])),
                    "colour": source.colour,
                    "kind": source.kind,
                    "x": finite_list(entry["scale"] * np.asarray(curve["x"], np.float64)),
                    "mean": finite_list(curve["mean"]),
                    "spread": finite_list(curve.get("spread", [])),
                }
            )
    with_methods = [entry for entry in found.values() if any(s["kind"] == "method" for s in entry["series"])]
    return sorted(with_methods, key=lambda entry: (_rank(entry["key"]), entry["label"]))


def _entry(key: str, curve: dict[str, Any], pixel_size_A: float | None) -> dict[str, Any]:
    metric, _, rest = key.partition("/")
    x_label = str(curve.get("x_label") or "")
    to_per_A = "cycles/px" in x_label and pixel_size_A
    if to_per_A:
        x_label = "spatial frequency (1/Å)"
    return {
        "key": key,
        "label": label(metric, rest),
        "x_label": x_label,
        "scale": 1 / pixel_size_A if to_per_A and pixel_size_A else 1.0,
        "y_label": str(curve.get("y_label") or ""),
        "is_histogram": metric == "pose-error",
        "is_fsc": "fsc" in metric.lower(),
        "per_A": "1/Å" in x_label,
        "series": [],
    }


def _rank(key: str) -> int:
    return next((rank for rank, first in enumerate(_FIRST) if key.startswith(first)), len(_FIRST))
