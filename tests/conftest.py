"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Return the folder of real models, maps and stacks, or skip where it is not to be had."""
    folder = Path(os.environ.get("CRYOARENA_MIRROR", _REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"the data mirror {folder} must be there in CI")
        pytest.skip(f"no data mirror at {folder}; set CRYOARENA_MIRROR")
    return folder.resolve()
