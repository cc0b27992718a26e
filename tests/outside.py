"""Outside programs in tests: without them tests are skipped, except in CI, which must have them."""

import os
from pathlib import Path

import pytest

from cryoarena.methods.external.tool import Tool


def folder_of(tool: Tool, in_ci: bool = True) -> Path:
    """Return the folder of a tool's programs, or skip; in CI, fail, unless it cannot be installed there."""
    found = tool.find()
    if found is None:
        if in_ci and os.environ.get("CI"):
            pytest.fail(f"CI must have it: {tool.missing()}")
        pytest.skip(tool.missing())
    return found
