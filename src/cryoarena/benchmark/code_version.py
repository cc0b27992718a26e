"""The version of the code that decides what a job makes: a hash of the source of the packages that it goes through."""

import hashlib
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent
# Of the page, its templates and scripts too.
_SOURCE = {".py", ".j2", ".css", ".js", ".svg"}
_MODULES = ("files.py", "options.py", "registry.py")
_TO_DATA = ("structures", "volumes", "imaging", "particles", "datasets")
_TO_METHODS = (*_TO_DATA, "methods", "benchmark/run_cell.py")
_TO_SCORES = (
    *_TO_METHODS,
    "metrics",
    "limits",
    "benchmark/score.py",
    "benchmark/score_rows.py",
    "benchmark/score_columns.py",
    "benchmark/score_limits.py",
    "benchmark/comparison.py",
)
_PARTS = {
    "data": _TO_DATA,
    "run": _TO_METHODS,
    "limits": _TO_SCORES,
    "score": _TO_SCORES,
    "report": ("",),
}


@cache
def code_version(kind: str) -> str:
    """Return 64 hexadecimal digits that change when a source file does that a job of this kind may go through.

    Data walk through the packages from top to bottom, so that what comes later than a job cannot change it: a new
    metric makes no run old, and the command line makes nothing old.

    Args:
        kind: data, limits, run, score or report.
    """
    parts = [_PACKAGE / part for part in _PARTS[kind]]
    files = {file for part in parts for file in (part.rglob("*") if part.is_dir() else [part])}
    files = {file for file in files if file.suffix in _SOURCE}
    digest = hashlib.sha256()
    for file in sorted(files | {_PACKAGE / module for module in _MODULES}):
        digest.update(file.relative_to(_PACKAGE).as_posix().encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
