"""What RELION is."""

import re
import subprocess

from cryoarena.errors import UserError
from cryoarena.methods.external.tool import Tool

RELION = Tool(
    name="relion",
    title="RELION",
    version="3.1.3",
    program="relion_refine",
    version_command=("relion_refine", "--version"),
    self_test=("relion_reconstruct", "--version"),
    debian_package="relion",
    how_to_install="run `cryoarena tools install relion` on Debian or Ubuntu, or build it from "
    "https://github.com/3dem/relion",
)


def major_version() -> int:
    """Return the first number of the version that is installed.

    Raises:
        UserError: when RELION is not installed, or does not tell its version.
    """
    program = RELION.require() / RELION.program
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"version:? *(\d+)\.", done.stdout)
    if found is None:
        raise UserError(f"{program} does not tell its version; install RELION 3.1 or later")
    return int(found[1])
