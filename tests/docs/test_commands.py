"""Every command that README and docs show is one that the program understands; those of the tours are executed."""

import re
import shlex
import shutil
import subprocess
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from cryoarena.benchmark.suite import read_suite
from cryoarena.cli.main import app
from cryoarena.datasets.base import datasets
from cryoarena.methods.base import methods
from cryoarena.metrics.base import metrics
from cryoarena.particles.dataset_folder import open_particles
from simulated import make_small_dataset
from suites import TINY, command

_ROOT = Path(__file__).parents[2]
_READMES = sorted((_ROOT / "src").rglob("external/*/README.md"))
_PAGES = [_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md")), *_READMES]
# The pages of a plug-in, of real programs and of downloads are gone elsewhere, see below.
_TOURS = [
    "README.md",
    *(f"docs/{name}.md" for name in ("index", "real-data", "convert", "doctor", "report", "suites")),
    "docs/datasets/spike-md.md",
    "docs/methods/comparison.md",
]
# Names of a tutorial's own plug-in, which tests/test_plugin.py installs.
_OF_PLUGIN = {"clustered", "igg-pseudo-fainter", "distance-correlation", "my-method"}
# What a tour leaves out, by its first words, and where it is executed.
_ELSEWHERE = {
    "fetch": "downloads; tests/datasets/test_fetch.py",
    "tools install": "installs; .ci/run",
    "import cryosparc": "needs a folder of another program; tests/methods/external/cryosparc",
    "import recovar": "needs a folder of another program; tests/methods/external/recovar",
    "convert IN OUT": "names of nothing; what they stand for is below it",
}
# So that a tour takes a minute; of an option given twice, the last counts.
_SMALL = ["--preset", "small", "--images", "150", "--box", "24", "--snr", "0.1"]
_WITH_LATENTS = """
[[datasets]]
name = "igg-pseudo"
images = 150
box = 24
conformations = 4
[[methods]]
name = "ppca"
options = { components = 2, iterations = 3 }
[[methods]]
name = "class3d"
options = { classes = 2, iterations = 3 }
"""
_SHIPPED = {"quick", "quick-tools", "cryobench-small", "cryobench-tools", "cryobench"}


def commands(page: Path) -> list[list[str]]:
    """Return the words of every command of a page, in order; blocks are fenced, or indented in READMEs."""
    found = []
    text = page.read_text()
    fenced = re.findall(r"^```(?:\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    indented = re.findall(r"^    (cryoarena .*)$", text, re.MULTILINE) if page in _READMES else []
    for block in [*fenced, *indented]:
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["cryoarena"]:
                found.append(words[1:])
    return found


@pytest.mark.parametrize(
    "page", [page for page in _PAGES if commands(page)], ids=lambda page: "/".join(page.parts[-2:])
)
def test_every_command_is_understood(page: Path) -> None:
    for words in commands(page):
        command, rest = typer.main.get_command(app), words
        while hasattr(command, "resolve_command"):
            name, command, rest = command.resolve_command(command.context_class(command), rest)
        command.make_context(name, list(rest))
        registry = {"make": datasets, "run": methods}.get(words[0])
        if registry is not None and rest[0] not in _OF_PLUGIN:
            assert registry.get(rest[0])
        if words[0] == "run" and rest[0] not in _OF_PLUGIN:
            given = dict(pair.split("=", 1) for option, pair in pairwise(rest) if option == "--set")
            assert given.keys() <= {field.name for field in fields(methods.get(rest[0]).options)}, words
        if words[0] in ("show", "check"):
            known = {*datasets.all(), *methods.all(), *metrics.all(), "realism", *_OF_PLUGIN}
            assert set(rest) <= known, words


def test_the_suite_that_is_shown_is_one(tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```toml\n(.*?)^```", (_ROOT / "docs" / "suites.md").read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "shown.toml").write_text(shown)
    suite = read_suite(tmp_path / "shown.toml")
    assert {entry.name for entry in suite.methods} >= {"covariance", "cryodrgn"}


@pytest.fixture(scope="module")
def material(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files that the tours speak of, by the name of a page or for any other."""
    root = tmp_path_factory.mktemp("material")
    folder = root / "any"
    for name, seed in (("particles", 1), ("apo", 2), ("bound", 3), ("a", 4), ("b", 5)):
        made = make_small_dataset(folder / f"{name}-data", images=200, box_px=24, snr=0.5, seed=seed)
        run(["convert", str(made), str(folder / f"{name}.star")])
    shutil.copyfile(next((folder / "particles-data" / "truth" / "volumes").glob("*.mrc")), folder / "map.mrc")
    run(["convert", str(folder / "particles.star"), str(folder / "J12_particles.cs")])
    (folder / "models").mkdir()
    for name in ("1oel.pdb.gz", "3gl1.pdb.gz"):
        shutil.copyfile(mirror / "models" / "other_complexes" / name, folder / "models" / name)
    for name in ("top.psf", "path.dcd"):
        shutil.copyfile(mirror / "md" / "adk_dims001" / name, folder / name)
    (folder / "mine.toml").write_text(TINY)
    particle_tables(root / "convert")
    for name in ("bench", "other"):
        run(["bench", str(folder / "mine.toml"), "-o", str(root / "report" / name)])
    return root


def particle_tables(folder: Path) -> None:
    """Make the tables of other programs that are converted into each other; they name images in the same folder."""
    dataset = make_small_dataset(folder / "data", images=200, box_px=24, snr=0.5)
    for sub in ("Refine3D/job019", "drgn"):
        (folder / sub).mkdir(parents=True)
    for name in ("J12_particles.cs", "J12_passthrough_particles.cs", "Refine3D/job019/run_data.star", "new.star"):
        run(["convert", str(dataset), str(folder / name)])
    run(["convert", str(dataset), str(folder / "pickles" / "poses.pkl")])
    for name in ("poses.pkl", "ctf.pkl"):
        shutil.move(folder / "pickles" / name, folder / name)
    shutil.copyfile(next((dataset / "particles").glob("*.mrcs")), folder / "particles.mrcs")


def latents_of(dataset: Path) -> None:
    """Write what another program is said to have found in a dataset."""
    particle_id = open_particles(dataset).particle_id
    table = pd.DataFrame({"particle_id": particle_id, "z0": np.sin(particle_id), "class": 1 + particle_id % 2})
    table.to_csv("latents.csv", index=False)
    Path("maps").mkdir()
    volume = next((dataset / "truth" / "volumes").glob("*.mrc"))
    for number in (1, 2):
        shutil.copyfile(volume, f"maps/class{number:03d}.mrc")


def run(words: list[str]) -> None:
    if words[0] == "bench":
        # In a process of its own, as its jobs are.
        done = subprocess.run(command(*words), capture_output=True, text=True, check=False)
        assert done.returncode == 0, (words, done.stderr)
        return
    result = CliRunner().invoke(app, words)
    # The doctor finds something to change in images that are few and small.
    assert result.exit_code == 0 or (words[0] == "doctor" and result.exit_code == 1), (words, result.output)


@pytest.mark.slow
@pytest.mark.parametrize("tour", _TOURS)
def test_tours_can_be_gone(tour: str, material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = material / Path(tour).stem
    shutil.copytree(own if own.is_dir() else material / "any", tmp_path / "tour")
    monkeypatch.chdir(tmp_path / "tour")
    for words in commands(_ROOT / tour):
        external = words[0] == "run" and methods.get(words[1]).__module__.startswith("cryoarena.methods.external")
        if external or "--executor" in words or any(" ".join(words).startswith(first) for first in _ELSEWHERE):
            continue
        if words[0] == "make":
            words = [*words, *_SMALL]
        if words[0] == "mix":
            words = [*words, "--counts", "120,60"]
        if words[0] == "bench" and words[1] in _SHIPPED:
            # One small suite stands for all of them, and once it is finished it need not be run again.
            words = ["bench", "mine.toml", *words[2:]]
            shutil.copytree(material / "report" / "bench", words[words.index("-o") + 1], dirs_exist_ok=True)
        if words[:2] == ["import", "table"]:
            latents_of(Path("igg1d"))
        run(words)
    assert tour not in _TOURS[:3] or "ppca" in Path("report.html").read_text()


@pytest.mark.slow
def test_the_figures_that_are_shown_can_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (_ROOT / "docs" / "report.md").read_text()
    (shown,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_text(_WITH_LATENTS)
    run(["bench", "small.toml", "-o", "small"])
    exec(compile(shown.replace('dataset="igg-1d"', 'dataset="igg-pseudo"'), "report.md", "exec"), {})
    assert Path("latents.pdf").stat().st_size > 0
