"""A server on this machine that answers as Zenodo does, and misbehaves as told."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Server:
    """What is served, how it misbehaves, and what was asked.

    Attributes:
        records: number -> name -> content.
        breaks_after: bytes of a file after which connections close; None never.
        ignores_range: always send the whole file.
        md5: stated instead of the true one.
        status: answered to everything but records; 200 is to behave.
        asked: (path, Range header) of every request.
        sent_bytes: of files.
    """

    records: dict[int, dict[str, bytes]]
    breaks_after: int | None = None
    ignores_range: bool = False
    md5: str | None = None
    status: int = 200
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    sent_bytes: int = 0
    url: str = ""

    def record(self, number: int) -> dict[str, object]:
        files = [
            {
                "key": name,
                "size": len(content),
                "checksum": f"md5:{self.md5 or hashlib.md5(content).hexdigest()}",
                "links": {"self": f"{self.url}/api/records/{number}/files/{name}/content"},
            }
            for name, content in self.records[number].items()
        ]
        return {"id": number, "doi": f"10.5281/zenodo.{number}", "metadata": {"version": "v2"}, "files": files}


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Serve on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            server.asked.append((self.path, wanted))
            match = re.fullmatch(r"/api/records/(\d+)(?:/files/(.+)/content)?", self.path)
            number = int(match[1]) if match else -1
            if number not in server.records or match is None:
                self.answer(404, b"{}")
            elif match[2] is None:
                self.answer(200, json.dumps(server.record(number)).encode())
            elif server.status != 200:
                self.answer(server.status, b"busy")
            else:
                self.send(server.records[number][match[2]], wanted)

        def answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def send(self, content: bytes, wanted: str | None) -> None:
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and not server.ignores_range else 0
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            stop = len(content) if server.breaks_after is None else min(len(content), server.breaks_after)
            self.wfile.write(content[start:stop])
            server.sent_bytes += max(0, stop - start)
            self.close_connection = True

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=web.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{web.server_port}"
    try:
        yield server
    finally:
        web.shutdown()
        web.server_close()
