"""Which results lack particles: their scores are of some particles only, and a reader must see it."""

from collections.abc import Mapping

import pandas as pd

from cryoarena.report.pooling import Pooled


def partial_coverage(table: pd.DataFrame) -> dict[str, str]:
    """Return label -> `4,812 of 5,000 particles` for every result that lacks some.

    Args:
        table: scores, with the column `label`; without `coverage` and `particles` nothing is known.
    """
    if not {"coverage", "particles"} <= set(table.columns):
        return {}
    coverage, particles = (pd.to_numeric(table[name], errors="coerce") for name in ("coverage", "particles"))
    partial = (coverage < 1) & (particles > 0)
    return {
        str(label): f"{share * of_all:,.0f} of {of_all:,.0f} particles"
        for label, share, of_all in zip(table["label"][partial], coverage[partial], particles[partial], strict=True)
    }


def covered_text(method: Pooled, partial: Mapping[str, str]) -> str:
    """Return how many particles the pooled results of a method have, where they lack some."""
    return "; ".join(dict.fromkeys(partial[e.result.label] for e in method.seeds if e.result.label in partial))
