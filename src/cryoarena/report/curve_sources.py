"""Read the curves that scoring left beside the limits of a dataset and beside every result."""

from dataclasses import dataclass
from typing import Any

from cryoarena.errors import UserError
from cryoarena.files import read_json
from cryoarena.report.collect import Group
from cryoarena.report.scores import read_limit

CONFUSION = "confusion"
"""Name of the curve that is a K × K matrix, flattened row by row."""


@dataclass(frozen=True)
class CurveSource:
    """The curves of one limit or one result, by `metric/name`; `kind` is floor, ceiling or method."""

    label: str
    colour: int | None
    kind: str
    curves: dict[str, Any]


def curve_sources(group: Group, notes: list[str]) -> list[CurveSource]:
    """Return the curves of floor, ceiling and every result that was scored; add a note for each that is missing."""
    sources = []
    if group.dataset is not None:
        for kind in ("floor", "ceiling"):
            try:
                limit = read_limit(group.dataset.path, kind)
            except UserError as error:
                notes.append(f"The {kind} is not drawn: {error}.")
                continue
            title = str(limit.get("description") or "").rstrip(".")
            sources.append(CurveSource(f"{kind}: {title}" if title else kind, None, kind, limit.get("curves") or {}))
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
            sources.append(CurveSource(result.label, result.colour, "method", curves))
        else:
            notes.append(f"{result.label} has no curves: {path} is not a JSON object.")
    return sources
