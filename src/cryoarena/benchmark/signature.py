"""Tell, without loading what a plan needs, whether a plan that was written is still right."""

import importlib.util
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from cryoarena.benchmark.code_version import code_version
from cryoarena.benchmark.plan import Plan, key_of
from cryoarena.benchmark.suite import FILES, Suite
from cryoarena.methods.external.tool import find_program
from cryoarena.registry import PLUGIN_GROUP


def signature_of(suite: Suite) -> str:
    """Return a key that changes when the suite, a file that it names, the package or a plug-in does.

    Files are told by size and time, since they may be large.
    """
    given = [getattr(entry, name) for entry in suite.datasets for name in FILES]
    files = {path: _stamps(Path(path)) for path in given if path is not None}
    plugins = [[point.name, point.value, _stamp_of_module(point.module)] for point in entry_points(group=PLUGIN_GROUP)]
    return key_of([suite.model_dump(), files, sorted(plugins, key=str), code_version("report")])


def still_holds(plan: Plan, signature: str) -> bool:
    """Tell whether a plan was made from the same, and the same outside programs are there."""
    return plan.signature == signature and all(
        (find_program(tool["name"], tool["program"]) is not None) == tool["found"] for tool in plan.tools
    )


def _stamps(path: Path) -> list[list[Any]]:
    """Return name, size and time of a file, or of the files right in a folder."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    stats = [(file.name, file.stat()) for file in files if file.is_file()]
    return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]


def _stamp_of_module(module: str) -> list[list[Any]]:
    spec = importlib.util.find_spec(module)
    return [] if spec is None or spec.origin is None else _stamps(Path(spec.origin))
