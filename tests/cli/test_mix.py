"""`cryoarena mix` on the command line."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cryoarena.cli.main import app
from cryoarena.files import read_json
from simulated import make_small_dataset


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("recorded")
    return [str(make_small_dataset(folder / name, images=20, box_px=16, seed=seed)) for seed, name in enumerate("ab")]


def test_it_mixes_and_names_what_tells_the_stacks_apart(stacks: list[str], tmp_path: Path) -> None:
    command = ["mix", *stacks, "--counts", "5,10", "--cv", "length:bp=2,14", "--copy", "-o", str(tmp_path / "mix")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "15 images of 2 origins" in result.output
    (cv,) = read_json(tmp_path / "mix" / "dataset.json")["cvs"]
    assert (cv["name"], cv["unit"]) == ("length", "bp")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--counts", "5;10"], "--counts takes whole numbers with commas between, as 100,200, not '5;10'"),
        (["--counts", "5,21"], "has 20 particles but --counts asks for 21"),
        (["--counts", "5,10", "--cv", "length"], "--cv takes NAME:UNIT=V,V,"),
        (["--counts", "5,10", "--cv", "length:bp=2,x"], "--cv takes NAME:UNIT=V,V,"),
        (["--counts", "5,10", "--cv", "length:bp=2"], "--cv length has 1 values for 2 stacks"),
        (["--counts", "5,10", "--seed", "-1"], "--seed must not be negative"),
    ],
)
def test_wrong_input_is_one_sentence(stacks: list[str], tmp_path: Path, arguments: list[str], sentence: str) -> None:
    result = CliRunner().invoke(app, ["mix", *stacks, *arguments, "-o", str(tmp_path / "mix")])
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if not re.search(r": \d+%", line)]
    assert len(lines) == 1
    assert sentence in lines[0]
    assert not (tmp_path / "mix").exists()
