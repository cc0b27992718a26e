"""Where the outside programs are: tests skip without them, except in CI, which must have them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cryoarena.methods.external.cryodrgn.program import CRYODRGN
from outside import folder_of
from phantom_stack import write_phantom_dataset


def find_program(name):
    """Return the path of a program, or skip; in CI, fail."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} must be installed in CI; put it on PATH")
        pytest.skip(f"{name} is not installed; put it on PATH")
    return found


def run(*command, cwd):
    """Run a program on one core; a failure shows what it printed."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout[-3000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def relion():
    """Return a function that runs a RELION program in a folder."""
    find_program("relion_reconstruct")
    return lambda program, *arguments, cwd: run(find_program(program), *arguments, cwd=cwd)


@pytest.fixture(scope="session")
def cryodrgn():
    """Return a function that runs a command of cryoDRGN in a folder."""
    program = folder_of(CRYODRGN) / "cryodrgn"
    return lambda *arguments, cwd: run(program, *arguments, cwd=cwd)


@pytest.fixture(scope="session")
def cryodrgn_utils():
    """Return a function that runs a utility of cryoDRGN in a folder."""
    program = folder_of(CRYODRGN) / "cryodrgn_utils"
    return lambda *arguments, cwd: run(program, *arguments, cwd=cwd)


@pytest.fixture(scope="session")
def phantom(tmp_path_factory) -> Path:
    """Return the folder of a stack of Gaussian blobs with every table."""
    folder = tmp_path_factory.mktemp("phantom")
    write_phantom_dataset(folder)
    return folder
