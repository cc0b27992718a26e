"""A run that is killed and repeated ends as if nothing had happened."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cryoarena.benchmark.run_cell import run_method
from simulated import make_small_dataset

OPTIONS = {
    "class3d": {"classes": "3", "iterations": "6"},
    "ppca": {"components": "2", "iterations": "6"},
    "covariance": {"components": "2", "pivots": "20"},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_dataset(tmp_path_factory.mktemp("data") / "d", images=400, snr=0.05)


@pytest.mark.parametrize("method", sorted(OPTIONS))
def test_killed_and_repeated_equals_undisturbed(dataset: Path, tmp_path: Path, method: str) -> None:
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    state = tmp_path / ".killed.checkpoint.npz"
    options = [part for key, value in OPTIONS[method].items() for part in ("--set", f"{key}={value}")]

    # Each in a process of its own, as users run them: the last bits depend on the number of threads, which libraries
    # change in passing.
    def start(out: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "cryoarena.cli", "run", method, str(dataset), "-o", str(out), *options]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)

    process = start(killed)
    while not state.exists() and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert state.exists()
    assert not killed.exists()
    assert start(killed).wait() == 0
    assert not state.exists()
    assert start(undisturbed).wait() == 0
    for path in sorted(undisturbed.rglob("*.npy")):
        np.testing.assert_array_equal(np.load(path), np.load(killed / path.relative_to(undisturbed)))


def test_the_state_of_another_run_and_a_damaged_one_are_not_taken(dataset: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / ".another.checkpoint.npz", _identity="another", _history="[]")
    (tmp_path / ".damaged.checkpoint.npz").write_bytes(b"damaged")
    for name in ("another", "damaged"):
        assert run_method("ppca", dataset, tmp_path / name, {"components": "2", "iterations": "1"})["status"] == "ok"
