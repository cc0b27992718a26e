"""Install outside programs into environments of their own, and find out whether they work."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryoarena.errors import UserError
from cryoarena.methods.base import methods
from cryoarena.methods.external.external_method import ExternalMethod
from cryoarena.methods.external.run_program import Command, ProgramFailed, run_program
from cryoarena.methods.external.tool import INSTALLED, Tool


@dataclass(frozen=True)
class Condition:
    """What is known of a tool on this machine.

    Attributes:
        folder: of its programs, or None where it is not installed.
        version: that it tells, or "".
        trouble: why it cannot be used, or "".
        is_wanted: whether it is the version that the adapter was written for.
    """

    folder: Path | None
    version: str
    trouble: str
    is_wanted: bool = False


def tools() -> dict[str, Tool]:
    """Return the tools of all methods by name."""
    found = {entry.tool.name: entry.tool for entry in methods.all().values() if isinstance(entry, ExternalMethod)}
    return dict(sorted(found.items()))


def condition(tool: Tool) -> Condition:
    """Ask a tool for its version and run its self-test."""
    try:
        folder = tool.find()
    except UserError as error:
        return Condition(None, "", str(error))
    if folder is None:
        return Condition(None, "", tool.missing())
    version = ""
    try:
        version = _version(_output(tool.version_command, folder))
        _output(tool.self_test, folder)
    except (ProgramFailed, OSError) as error:
        return Condition(folder, version, str(error))
    # Builds may add to the version: 3.1.3-commit-….
    is_wanted = re.match(rf"{re.escape(tool.version)}(?!\d)", version) is not None
    return Condition(folder, version, "", is_wanted)


def install(tool: Tool) -> Path:
    """Install the pinned packages of a tool into a new environment and return the folder of its programs.

    What an interrupted installation left is replaced. A package of Debian is installed as such, into the system.

    Raises:
        UserError: when the tool is not installed this way, or the installation fails.
    """
    if tool.requirements is None:
        as_root = [] if os.geteuid() == 0 else ["sudo"]
        if not tool.debian_package or not all(map(shutil.which, [*as_root, "apt-get"])):
            raise UserError(f"{tool.title} is not installed by cryoarena here: {tool.how_to_install}")
        _run(tool, *as_root, "apt-get", "install", "--yes", "--no-install-recommends", tool.debian_package)
        return tool.require()
    environment = tool.environment
    shutil.rmtree(environment, ignore_errors=True)
    _run(tool, sys.executable, "-m", "venv", environment)
    _run(tool, environment / "bin" / "python", "-m", "pip", "install", "-r", tool.requirements)
    (environment / INSTALLED).write_bytes(tool.requirements.read_bytes())
    return environment / "bin"


def _run(tool: Tool, *words: str | Path) -> None:
    done = subprocess.run([str(word) for word in words], check=False)
    if done.returncode:
        raise UserError(f"installing {tool.title} failed with exit code {done.returncode}; the reason is above")


def _version(printed: list[str]) -> str:
    """Return the last number with dots that a program prints."""
    found = re.findall(r"\d+(?:\.\d+)+\S*", "".join(printed))
    return found[-1] if found else ""


def _output(words: tuple[str, ...], folder: Path) -> list[str]:
    """Return the lines that a program prints."""
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="cryoarena-tool-") as work:
        run_program(Command(words), folder, Path(work), Path(work) / "log.txt", lines.append)
    return lines
