"""Read the score tables and arrange them by statistic."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryoarena.errors import UserError
from cryoarena.files import read_json
from cryoarena.report.collect import Group, ResultFolder

_RECOMMENDED = (
    ("per-image-fsc", "standard/moving_mask/auc"),
    ("per-image-fsc", "standard/mask/auc"),
    ("aligned-fsc", "standard/moving_mask/auc"),
    ("pmn", "standard/mean_1_10"),
)
_WORDS = {
    "moving_mask": "moving region",
    "mask": "whole molecule",
    "no_mask": "no mask",
    "auc": "AUC",
    "auc_median": "median AUC",
    "mean_1_10": "mean of radii 1–10 %",
    "pmn": "Neighbourhood similarity",
    "per-image-fsc": "Per-image FSC",
    "per-conformation-fsc": "Per-conformation FSC",
    "sample-fsc": "Sample FSC",
    "aligned-fsc": "Aligned FSC",
    "map-distance": "Map distance",
    "class-agreement": "Class agreement",
    "posterior-class-agreement": "Class agreement of the posterior",
    "populations": "Populations",
    "posterior-populations": "Populations of the posterior",
    "pose-error": "Pose error",
    "image-quality": "Image quality",
    "information-imbalance": "Information imbalance",
    "entanglement": "Entanglement",
    "trustworthiness": "Trustworthiness and continuity",
    "cv-regression": "Regression of CVs",
    "energy-landscape": "Energy landscape",
}


@dataclass(frozen=True)
class Entry:
    """One result's score; `normalised` is 0 at the floor and 1 at the ceiling. NaN where unknown."""

    result: ResultFolder
    value: float
    standard_error: float
    normalised: float
    status: str
    reason: str


@dataclass(frozen=True)
class Statistic:
    """One statistic of one metric, with its limits (NaN where unknown) and every result's score.

    `unit` is empty for a pure number and in tables that were written without units.
    """

    metric: str
    name: str
    direction: str
    unit: str
    floor: float
    ceiling: float
    entries: tuple[Entry, ...]

    @property
    def label(self) -> str:
        """Return the statistic in words."""
        return label(self.metric, self.name)


def label(metric: str, statistic: str) -> str:
    """Put `per-image-fsc`, `standard/moving_mask/auc` into words."""
    words = [_WORDS.get(part, part.replace("_", " ")) for part in statistic.split("/") if part]
    head = _WORDS.get(metric, metric)
    tail = [word for word in words if word not in ("standard", head)]
    if "AUC" in tail and head.endswith("FSC"):
        tail.remove("AUC")
        head += " AUC"
    return f"{head} ({', '.join(tail)})" if tail else head


def read_scores(group: Group, notes: list[str]) -> pd.DataFrame:
    """Join the `scores.csv` of every result of a dataset; column `label` tells the result."""
    tables = []
    for result in group.results:
        path = result.path / "scores.csv"
        if result.status != "ok":
            continue
        try:
            table = pd.read_csv(path)
        except (OSError, ValueError) as error:
            reason = "has no scores yet: run `cryoarena score` on it"
            if not isinstance(error, FileNotFoundError):
                reason = f"has a scores.csv that cannot be read ({error})"
            notes.append(f"{result.label} on {group.name} {reason}.")
            continue
        if missing := {"metric", "statistic", "value", "status"} - set(table.columns):
            notes.append(f"{path.parent.name}/scores.csv has no column {', '.join(sorted(missing))}.")
            continue
        # As they are called now: a suite may have renamed what was scored under another label.
        tables.append(table.assign(dataset=group.name, run=result.path.name, label=result.label))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def statistics(group: Group, table: pd.DataFrame) -> tuple[Statistic, ...]:
    """Return one `Statistic` per (metric, statistic), the recommended ones first."""
    if table.empty:
        return ()
    limits = [_limit_scores(group, name) for name in ("floor", "ceiling")]
    table = table.assign(statistic=table["statistic"].fillna("").astype(str))
    found = []
    for (metric, name), rows in table.groupby(["metric", "statistic"], sort=False):
        if not name and len(table[(table["metric"] == metric) & (table["statistic"] != "")]):
            continue  # a metric that failed as a whole is shown beside the others' statistics
        whole = table[(table["metric"] == metric) & (table["statistic"] == "") & ~table.index.isin(rows.index)]
        entries = []
        for result in group.results:
            mine = pd.concat([rows, whole])
            mine = mine[mine["label"] == result.label]
            if len(mine):
                entries.append(_entry(result, mine.to_dict("records")[0]))
        floor, ceiling = (
            _first_finite([*rows.get(column, ()), limit.get(f"{metric}/{name}".rstrip("/"))])
            for column, limit in zip(("floor", "ceiling"), limits, strict=True)
        )
        direction = str(rows["direction"].iloc[0]) if "direction" in rows else "higher"
        unit = next((str(unit) for unit in rows.get("unit", ()) if pd.notna(unit)), "")
        statistic = Statistic(str(metric), str(name), direction, unit, floor, ceiling, tuple(entries))
        if not _limits_were_known(rows):
            statistic = replace(statistic, entries=tuple(_normalised(entry, statistic) for entry in entries))
        found.append(statistic)
    return tuple(sorted(found, key=lambda statistic: _rank(statistic)))


def split_recommended(
    found: Sequence[Statistic],
) -> tuple[tuple[Statistic, ...], tuple[Statistic, ...]]:
    """Return the statistics to look at first, and the rest."""
    chosen: list[Statistic] = []
    for metric, name in _RECOMMENDED:
        chosen += [s for s in found if (s.metric, s.name) == (metric, name)]
    chosen = chosen or list(found[:3])
    return tuple(chosen), tuple(s for s in found if s not in chosen)


def _rank(statistic: Statistic) -> int:
    key = (statistic.metric, statistic.name)
    return _RECOMMENDED.index(key) if key in _RECOMMENDED else len(_RECOMMENDED)


def _limits_were_known(rows: pd.DataFrame) -> bool:
    """Tell whether the scorer knew both limits: where it gave no normalised score, they are too close to tell."""
    if not {"floor", "ceiling", "normalised"} <= set(rows):
        return False
    return bool(rows[["floor", "ceiling"]].notna().all(axis=1).any())


def _entry(result: ResultFolder, row: Mapping[Hashable, Any]) -> Entry:
    status = str(row.get("status", "ok"))
    reason = row.get("reason")
    return Entry(
        result,
        _number(row.get("value")) if status == "ok" else np.nan,
        _number(row.get("standard_error")),
        _number(row.get("normalised")) if status == "ok" else np.nan,
        status,
        reason if isinstance(reason, str) else "no reason was recorded" if status != "ok" else "",
    )


def _normalised(entry: Entry, statistic: Statistic) -> Entry:
    span = statistic.ceiling - statistic.floor
    better = -span if statistic.direction == "lower" else span
    if np.isfinite(entry.normalised) or not better > 0:  # a ceiling below the floor measures nothing
        return entry
    return replace(entry, normalised=(entry.value - statistic.floor) / span)


def _limit_scores(group: Group, name: str) -> dict[str, float]:
    if group.dataset is None:
        return {}
    try:
        limit = read_limit(group.dataset.path, name)
    except UserError:  # noted where its curves are read; the score table may hold its values
        return {}
    return {key: _number(score.get("value")) for key, score in (limit.get("scores") or {}).items()}


def read_limit(dataset: Path, name: str) -> dict[str, Any]:
    """Return `truth/limits/<name>.json` of a dataset, or an empty dictionary where there is none."""
    path = dataset / "truth" / "limits" / f"{name}.json"
    limit = read_json(path) if path.is_file() else {}
    return limit if isinstance(limit, dict) else {}


def _first_finite(values: list[Any]) -> float:
    return next((number for value in values if np.isfinite(number := _number(value))), np.nan)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan
