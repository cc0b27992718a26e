"""Small suites, started as a user would."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

# The smallest that has every kind of job.
TINY = """
metrics = ["pmn"]
[[datasets]]
name = "igg-pseudo"
images = 60
box = 16
conformations = 3
[[methods]]
name = "consensus"
"""


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "cryoarena.cli", *map(str, arguments)]


def bench(suite: str | Path, out: Path, *arguments: str | Path) -> str:
    """Run a suite and return what it told."""
    words = command("bench", suite, "-o", out, "--cores", "2", *arguments)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def status(out: Path) -> dict[str, Any]:
    """Return how far a suite is."""
    done = subprocess.run(command("status", out, "--json"), capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
