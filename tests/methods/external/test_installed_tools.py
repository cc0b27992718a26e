"""The outside programs that CI installs are there, of the wanted version, and start."""

import os

import pytest

from cryoarena.methods.external.installation import condition, tools


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("CI"), reason="elsewhere any version, or none, may be installed")
@pytest.mark.parametrize("name", ["aspire", "cryodrgn", "recovar", "relion"])
def test_an_installed_tool_passes_its_self_test(name: str) -> None:
    tool = tools()[name]
    now = condition(tool)
    assert now.trouble == ""
    assert now.folder == tool.find()
    assert now.version.startswith(tool.version)
    assert now.is_wanted
