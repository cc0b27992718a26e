"""Downloading from a server that imitates Zenodo and misbehaves."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cryoarena.datasets.zenodo import ZENODO_VARIABLE, Record, download, read_record
from cryoarena.errors import UserError
from cryoarena.progress import silent
from zenodo_server import Server, serving

CONTENT = np.random.default_rng(0).bytes(5_000_000)
BREAK = 3_000_000


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr("cryoarena.datasets.zenodo._PAUSES_S", (0.0, 0.0))
    with serving(Server({7: {"a.zip": CONTENT}})) as one:
        monkeypatch.setenv(ZENODO_VARIABLE, one.url)
        yield one


def get(record: Record, folder: Path) -> bytes:
    download(record.files[0], folder / "a.zip", silent)
    assert [path.name for path in folder.iterdir()] == ["a.zip"]
    return (folder / "a.zip").read_bytes()


def test_a_record_tells_names_sizes_and_checksums(server: Server) -> None:
    record = read_record(7)
    assert (record.number, record.doi, record.version) == (7, "10.5281/zenodo.7", "v2")
    assert (record.files[0].name, record.files[0].size_bytes) == ("a.zip", len(CONTENT))


def test_a_file_comes_whole_and_only_once(server: Server, tmp_path: Path) -> None:
    record = read_record(7)
    assert get(record, tmp_path) == CONTENT
    assert get(record, tmp_path) == CONTENT
    assert server.sent_bytes == len(CONTENT)


def test_a_broken_download_says_so_and_goes_on_later(server: Server, tmp_path: Path) -> None:
    record = read_record(7)
    server.breaks_after = BREAK
    with pytest.raises(UserError, match="repeat the command later, it goes on where it stopped"):
        download(record.files[0], tmp_path / "a.zip", silent)
    assert not (tmp_path / "a.zip").exists()
    server.breaks_after = None
    server.asked.clear()
    assert get(record, tmp_path) == CONTENT
    wanted = [wanted for _, wanted in server.asked]
    # The block in which the connection broke, of 64 KiB, is asked for again.
    assert wanted == [f"bytes={BREAK - BREAK % 65536}-"]


def test_it_goes_on_by_itself_as_long_as_bytes_come(server: Server, tmp_path: Path) -> None:
    record = read_record(7)
    server.breaks_after = 1_000_000

    def heal(done: float, total: float, note: str = "") -> None:
        server.breaks_after = int(done) + 1_000_000

    download(record.files[0], tmp_path / "a.zip", heal)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert len(server.asked) > 3


def test_a_server_without_ranges_starts_anew(server: Server, tmp_path: Path) -> None:
    record = read_record(7)
    server.breaks_after = BREAK
    with pytest.raises(UserError):
        download(record.files[0], tmp_path / "a.zip", silent)
    server.breaks_after, server.ignores_range = None, True
    assert get(record, tmp_path) == CONTENT


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.md5 = "0" * 32
    with pytest.raises(UserError, match=f"but Zenodo states {'0' * 32}"):
        download(read_record(7).files[0], tmp_path / "a.zip", silent)
    assert not list(tmp_path.iterdir())
    server.md5 = None
    assert get(read_record(7), tmp_path) == CONTENT


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(404, r"HTTP status 404\); the record may have moved"), (503, r"does not answer \(HTTP status 503\)")],
)
def test_errors_of_the_server_are_said(server: Server, tmp_path: Path, status: int, sentence: str) -> None:
    server.status = status
    with pytest.raises(UserError, match=sentence):
        download(read_record(7).files[0], tmp_path / "a.zip", silent)
    assert not list(tmp_path.iterdir())


def test_records_that_are_none(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="HTTP status 404"):
        read_record(8)
    monkeypatch.setattr(Server, "record", lambda *_: {"message": "hello"})
    with pytest.raises(UserError, match="did not answer with a Zenodo record"):
        read_record(7)
    monkeypatch.setenv(ZENODO_VARIABLE, "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"127.0.0.1:9/api/records/7 does not answer \(no connection\)"):
        read_record(7)
