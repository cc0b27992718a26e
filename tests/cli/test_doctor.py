"""`cryoarena doctor`: what it prints and how it ends."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cryoarena.cli.main import app
from doctored_stack import edit_star, write_good_stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_good_stack(tmp_path_factory.mktemp("stack"))


def test_a_good_stack_ends_with_0(stack: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", str(stack)])
    assert result.exit_code == 0, result.output
    assert "wrong" not in result.stdout
    assert "row order" in result.stdout
    assert "100%" in result.stderr


def test_a_wrong_stack_ends_with_1_and_says_so_in_json(stack: Path) -> None:
    edited = edit_star(stack, stack.with_name("edited.star"), rlnImageName=lambda names: np.roll(names, 1))
    result = CliRunner().invoke(app, ["doctor", str(edited), "--json"])
    assert result.exit_code == 1, result.output
    told = json.loads(result.stdout)
    assert told["images"] == 250
    wrong = [one for one in told["findings"] if one["verdict"] == "wrong"]
    assert [one["check"] for one in wrong] == ["row order"]
    assert wrong[0]["evidence"]["z"] > 8


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nothing.star"], "nothing.star does not exist"),
        (["STACK", "--reference", "nothing.mrc"], "nothing.mrc does not exist"),
        (["STACK", "--images", "0"], "--images must be at least 1"),
    ],
)
def test_bad_input_ends_with_2(stack: Path, arguments: list[str], expected: str) -> None:
    result = CliRunner().invoke(app, ["doctor", *(str(stack) if word == "STACK" else word for word in arguments)])
    assert result.exit_code == 2
    assert expected in result.stderr
