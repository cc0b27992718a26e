"""The package of the tutorial, really installed: its method, dataset and metric are found, run and scored."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from simulated import make_small_dataset

_ROOT = Path(__file__).parents[1]
_PACKAGE = _ROOT / "tests" / "plugin_package"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", folder / "packages", _PACKAGE], check=True)
    return folder


def cryoarena(site: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command where the package is installed."""
    code = "import sys; sys.path.append(sys.argv.pop(1)); from cryoarena.cli.main import app; app()"
    command = [sys.executable, "-c", code, site / "packages", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=site)


def test_what_the_package_brings_is_listed_and_keeps_its_contract(site: Path) -> None:
    for kind, name in (
        ("methods", "clustered"),
        ("metrics", "distance-correlation"),
        ("datasets", "igg-pseudo-fainter"),
    ):
        assert name in cryoarena(site, "list", kind).stdout
        checked = cryoarena(site, "check", name)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert "kept" in checked.stdout
        assert "broken" not in checked.stdout


def test_its_method_is_run_and_scored_with_its_metric(site: Path) -> None:
    make_small_dataset(site / "data", images=300, snr=0.5)
    done = cryoarena(site, "run", "clustered", "data", "-o", "result", "--set", "classes=6")
    assert done.returncode == 0, done.stderr
    done = cryoarena(site, "score", "result", "--dataset", "data")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(site / "result" / "scores.csv").set_index(["metric", "statistic"])
    # Six classes of a turning arm follow its angle, if coarsely.
    assert 0.5 < table.loc[("distance-correlation", "mean"), "value"] < 1
    assert table.loc[("posterior-class-agreement", "standard/ari"), "value"] > 0.2


@pytest.mark.parametrize("page", ["own-method.md", "add.md"])
def test_the_tutorial_shows_these_very_files(page: str) -> None:
    files = [path.read_text() for path in sorted(_PACKAGE.rglob("*")) if path.suffix in (".py", ".toml")]
    shown = re.findall(r"```(?:python|toml)\n(.*?)```", (_ROOT / "docs" / page).read_text(), re.DOTALL)
    assert shown
    for block in shown:
        assert any(block in text for text in files), f"{page} shows what is in no file of the package:\n{block}"
