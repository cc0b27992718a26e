"""Download the files of a Zenodo record: resumable, checked, patient (https://developers.zenodo.org)."""

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from cryoarena.errors import UserError
from cryoarena.progress import Report

ZENODO_VARIABLE = "CRYOARENA_ZENODO"
_HOME = "https://zenodo.org"
# To connect, and between two bytes.
_TIMEOUT_S = (20, 120)
# Before each new attempt; more than these in a row without a new byte and the user is told.
_PAUSES_S: tuple[float, ...] = (1, 5, 20)
# A block that breaks off is lost.
_BLOCK_BYTES = 1 << 16
_BUSY = {429, 500, 502, 503, 504}
_NO_SUCH_RANGE = 416


@dataclass(frozen=True)
class RecordFile:
    """A file of a record: its name, size, MD5 (32 hexadecimal digits) and where it is."""

    name: str
    size_bytes: int
    md5: str
    url: str


@dataclass(frozen=True)
class Record:
    """A record: its number, DOI, version (often "") and files."""

    number: int
    doi: str
    version: str
    files: tuple[RecordFile, ...]


def read_record(number: int) -> Record:
    """Ask Zenodo, or the copy of it that `$CRYOARENA_ZENODO` names, what a record holds.

    Raises:
        UserError: when it cannot be reached, there is no such record, or the answer is no record.
    """
    url = f"{os.environ.get(ZENODO_VARIABLE, _HOME).rstrip('/')}/api/records/{number}"
    failures = 0
    while True:
        try:
            with _get(url) as response:
                return _record(number, response.json())
        except (KeyError, TypeError, ValueError) as error:
            # requests' own JSON error is both a RequestException and a ValueError.
            raise UserError(f"{url} did not answer with a Zenodo record; is ${ZENODO_VARIABLE} right?") from error
        except requests.RequestException as error:
            failures = _wait_or_give_up(url, failures, error)


def download(file: RecordFile, to: Path, report: Report) -> None:
    """Download a file, going on where an earlier attempt stopped; it appears under its name whole and checked.

    Args:
        file: of a record.
        to: path to write; what has come so far is beside it.
        report: told the bytes that are there.

    Raises:
        UserError: when the server or the disk fails, or what came has not the MD5 that Zenodo states.
    """
    if to.exists():
        return
    partial = partial_path(to)
    failures, furthest = 0, 0
    while _size(partial) < file.size_bytes:
        try:
            _continue(file, partial, report)
            if _size(partial) < file.size_bytes:
                raise requests.ConnectionError("the connection ended early")
        except requests.RequestException as error:
            if _size(partial) > furthest:
                furthest, failures = _size(partial), 0
            failures = _wait_or_give_up(file.url, failures, error)
        except OSError as error:
            raise UserError(f"cannot write {to}: {error.strerror or error}") from error
    with partial.open("rb") as stream:
        found = hashlib.file_digest(stream, "md5").hexdigest()
    if found != file.md5:
        partial.unlink()
        raise UserError(f"{file.url} came with MD5 {found}, but Zenodo states {file.md5}; repeat the command")
    os.replace(partial, to)


def partial_path(to: Path) -> Path:
    """Return where the part of a file is kept that has come so far."""
    return to.with_name(f".{to.name}.cryoarena-tmp")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _continue(file: RecordFile, partial: Path, report: Report) -> None:
    """Append what the server sends from the end of `partial` on; a server that sends the whole file starts anew."""
    start = _size(partial)
    with _get(file.url, start) as response:
        if response.status_code == _NO_SUCH_RANGE:
            partial.unlink()
            raise requests.ConnectionError("the server does not have the rest of the file")
        goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        partial.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("ab" if goes_on else "wb") as stream:
            for block in response.iter_content(_BLOCK_BYTES):
                stream.write(block)
                report(stream.tell(), file.size_bytes, file.name)
                if stream.tell() > file.size_bytes:
                    # The MD5 will tell; nothing is gained by filling the disk.
                    return


def _get(url: str, start: int = 0) -> requests.Response:
    # Bytes must be those of the file: no transfer compression.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    response = requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S)
    status = response.status_code
    if response.ok or status == _NO_SUCH_RANGE:
        return response
    response.close()
    if status in _BUSY:
        raise requests.ConnectionError(f"HTTP status {status}")
    raise UserError(f"{url} cannot be had (HTTP status {status}); the record may have moved or be closed")


def _wait_or_give_up(url: str, failures: int, error: requests.RequestException) -> int:
    """Wait before the next attempt; return how many have failed in a row."""
    if failures == len(_PAUSES_S):
        reason = "no connection" if isinstance(error.args[0] if error.args else "", Exception) else error
        raise UserError(
            f"{url} does not answer ({reason}); repeat the command later, it goes on where it stopped"
        ) from error
    time.sleep(_PAUSES_S[failures])
    return failures + 1


def _record(number: int, data: Any) -> Record:
    files = []
    for entry in data["files"]:
        name, (kind, _, md5) = entry["key"], entry["checksum"].partition(":")
        if kind != "md5" or len(md5) != 32 or Path(name).name != name or name.startswith("."):
            raise ValueError(f"{name}: {entry['checksum']}")
        files.append(RecordFile(name, int(entry["size"]), md5, entry["links"]["self"]))
    metadata = data.get("metadata", {})
    return Record(number, str(data.get("doi", "")), str(metadata.get("version") or ""), tuple(files))
