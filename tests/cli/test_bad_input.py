"""Wrong input gives one sentence, exit code 2, and nothing half-written."""

import errno
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cryoarena.cli.main import app
from cryoarena.particles.stack import StackWriter
from simulated import make_small_dataset


def sentence_of(*arguments: str | Path) -> str:
    """Run the command, insist on exit code 2 and one line on standard error, and return it."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if not re.search(r": \d+%", line)]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.output
    return lines[0]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=40, box_px=16)


@pytest.fixture
def copy(dataset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(dataset, tmp_path / "copy"))


def test_missing_structure(tmp_path: Path) -> None:
    out = tmp_path / "d"
    sentence = sentence_of("make", "igg-1d", "-o", out, "--structure", tmp_path / "none.pdb")
    assert "none.pdb does not exist" in sentence
    assert not out.exists()


def test_structure_without_the_chain(tmp_path: Path, mirror: Path) -> None:
    out = tmp_path / "d"
    structure = mirror / "models" / "adk" / "1ake_A.pdb"
    sentence = sentence_of("make", "igg-1d", "-o", out, "--structure", structure)
    assert "chain H" in sentence
    assert not out.exists()


def test_structure_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "text.pdb").write_text("not a model\n")
    sentence = sentence_of("make", "igg-1d", "-o", tmp_path / "d", "--structure", tmp_path / "text.pdb")
    assert "text.pdb" in sentence
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--snr", "0", "greater than 0"),
        ("--snr", "-1", "greater than 0"),
        ("--box", "33", "even number"),
        ("--box", "1024", "larger than the box"),
        ("--images", "0", "at least 1"),
        ("--preset", "huge", "no preset 'huge'; it has: small"),
        ("--ctf", "none.npz", "none.npz does not exist"),
    ],
)
def test_impossible_options(tmp_path: Path, option: str, value: str, expected: str) -> None:
    assert expected in sentence_of("make", "igg-pseudo", "-o", tmp_path / "d", option, value)
    assert not (tmp_path / "d").exists()


def test_unknown_names_are_suggested(tmp_path: Path, dataset: Path) -> None:
    assert "did you mean 'igg-1d'?" in sentence_of("make", "igg1d", "-o", tmp_path / "d")
    assert "did you mean 'ppca'?" in sentence_of("run", "pca", dataset, "-o", tmp_path / "r")
    assert "choose datasets, methods, metrics" in sentence_of("list", "things")
    assert "nothing is called" in sentence_of("show", "things")


def test_full_output_folder(dataset: Path) -> None:
    before = sorted(path.name for path in dataset.rglob("*"))
    assert "is not empty; add --overwrite" in sentence_of("make", "igg-pseudo", "-o", dataset)
    assert "is not empty; add --overwrite" in sentence_of("run", "consensus", dataset, "-o", dataset / "truth")
    assert sorted(path.name for path in dataset.rglob("*")) == before


def test_truncated_stack(copy: Path, tmp_path: Path) -> None:
    stack = copy / "particles" / "0000.mrcs"
    stack.write_bytes(stack.read_bytes()[:-100])
    sentence = sentence_of("run", "consensus", copy, "-o", tmp_path / "r")
    assert "0000.mrcs" in sentence
    assert not (tmp_path / "r").exists()


def test_missing_stack(copy: Path, tmp_path: Path) -> None:
    (copy / "particles" / "0000.mrcs").unlink()
    assert "0000.mrcs" in sentence_of("run", "consensus", copy, "-o", tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_stack_that_does_not_match_the_table(copy: Path, tmp_path: Path) -> None:
    stack = copy / "particles" / "0000.mrcs"
    stack.unlink()
    with StackWriter(stack, 7, 16, 24.0) as writer:
        writer.append(np.zeros((7, 16, 16), np.float32))
    sentence = sentence_of("run", "consensus", copy, "-o", tmp_path / "r")
    assert "particles.star" in sentence
    assert "7" in sentence
    assert not (tmp_path / "r").exists()


def test_not_a_dataset(tmp_path: Path) -> None:
    assert "dataset.json does not exist" in sentence_of("run", "consensus", tmp_path, "-o", tmp_path / "r")
    assert "dataset.json does not exist" in sentence_of("score", tmp_path, "--dataset", tmp_path)
    assert "result" in sentence_of("report", tmp_path, "-o", tmp_path / "report.html")


def test_wrong_options_of_a_method(dataset: Path, tmp_path: Path) -> None:
    run = ("run", "ppca", dataset, "-o", tmp_path / "r")
    assert "key=value" in sentence_of(*run, "--set", "components")
    assert "no option 'q'" in sentence_of(*run, "--set", "q=3")
    assert "--device must be cpu or cuda" in sentence_of(*run, "--device", "tpu")
    assert not (tmp_path / "r").exists()


def test_no_space_left_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = StackWriter.append
    calls = []

    def full_disk(self: StackWriter, images: Any) -> None:
        calls.append(len(images))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(self, images)

    monkeypatch.setattr(StackWriter, "append", full_disk)
    out = tmp_path / "d"
    sentence = sentence_of("make", "igg-pseudo", "-o", out, "--images", "300", "--box", "16", "--processes", "1")
    assert "No space left on device" in sentence
    assert not (out / "dataset.json").exists()
    assert not list(out.rglob("*.mrcs"))
    assert not list(out.rglob(".*-tmp"))


def test_a_truncated_map_of_the_truth(copy: Path, tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["run", "consensus", str(copy), "-o", str(tmp_path / "r")]).exit_code == 0
    volume = copy / "truth" / "volumes" / "0003.mrc"
    volume.write_bytes(volume.read_bytes()[:2000])
    assert "0003.mrc" in sentence_of("score", tmp_path / "r", "--dataset", copy)
    assert not (tmp_path / "r" / "scores.csv").exists()


def test_an_output_folder_that_holds_its_input_is_left_alone(dataset: Path, copy: Path) -> None:
    """--overwrite may delete an old result, not what the new one is made of."""
    before = sorted(copy.rglob("*"))
    tables = dataset / "particles.star", copy / "particles.star"
    sentence = sentence_of("mix", *tables, "--counts", "5,5", "-o", copy, "--overwrite")
    assert "is an input and lies in the output folder" in sentence
    assert "is an input" in sentence_of("run", "consensus", copy, "-o", copy, "--overwrite")
    assert "is an input" in sentence_of("run", "consensus", copy, "-o", copy.parent, "--overwrite")
    assert sorted(copy.rglob("*")) == before


def test_values_of_a_mixture_are_numbers_and_given_once(dataset: Path, copy: Path, tmp_path: Path) -> None:
    words = ["mix", dataset / "particles.star", copy / "particles.star", "--counts", "5,5", "-o", tmp_path / "mix"]
    assert "has a value that is not a finite number" in sentence_of(*words, "--cv", "length=nan,1")
    assert "is given twice" in sentence_of(*words, "--cv", "length=0,1", "--cv", "length=1,0")
    assert not (tmp_path / "mix").exists()


def test_no_processes_and_one_true_map(tmp_path: Path) -> None:
    words = ["make", "igg-pseudo", "-o", tmp_path / "d", "--images", "10", "--box", "16"]
    assert "--processes must be at least 1" in sentence_of(*words, "--processes", "0")
    one = [*words, "--conformations", "1", "--set", "per_image=true"]
    assert "would have one conformation" in sentence_of(*one)
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\xff\xfe\x00"])
def test_damaged_side_files(tmp_path: Path, mirror: Path, content: bytes) -> None:
    for name in ("energy.npz", "table.npy", "defocus.npz", "models.txt"):
        (tmp_path / name).write_bytes(content)
    np.save(tmp_path / "energy.npy", np.zeros(3))
    top, path = (mirror / "md" / "adk_dims001" / name for name in ("top.psf", "path.dcd"))
    words = ["make", "spike-md", "--topology", top, "--trajectory", path, "-o", tmp_path / "d"]
    assert "is not an energy surface" in sentence_of(*words, "--set", f"energy={tmp_path / 'energy.npz'}")
    assert "is not an energy surface" in sentence_of(*words, "--set", f"energy={tmp_path / 'energy.npy'}")
    assert "is no table of numbers" in sentence_of(*words, "--set", f"cv_table={tmp_path / 'table.npy'}")
    assert "is not a CTF table" in sentence_of(*words, "--ctf", tmp_path / "defocus.npz")
    listed = sentence_of("make", "tomotwin-100", "--models", tmp_path / "models.txt", "-o", tmp_path / "d")
    assert "models.txt" in listed
    assert not (tmp_path / "d").exists()
