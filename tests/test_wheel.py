"""A wheel holds all that the program needs: it runs a suite where there is no checkout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from suites import TINY

_ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_a_wheel_runs_a_suite_outside_the_checkout(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet"]
    options = ["--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "wheel", *options, "--wheel-dir", tmp_path, _ROOT], check=True)
    (wheel,) = tmp_path.glob("cryoarena-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", tmp_path / "packages", wheel], check=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "tiny.toml").write_text(TINY)

    def run(*words: str) -> str:
        command = [sys.executable, *words]
        environment = os.environ | {"PYTHONPATH": str(tmp_path / "packages")}
        done = subprocess.run(
            command, cwd=tmp_path / "elsewhere", env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert run("-c", "import cryoarena; print(cryoarena.__file__)").startswith(str(tmp_path / "packages"))
    run("-m", "cryoarena.cli", "bench", "tiny.toml", "-o", "tiny")
    assert (tmp_path / "elsewhere" / "tiny" / "report.html").is_file()
    assert "3Dmol" in (tmp_path / "elsewhere" / "tiny" / "report.html").read_text()
