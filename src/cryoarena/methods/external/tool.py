"""An outside program: where it is, what version is wanted, how it is tested and installed."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from cryoarena.errors import UserError

# Written last, so that a broken installation is not taken for a whole one.
INSTALLED = "installed.txt"


@dataclass(frozen=True)
class Tool:
    """An outside program, which is a folder of executables.

    Attributes:
        name: one word in lower case, as in `cryoarena tools install NAME`.
        title: as its authors write it.
        version: that the adapter was written for.
        program: the executable that tells whether the tool is there.
        version_command: prints a line with the version, the name of an executable first.
        self_test: command that loads all that the tool needs and ends without an error.
        requirements: pinned packages to install from PyPI, or None where the tool is no such package.
        debian_package: that holds it where it is no such package, or "".
        how_to_install: one sentence, for a tool without `requirements`.
    """

    name: str
    title: str
    version: str
    program: str
    version_command: tuple[str, ...]
    self_test: tuple[str, ...]
    requirements: Path | None = None
    debian_package: str = ""
    how_to_install: str = ""

    @property
    def variable(self) -> str:
        """Return the environment variable that names the folder of executables."""
        return variable_of(self.name)

    @property
    def environment(self) -> Path:
        """Return where `cryoarena tools install` puts the tool."""
        return _environment_of(self.name)

    def find(self) -> Path | None:
        """Return the folder of executables, see `find_program`."""
        return find_program(self.name, self.program)

    def require(self) -> Path:
        """Return the folder of executables.

        Raises:
            UserError: when the tool is not installed; the sentence says how to install it.
        """
        found = self.find()
        if found is None:
            raise UserError(self.missing())
        return found

    def missing(self) -> str:
        """Return the sentence for where the tool is not installed."""
        how = f"run `cryoarena tools install {self.name}`" if self.requirements else self.how_to_install
        return f"{self.title} is not installed; {how}, or name the folder of its programs in {self.variable}"


def variable_of(name: str) -> str:
    """Return the environment variable that names the folder of the executables of a tool."""
    return f"CRYOARENA_TOOL_{name.upper().replace('-', '_')}"


def _environment_of(name: str) -> Path:
    tools = os.environ.get("CRYOARENA_TOOLS")
    return (Path(tools) if tools else Path.home() / ".cache" / "cryoarena" / "tools") / name


def find_program(name: str, program: str) -> Path | None:
    """Return the folder of executables of a tool: of the variable, else of `cryoarena tools install`, else on PATH.

    Args:
        name: of the tool.
        program: the executable that tells whether the tool is there.

    Raises:
        UserError: when the variable names a folder without the program.
    """
    if named := os.environ.get(variable_of(name)):
        if not (Path(named) / program).is_file():
            raise UserError(f"{variable_of(name)} is {named} but there is no {program} in that folder; correct it")
        return Path(named).absolute()
    if (_environment_of(name) / INSTALLED).is_file():
        return (_environment_of(name) / "bin").absolute()
    on_path = shutil.which(program)
    # What is linked to from elsewhere has its other executables beside itself.
    return None if on_path is None else Path(on_path).resolve().parent


def python_version_command(package: str) -> tuple[str, ...]:
    """Return the command that prints the version of an installed package without loading it."""
    return ("python", "-c", f"from importlib.metadata import version; print(version({package!r}))")
