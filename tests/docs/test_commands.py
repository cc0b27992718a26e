"""Every command that README and docs show is one that the program understands; those of the tours are executed."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cryoarena.cli.main import app
from cryoarena.datasets.base import datasets
from cryoarena.methods.base import methods
from cryoarena.metrics.base import metrics
from simulated import make_small_dataset

_ROOT = Path(__file__).parents[2]
_PAGES = [_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md"))]
_TOURS = ["README.md", "docs/index.md", "docs/real-data.md"]
# Names of a tutorial's own plug-in, which tests/test_plugin.py installs.
_OF_PLUGIN = {"clustered", "igg-pseudo-fainter", "distance-correlation", "my-method"}
_ELSEWHERE = {
    "fetch": "downloads; tests/datasets/test_fetch.py",
    "tools": "installs; .ci/run",
    "bench": "tests/benchmark",
    "status": "tests/benchmark",
    "import": "needs folders of other programs; tests/methods/external",
    "check": "tests/benchmark/test_conformance.py",
}
# So that a tour takes a minute; of an option given twice, the last counts.
_SMALL = ["--preset", "small", "--images", "150", "--box", "24", "--snr", "0.1"]


def commands(page: Path) -> list[list[str]]:
    """Return the words of every command of a page, in order."""
    found = []
    for block in re.findall(r"^```(?:\w*)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["cryoarena"]:
                found.append(words[1:])
    return found


@pytest.mark.parametrize("page", [page for page in _PAGES if commands(page)], ids=lambda page: page.name)
def test_every_command_is_understood(page: Path) -> None:
    for words in commands(page):
        command, rest = typer.main.get_command(app), words
        while hasattr(command, "resolve_command"):
            name, command, rest = command.resolve_command(command.context_class(command), rest)
        command.make_context(name, list(rest))
        registry = {"make": datasets, "run": methods}.get(words[0])
        if registry is not None and rest[0] not in _OF_PLUGIN:
            assert registry.get(rest[0])
        if words[0] in ("show", "check"):
            known = {*datasets.all(), *methods.all(), *metrics.all(), "realism", *_OF_PLUGIN}
            assert set(rest) <= known, words


@pytest.fixture(scope="module")
def material(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files that the tours speak of."""
    folder = tmp_path_factory.mktemp("material")
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
    return folder


def run(words: list[str]) -> None:
    result = CliRunner().invoke(app, words)
    # The doctor finds something to change in images that are few and small.
    assert result.exit_code == 0 or (words[0] == "doctor" and result.exit_code == 1), (words, result.output)


@pytest.mark.slow
@pytest.mark.parametrize("tour", _TOURS)
def test_tours_can_be_gone(tour: str, material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(material, tmp_path / "tour")
    monkeypatch.chdir(tmp_path / "tour")
    mixed = {"--counts": "120,60"}
    for words in commands(_ROOT / tour):
        external = words[0] == "run" and methods.get(words[1]).__module__.startswith("cryoarena.methods.external")
        if words[0] in _ELSEWHERE or external:
            continue
        if words[0] == "make":
            words = [*words, *_SMALL]
        if words[0] == "mix":
            words = [*words, *(word for pair in mixed.items() for word in pair)]
        run(words)
    assert "ppca" in Path("report.html").read_text()
