"""Unpack archives of strangers: regular files only, none outside the folder, each whole or not at all."""

import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from cryoarena.errors import UserError
from cryoarena.files import atomic_path, require_free_space
from cryoarena.progress import Report

_ARCHIVE = re.compile(r"\.(zip|tar|tgz|tar\.(gz|bz2|xz))$", re.IGNORECASE)
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError, NotImplementedError)


def is_archive(name: str) -> bool:
    """Tell by its name whether a file is a .zip or a .tar, compressed or not."""
    return bool(_ARCHIVE.search(name))


def list_archive(path: Path) -> dict[str, int]:
    """Return the size (bytes) of every file in an archive by its name; hidden files and links are left out.

    Raises:
        UserError: when it is damaged or names a file outside of itself.
    """
    with _open(path) as archive:
        sizes = {name: size for name, size, _ in _members(archive)}
    for name in sizes:
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in name:
            raise UserError(f"{path} holds {name!r}, which lies outside of the archive; it is not unpacked")
    return {name: size for name, size in sizes.items() if not _is_hidden(name)}


def unpack(path: Path, names: Collection[str], to: Path, report: Report) -> None:
    """Write some files of an archive below `to`; those that are there, whole, are kept.

    Args:
        path: of the archive.
        names: of files in `list_archive`.
        to: folder.
        report: told the bytes done.

    Raises:
        UserError: when the archive is damaged or the disk is full.
    """
    sizes = {name: size for name, size in list_archive(path).items() if name in names}
    missing = {name for name, size in sizes.items() if not _is_there(to / name, size)}
    require_free_space(to, sum(sizes[name] for name in missing))
    done, total = 0, sum(sizes.values())
    with _open(path) as archive:
        # In the order of the archive: a compressed tar cannot be read in any other.
        for name, _, member in _members(archive):
            if name not in sizes:
                continue
            if name in missing:
                with (
                    atomic_path(to / name) as temporary,
                    _stream(archive, member) as source,
                    temporary.open("wb") as stream,
                ):
                    shutil.copyfileobj(source, stream, 1 << 20)
            done += sizes[name]
            report(done, total, PurePosixPath(name).name)


@contextmanager
def _open(path: Path) -> Iterator[zipfile.ZipFile | tarfile.TarFile]:
    try:
        with zipfile.ZipFile(path) if path.suffix.lower() == ".zip" else tarfile.open(path) as archive:
            yield archive
    except _DAMAGE as error:
        raise UserError(f"{path} cannot be unpacked: {error}; delete it and repeat the command") from error


def _members(archive: zipfile.ZipFile | tarfile.TarFile) -> Iterator[tuple[str, int, Any]]:
    if isinstance(archive, zipfile.ZipFile):
        yield from ((info.filename, info.file_size, info) for info in archive.infolist() if not info.is_dir())
    else:
        yield from ((member.name, member.size, member) for member in archive if member.isreg())


def _stream(archive: zipfile.ZipFile | tarfile.TarFile, member: Any) -> IO[bytes]:
    stream = archive.open(member) if isinstance(archive, zipfile.ZipFile) else archive.extractfile(member)
    if stream is None:
        raise tarfile.TarError(f"{member} is no file")
    return stream


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _is_there(path: Path, size_bytes: int) -> bool:
    return path.is_file() and path.stat().st_size == size_bytes
