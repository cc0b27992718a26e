"""Where a tool is looked for, and what is said of it."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cryoarena.cli.main import app
from cryoarena.errors import UserError
from cryoarena.methods.external.installation import condition, install, tools
from cryoarena.methods.external.tool import INSTALLED, Tool

TOOL = Tool(
    name="a-tool",
    title="ATool",
    version="1",
    program="a-tool",
    version_command=("a-tool", "version"),
    self_test=("a-tool", "test"),
    how_to_install="install the package a-tool",
)


def put_tool(folder: Path, body: str = "echo 1.2") -> Path:
    folder.mkdir(parents=True)
    program = folder / "a-tool"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return folder


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRYOARENA_TOOL_A_TOOL", raising=False)
    monkeypatch.setenv("CRYOARENA_TOOLS", str(tmp_path / "tools"))


def test_variable_before_installation_before_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert TOOL.find() is None
    with pytest.raises(
        UserError, match=r"ATool is not installed; install the package a-tool, or .*CRYOARENA_TOOL_A_TOOL"
    ):
        TOOL.require()
    on_path = put_tool(tmp_path / "path")
    monkeypatch.setenv("PATH", str(on_path), prepend=":")
    assert TOOL.find() == on_path
    installed = put_tool(tmp_path / "tools" / "a-tool" / "bin")
    # An installation that was interrupted does not count.
    assert TOOL.find() == on_path
    (installed.parent / INSTALLED).touch()
    assert TOOL.find() == installed
    named = put_tool(tmp_path / "named")
    monkeypatch.setenv("CRYOARENA_TOOL_A_TOOL", str(named))
    assert TOOL.find() == named
    monkeypatch.setenv("CRYOARENA_TOOL_A_TOOL", str(tmp_path))
    with pytest.raises(UserError, match="there is no a-tool in that folder"):
        TOOL.find()


def test_condition_tells_version_and_why_a_self_test_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not installed" in condition(TOOL).trouble
    good, broken = (
        put_tool(tmp_path / "good"),
        put_tool(tmp_path / "bad", '[ "$1" = test ] && echo no GPU && exit 1\necho 1.2'),
    )
    monkeypatch.setenv("CRYOARENA_TOOL_A_TOOL", str(good))
    assert condition(TOOL).trouble == ""
    assert condition(TOOL).version == "1.2"
    monkeypatch.setenv("CRYOARENA_TOOL_A_TOOL", str(broken))
    now = condition(TOOL)
    assert now.version == "1.2"
    assert "no GPU" in now.trouble
    monkeypatch.setenv("CRYOARENA_TOOL_A_TOOL", str(tmp_path))
    assert "there is no a-tool" in condition(TOOL).trouble


def test_the_table_tells_what_is_there_missing_and_of_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("PATH", str(put_tool(tmp_path / "bin", "echo v 1.2-commit-3f")), prepend=":")
    wanted = {"new": "1.20", "same": "1.2", "gone": "7"}
    known = {name: replace(TOOL, name=name, version=version) for name, version in wanted.items()}
    known["gone"] = replace(known["gone"], program="is-not-there")
    monkeypatch.setattr("cryoarena.methods.external.installation.tools", lambda: known)
    printed = CliRunner().invoke(app, ["tools", "list"]).output
    cells = {name: next(line for line in printed.splitlines() if f" {name} " in line) for name in wanted}
    assert "1.2-commit-3f" in cells["same"]
    assert str(tmp_path / "bin") in cells["same"]
    assert cells["same"].rstrip("│ ").endswith("passes")
    assert "passes; not tried with this version" in cells["new"]
    assert "ATool is not installed; install the package a-tool" in cells["gone"]


def test_an_installation_is_a_new_environment_and_a_failed_one_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="install the package a-tool"):
        install(TOOL)
    # No package is needed: the environment has its own Python.
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# nothing\n")
    pinned = Tool("a-tool", "ATool", "1", "python", ("python", "--version"), ("python", "--version"), requirements)
    assert install(pinned) == tmp_path / "tools" / "a-tool" / "bin"
    assert pinned.find() == tmp_path / "tools" / "a-tool" / "bin"
    requirements.write_text(f"{tmp_path / 'there is no such package'}\n")
    with pytest.raises(UserError, match="installing ATool failed with exit code 1"):
        install(pinned)
    assert pinned.find() != tmp_path / "tools" / "a-tool" / "bin"


def test_a_package_of_debian_is_installed_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    monkeypatch.setenv("PATH", f"{bin_folder}:/usr/bin:/bin")
    apt = 'echo "$@" > $0.told; [ "$4" = missing ] && exit 100; printf "#!/bin/sh\\necho 1" > $(dirname $0)/a-tool'
    for name, body in (("apt-get", f"{apt}; chmod +x $(dirname $0)/a-tool"), ("sudo", 'exec "$@"')):
        (bin_folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (bin_folder / name).chmod(0o755)
    assert install(replace(TOOL, debian_package="a-package")) == bin_folder
    assert (bin_folder / "apt-get.told").read_text() == "install --yes --no-install-recommends a-package\n"
    with pytest.raises(UserError, match="installing ATool failed with exit code 100"):
        install(replace(TOOL, debian_package="missing"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="not installed by cryoarena here: install the package a-tool"):
        install(replace(TOOL, debian_package="a-package"))


def test_the_tools_of_methods_are_known() -> None:
    assert "cryodrgn" in tools()
