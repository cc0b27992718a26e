"""Run by CryoSTAR's own Python: a script of its project, which is beside its package in its source and not installed.

Nothing of cryoarena is imported. Arguments: a new folder to run in, script, configuration (both below projects/star),
and those of the script; without any, all that the scripts need is loaded.
"""

import importlib
import os
import runpy
import sys
from pathlib import Path


def main() -> None:
    """Run the script as if it were called where it is, but in a new folder: in another it numbers its results."""
    package = importlib.import_module("cryostar")
    project = Path(str(package.__file__)).resolve().parents[1] / "projects" / "star"
    if not project.is_dir():
        sys.exit(f"{project} does not exist; install CryoSTAR from its source with pip install -e")
    sys.path.insert(0, str(project))
    if len(sys.argv) == 1:
        for name in ("train_atom", "train_density"):
            importlib.import_module(name)
        return
    folder, script, configuration, *words = sys.argv[1:]
    Path(folder).mkdir()
    os.chdir(folder)
    sys.argv = [str(project / script), str(project / configuration), *words]
    runpy.run_path(str(project / script), run_name="__main__")


if __name__ == "__main__":
    main()
