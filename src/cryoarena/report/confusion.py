"""The confusion matrices of the results: which true states fell into which classes."""

from collections.abc import Sequence
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cryoarena.report.curve_sources import CONFUSION, CurveSource
from cryoarena.report.packing import pack
from cryoarena.report.scores import label
from cryoarena.report.truth import Truth


def confusion_payload(sources: list[CurveSource], truth: Truth, notes: list[str]) -> dict[str, Any] | None:
    """Return one entry per metric that has confusion matrices, or None where there is none.

    `mean` and `spread` of a matrix are K × K float32, row by row: the share of state `states[i]` that lies in the class
    matched with `states[j]`. `spread` is empty where nothing varied. `captions` gives the CVs of the states.
    """
    found: dict[str, dict[str, Any]] = {}
    for source in sources:
        for key, curve in source.curves.items():
            metric, _, name = key.partition("/")
            if name != CONFUSION or source.kind != "method":
                continue
            mean = _square(curve["mean"])
            if mean is None:
                notes.append(f"The confusion matrix of {source.label} is left out: it is not square.")
                continue
            entry = found.setdefault(metric, {"key": key, "label": label(metric, ""), "series": []})
            entry["series"].append(
                {
                    "label": source.label,
                    "colour": source.colour,
                    "states": _states(source.curves.get(f"{metric}/recall"), len(mean)),
                    "recall": round(float(np.nan_to_num(mean.diagonal()).mean()), 3),
                    "mean": pack(mean),
                    "spread": _spread(curve, mean),
                }
            )
    return {"matrices": list(found.values()), "captions": _captions(truth)} if found else None


def _square(cells: Sequence[float | None]) -> NDArray[np.float32] | None:
    side = isqrt(len(cells))
    if side == 0 or side**2 != len(cells):
        return None
    return np.array(cells, np.float32).reshape(side, side).round(4)


def _spread(curve: dict[str, Any], mean: NDArray[np.float32]) -> str:
    spread = _square(curve.get("spread", []))
    return pack(spread) if spread is not None and spread.shape == mean.shape and spread.any() else ""


def _states(recall: dict[str, Any] | None, n: int) -> list[int]:
    """Return the numbers of the states, which the curve of their recall holds; else count from 0."""
    x = (recall or {}).get("x") or []
    return [int(state) for state in x] if len(x) == n else list(range(n))


def _captions(truth: Truth) -> dict[int, str]:
    if truth.conformations is None or not truth.cvs:
        return {}
    table = truth.conformations
    if "state" not in table:
        table = table.assign(state=table["conformation"])
    captions = {}
    for state, members in table.groupby("state"):
        # What differs among the conformations of a state does not describe it.
        shared = {str(name): members[name].iloc[0] for name in members if members[name].nunique() == 1}
        captions[int(str(state))] = truth.describe(shared)
    return captions
