"""Tell, without loading what a plan needs, whether a plan that was written is still right."""

import importlib.util
import os
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from cryoarena.benchmark.code_version import code_version
from cryoarena.benchmark.plan import Plan, key_of
from cryoarena.benchmark.suite import FILES, Suite
from cryoarena.datasets.model_list import read_models
from cryoarena.errors import UserError
from cryoarena.methods.external.tool import find_program
from cryoarena.registry import PLUGIN_GROUP


def signature_of(suite: Suite) -> str:
    """Return a key that changes when the suite, a file that it names, the package or a plug-in does.

    Files are told by size and time, since they may be large.
    """
    given = [getattr(entry, name) for entry in suite.datasets for name in FILES]
    tables = [options for entry in suite.datasets for options in (entry.options, entry.realism)]
    tables += [entry.options for entry in suite.methods]
    given += [str(v) for table in tables for v in table.values() if isinstance(v, str) and os.path.isfile(v)]
    for entry in suite.datasets:
        if entry.models is not None and Path(entry.models).is_file():
            with suppress(UserError):  # what is wrong with a list the plan tells
                given += map(str, read_models(Path(entry.models))[0])
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
    """Return the stamps of all files of the package: an entry may be defined in another than the one that is named."""
    spec = importlib.util.find_spec(module.partition(".")[0])
    if spec is None:
        return []
    files = sorted(file for folder in spec.submodule_search_locations or () for file in Path(folder).rglob("*.py"))
    if not files and spec.origin is not None:
        files = [Path(spec.origin)]
    return [stamp for file in files for stamp in _stamps(file)]
