"""Where the outside programs are: tests skip without them, except in CI, which must have them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from phantom_stack import write_phantom_dataset


def find_program(name, variable=None):
    """Return the path of a program, or skip; in CI, fail."""
    found = shutil.which(os.environ.get(variable, "") or name) if variable else shutil.which(name)
    if found is None:
        how = f"put {name} on PATH" + (f" or its path in {variable}" if variable else "")
        if os.environ.get("CI"):
            pytest.fail(f"{name} must be installed in CI; {how}")
        pytest.skip(f"{name} is not installed; {how}")
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
    program = find_program("cryodrgn", "CRYOARENA_CRYODRGN")
    return lambda *arguments, cwd: run(program, *arguments, cwd=cwd)


@pytest.fixture(scope="session")
def cryodrgn_utils():
    """Return a function that runs a utility of cryoDRGN in a folder."""
    program = Path(find_program("cryodrgn", "CRYOARENA_CRYODRGN")).with_name("cryodrgn_utils")
    return lambda *arguments, cwd: run(program, *arguments, cwd=cwd)


@pytest.fixture(scope="session")
def phantom(tmp_path_factory) -> Path:
    """Return the folder of a stack of Gaussian blobs with every table."""
    folder = tmp_path_factory.mktemp("phantom")
    write_phantom_dataset(folder)
    return folder
