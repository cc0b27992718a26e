"""The quick suite, whole, as `make bench` runs it."""

from pathlib import Path

import pandas as pd
import pytest

from cryoarena.benchmark.quick import QUICK_METHODS, run_quick


@pytest.mark.slow
def test_quick_runs_and_goes_on(tmp_path: Path) -> None:
    run_quick(tmp_path, processes=2)
    tables = {method: pd.read_csv(tmp_path / "results" / method / "scores.csv") for method in QUICK_METHODS}
    key = ["metric", "statistic"]
    moving = {
        method: table.set_index(key).loc[("per-image-fsc", "standard/moving_mask/auc")]
        for method, table in tables.items()
    }
    difference = moving["ppca"]["value"] - moving["consensus"]["value"]
    assert difference > 5 * moving["ppca"]["standard_error"]
    stamp = (tmp_path / "results" / "ppca" / "result.json").stat().st_mtime_ns
    run_quick(tmp_path, processes=2)
    assert (tmp_path / "results" / "ppca" / "result.json").stat().st_mtime_ns == stamp
