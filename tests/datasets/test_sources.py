"""Where source files come from: the mirror, the cache, a download with a checksum."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pytest

from cryoarena.datasets.base import SourceFile
from cryoarena.datasets.sources import MIRROR_VARIABLE, locate
from cryoarena.errors import UserError

CONTENT = b"ATOM of some model\n"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve a folder with model.pdb on this machine, with an empty cache and no mirror."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "model.pdb").write_bytes(CONTENT)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache")
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}/model.pdb"
        http.shutdown()


def source(url: str, sha256: str | None) -> SourceFile:
    return SourceFile("model.pdb", url, sha256, "a model")


def test_a_mirror_comes_first(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / "mirror" / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "model.pdb.gz").write_bytes(b"other")
    monkeypatch.setenv(MIRROR_VARIABLE, str(tmp_path / "mirror"))
    assert locate(source(server, None)) == deep / "model.pdb.gz"


def test_a_download_is_checked(server: str) -> None:
    assert locate(source(server, hashlib.sha256(CONTENT).hexdigest())).read_bytes() == CONTENT


def test_a_wrong_checksum_is_refused_and_leaves_nothing(server: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not match the known hash"):
        locate(source(server, "0" * 64))
    assert not (tmp_path / "cache" / "model.pdb").exists()


def test_a_damaged_cache_is_fetched_again(server: str) -> None:
    path = locate(source(server, None))
    path.write_bytes(b"damaged")
    assert locate(source(server, None)).read_bytes() == CONTENT


def test_no_network_is_said_in_a_sentence(server: str) -> None:
    with pytest.raises(UserError, match="put a local copy there or give your own files"):
        locate(source("http://127.0.0.1:9/model.pdb", None))
