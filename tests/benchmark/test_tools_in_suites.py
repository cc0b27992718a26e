"""Real programs in a suite: one that is installed is run, scored and timed; one that is not is left out."""

import os
from pathlib import Path

import pandas as pd
import pytest

from cryoarena.files import read_json
from cryoarena.methods.external.relion.program import RELION
from outside import folder_of
from suites import bench, status

WITH_TOOLS = """
metrics = ["posterior-class-agreement"]
[[datasets]]
name = "igg-pseudo"
images = 200
box = 24
conformations = 2
snr = 1.0
[[methods]]
name = "class3d"
options = { classes = 2 }
[[methods]]
name = "relion-class3d"
options = { classes = 2, iterations = 2 }
if_installed = true
[[methods]]
name = "recovar"
if_installed = true
"""


@pytest.mark.slow
def test_what_is_installed_is_run_and_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(RELION)
    monkeypatch.setenv("CRYOARENA_TOOLS", str(tmp_path / "none"))
    for name in [name for name in os.environ if name.startswith("CRYOARENA_TOOL_")]:
        monkeypatch.delenv(name)
    file, out = tmp_path / "tools.toml", tmp_path / "suite"
    file.write_text(WITH_TOOLS)
    bench(file, out)
    runs = {job["label"]: job for job in status(out)["jobs"] if job["kind"] == "run"}
    assert {label: job["state"] for label, job in runs.items()} == {
        "igg-pseudo class3d seed 0": "ok",
        "igg-pseudo relion-class3d seed 0": "ok",
    }
    info = read_json(Path(runs["igg-pseudo relion-class3d seed 0"]["folder"]) / "result.json")
    assert info["found"]["program"].startswith("RELION ")
    assert info["cpu_s"] > 0
    table = pd.read_csv(out / "scores.csv")
    agreement = table[table["statistic"] == "standard/ari"].set_index("method")["value"]
    assert set(agreement.index) == {"class3d", "relion-class3d"}
    assert agreement.notna().all()
