"""Write files so that a crash or a full disk leaves either the old file or the new one, never half of one."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryoarena.errors import UserError

_TEMPORARY_SUFFIX = ".cryoarena-tmp"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, delete it on failure.

    Raises:
        UserError: when the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_TEMPORARY_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def remove_temporary_files(folder: Path) -> None:
    """Delete what a killed process was writing with `atomic_path` below `folder`."""
    for path in folder.rglob(f".*{_TEMPORARY_SUFFIX}"):
        path.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Write `data` as indented JSON with sorted keys (no NaN: a missing number is null), atomically."""
    text = json.dumps(data, indent=1, sort_keys=True, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: when the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path} is not valid JSON: {error}") from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def require_free_space(folder: Path, needed_bytes: int) -> None:
    """Check that the disk that will hold `folder` has room.

    Raises:
        UserError: when it has not.
    """
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise UserError(
            f"no space left: {folder} needs {needed_bytes / 1e6:,.0f} MB but {existing} has {free / 1e6:,.0f} MB free; "
            "choose another -o or fewer images"
        )


def require_empty_output(folder: Path, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    """Make sure that an output folder is new, or that the user allowed to replace it.

    Args:
        folder: of the output.
        overwrite: whether what it holds may be deleted.
        inputs: that are still to be read, or must not be lost.

    Raises:
        UserError: when the folder holds files and `overwrite` is false, or it holds an input.
    """
    for path in inputs:
        if path.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{path} is an input and lies in the output folder {folder}; choose another -o")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file, not a folder; choose another -o")
    if folder.is_dir() and any(folder.iterdir()):
        if not overwrite:
            raise UserError(f"{folder} is not empty; add --overwrite to replace it or choose another -o")
        shutil.rmtree(folder)
