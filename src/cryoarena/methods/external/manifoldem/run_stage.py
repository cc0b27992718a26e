"""Run by ManifoldEM's own Python: one stage, with the folder of RELION's programs and the arguments of manifold-cli.

Nothing of cryoarena is imported. ManifoldEM opens STAR files in mode "rU", which Python 3.11 refuses.
"""

import builtins
import os
import sys
from typing import IO, Any

import ManifoldEM.star
from ManifoldEM.interfaces.cli import main


def _open(name: str, mode: str = "r") -> IO[Any]:
    return builtins.open(name, mode.replace("U", ""))


if __name__ == "__main__":
    os.environ["PATH"] += os.pathsep + sys.argv.pop(1)
    ManifoldEM.star.open = _open
    main()
