"""Write and read result.json, which says what a result folder is; loads nothing that takes time."""

from pathlib import Path
from typing import Any

from cryoarena.errors import UserError
from cryoarena.files import read_json, write_json

_STATUSES = ("ok", "failed", "not_applicable")


def write_info(folder: Path, info: dict[str, Any]) -> None:
    """Write result.json, the file that makes a folder a result."""
    write_json(folder / "result.json", {"format": 1, **info})


def read_info(folder: Path) -> dict[str, Any]:
    """Return what result.json says.

    Raises:
        UserError: when the folder is no result folder, or result.json lacks what a score needs.
    """
    path = folder / "result.json"
    if not path.is_file():
        raise UserError(f"{folder} is no result folder: it has no result.json; give the output of `cryoarena run`")
    info = read_json(path)
    for key in ("status", "reason", "method/name", "dataset/id", "dataset/name"):
        value = info
        for part in key.split("/"):
            value = value.get(part) if isinstance(value, dict) else None
        if not isinstance(value, str):
            raise UserError(f"{path} does not tell {key.replace('/', ' ')}; run the method again")
    if info["status"] not in _STATUSES:
        raise UserError(f"{path} has the status {info['status']!r}, which is none of {', '.join(_STATUSES)}")
    return dict(info)
