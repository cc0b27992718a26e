"""Every verb, as a user types it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cryoarena.cli.main import app
from simulated import make_small_dataset


def invoke(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output + result.stderr
    return result.output


VERBS = "make fetch mix convert doctor run import score limits report bench status list show check tools"


@pytest.mark.parametrize("verb", VERBS.split())
def test_help_has_an_example(verb: str) -> None:
    assert f"cryoarena {verb}" in " ".join(invoke(verb, "--help").split())


def test_lists_and_cards() -> None:
    assert "igg-1d" in invoke("list", "datasets")
    assert "ppca" in invoke("list", "methods")
    assert "per-image-fsc" in invoke("list", "metrics")
    assert "1HZH" in invoke("show", "igg-1d")
    assert "components = 8" in invoke("show", "ppca")
    assert "cryoarena 0" in invoke("--version")


def test_lists_and_cards_as_json() -> None:
    methods = {card["name"]: card for card in json.loads(invoke("list", "methods", "--json"))}
    assert methods["ppca"]["needs_poses"] is True
    (dataset,) = json.loads(invoke("show", "igg-1d", "--json"))
    assert dataset["presets"]["small"]["images"] == 5000
    (method,) = json.loads(invoke("show", "ppca", "--json"))
    assert (method["kind"], method["options"]) == ("method", {"components": 8, "iterations": 25})
    assert json.loads(invoke("show", "realism", "--json"))[0]["realism"]["noise"]
    # What is infinite is no JSON.
    (card,) = (
        c
        for c in json.loads(invoke("list", "metrics", "--json"), parse_constant=pytest.fail)
        if c["name"] == "cv-regression"
    )
    assert card["range"] == [None, 1.0]
    tools = json.loads(invoke("tools", "list", "--json"))
    assert "cryodrgn" in {tool["tool"] for tool in tools}


def test_the_shell_completes_verbs_and_options() -> None:
    for words, expected in (("cryoarena re", "report"), ("cryoarena run --se", "--seed")):
        completion = {
            "_CRYOARENA_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        command = [sys.executable, "-c", "from cryoarena.cli.main import app; app(prog_name='cryoarena')"]
        shell = subprocess.run(command, env={**os.environ, **completion}, capture_output=True, text=True, check=False)
        assert expected in shell.stdout.split(), shell.stderr


def test_make_run_score_report(tmp_path: Path) -> None:
    dataset = make_small_dataset(tmp_path / "dataset", images=160, box_px=24)
    result = tmp_path / "results" / "ppca"
    invoke("run", "ppca", dataset, "-o", result, "--set", "components=2", "--set", "iterations=4", "--seed", "3")
    assert np.load(result / "embedding.npy").shape == (160, 2)
    invoke("score", result, "--dataset", dataset, "-o", tmp_path / "scores.csv")
    table = pd.read_csv(tmp_path / "scores.csv")
    assert set(table.loc[table["metric"].isin(["per-image-fsc", "pmn"]), "status"]) == {"ok"}
    assert "failed" not in set(table["status"])
    assert {"floor", "ceiling", "normalised"} <= set(table.columns)
    invoke("score", result, "--dataset", dataset)
    invoke("report", tmp_path, "-o", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "ppca" in page
    assert "http://" not in page.split("<body")[0]
