"""Read the curves that scoring left beside the limits of a dataset and beside every result."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.errors import UserError
from cryoarena.files import read_json
from cryoarena.report.collect import Group
from cryoarena.report.scores import read_limit

CONFUSION = "confusion"
"""Name of the curve that is a K × K matrix, flattened row by row."""


@dataclass(frozen=True)
class CurveSource:
    """The curves of one limit or one method, by `metric/name`; `kind` is floor, ceiling or method."""

    label: str
    colour: int | None
    kind: str
    curves: dict[str, Any]


def curve_sources(group: Group, notes: list[str]) -> list[CurveSource]:
    """Return the curves of floor, ceiling and every method, pooled over its seeds; add a note for what is missing."""
    sources = []
    if group.dataset is not None:
        for kind in ("floor", "ceiling"):
            try:
                limit = read_limit(group.dataset.path, kind)
            except UserError as error:
                notes.append(f"The {kind} is not drawn: {error}.")
                continue
            sources.append(CurveSource(kind, None, kind, limit.get("curves") or {}))
    methods: dict[str, list[dict[str, Any]]] = {}
    colours = {result.variant: result.colour for result in group.results}
    for result in group.results:
        path = result.path / "comparison" / "curves.json"
        if result.status != "ok":
            continue
        try:
            curves = read_json(path)
        except UserError as error:
            remedy = " (`cryoarena score` writes it)" if not path.is_file() else ""
            notes.append(f"{result.label} has no curves: {error}{remedy}.")
            continue
        if isinstance(curves, dict):
            methods.setdefault(result.variant, []).append(curves)
        else:
            notes.append(f"{result.label} has no curves: {path} is not a JSON object.")
    return sources + [CurveSource(name, colours[name], "method", _pooled(runs)) for name, runs in methods.items()]


def _pooled(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Average the curves of several seeds; the spread holds that within the runs and that between them."""
    if len(runs) == 1:
        return runs[0]
    pooled = {}
    for key in dict.fromkeys(key for run in runs for key in run):
        curves = [run[key] for run in runs if key in run]
        alike = [curve for curve in curves if curve["x"] == curves[0]["x"]]
        mean = _array([curve["mean"] for curve in alike])
        spreads = [curve["spread"] for curve in alike if curve.get("spread")]
        within = np.square(_array(spreads)).mean(axis=0) if spreads else 0.0
        pooled[key] = curves[0] | {"mean": mean.mean(axis=0), "spread": np.sqrt(within + mean.var(axis=0))}
    return pooled


def _array(rows: list[list[float | None]]) -> NDArray[np.float64]:
    return np.array([[np.nan if value is None else value for value in row] for row in rows], np.float64)
