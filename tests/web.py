"""A web server on this machine that sends files by ranges, counts, waits, and lies when it is to.

It is also a program: `python -m tests.web FOLDER PORT LATENCY` serves the files of a folder, and
waits so long before each answer, in seconds; it says when it is there, and ends with its input.
"""

from __future__ import annotations

import contextlib
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from tests.images.sparse import Sparse

_AT_ONCE = 1 << 20


@dataclass
class Request:
    """What somebody asked for."""

    method: str
    path: str  # with the query
    headers: dict[str, str]

    @property
    def range(self) -> tuple[int, int] | None:
        """From where to where, half-open."""
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        return (int(found[1]), int(found[2]) + 1) if found else None


@dataclass
class Answer:
    """What is sent: of some bytes no more than `cut`, and the rest never."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    pause: float = 0


Twist = Callable[[Request, Answer], Answer | None]


class Content(Protocol):
    """Bytes that are served."""

    @property
    def length(self) -> int:
        """How many."""

    def read(self, offset: int, length: int, /) -> bytes:
        """Return some of them."""


class OnDisk:
    """Those of a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.length = path.stat().st_size

    def read(self, offset: int, length: int, /) -> bytes:
        """Return some of them."""
        with self._path.open("rb") as file:
            file.seek(offset)
            return file.read(length)


class Web:
    """The server, with its files by path.

    Attributes:
        url: Where it is.
        requests: Everything it was asked.
        latency: Seconds before each answer.
        twist: Changes an answer, or returns another one.
        has_tags: Whether it tells files by ETag and date.
    """

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.latency = 0.0
        self.twist: Twist | None = None
        self.has_tags = True
        self._files: dict[str, tuple[Content, str, str]] = {}
        self._changes = 0
        outer = self

        class Handler(_Handler):
            web = outer

        self._server = _Server(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def put(self, path: str, data: bytes | Content) -> str:
        """Serve a file at a path from now on, and return its URL."""
        self._changes += 1
        tag = f'"{sha256(f"{path} {self._changes}".encode()).hexdigest()[:16]}"'
        date = formatdate(1_700_000_000 + self._changes, usegmt=True)
        content = Sparse(len(data), {0: data}) if isinstance(data, bytes) else data
        self._files[path] = content, tag, date
        return f"{self.url}/{path}"

    def remove(self, path: str) -> None:
        """Serve a file no more."""
        del self._files[path]

    def ranges(self) -> list[tuple[int, int] | None]:
        """Return which ranges were asked for since this was asked last."""
        asked, self.requests = self.requests, []
        return [request.range for request in asked]

    def answer(self, request: Request) -> Answer:
        """Return the answer to a request."""
        time.sleep(self.latency)
        answer = self._honest(request)
        return (self.twist and self.twist(request, answer)) or answer

    def _honest(self, request: Request) -> Answer:
        found = self._files.get(unquote(urlsplit(request.path).path[1:]))
        if found is None:
            return Answer(404, {}, b"no such file")
        file, tag, date = found
        headers = {"ETag": tag, "Last-Modified": date} if self.has_tags else {}
        headers["Accept-Ranges"] = "bytes"
        if request.headers.get("if-match", tag) != tag:
            return Answer(412, headers)
        if request.range is None:
            return Answer(200, headers, file.read(0, file.length))
        start, end = request.range
        if start >= file.length:
            return Answer(416, {**headers, "Content-Range": f"bytes */{file.length}"})
        end = min(end, file.length)
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.length}"
        return Answer(206, headers, file.read(start, end - start))

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing of those who hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: Web
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers)
        self.web.requests.append(request)
        answer = self.web.answer(request)
        with contextlib.suppress(ConnectionError):
            self._send(answer)

    do_HEAD = do_GET  # noqa: N815 - the names are those of the base class

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        time.sleep(answer.pause)
        self.wfile.write(b"" if self.command == "HEAD" else answer.body[: answer.cut])
        self.close_connection = answer.cut is not None or self.close_connection

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(port: int = 0) -> Iterator[Web]:
    """Run a server for as long as it is needed, on any port that is free unless one is named."""
    web = Web(port)
    try:
        yield web
    finally:
        web.close()


def main(folder: str, port: str, latency: str) -> None:
    """Serve the files of a folder until the input ends."""
    with serving(int(port)) as web:
        web.latency = float(latency)
        for path in sorted(Path(folder).iterdir()):
            if path.is_file():
                web.put(path.name, OnDisk(path))
        print(web.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
