"""The wire of the Hub double: requests in, answers out, over a real socket on 127.0.0.1."""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit


class Refused(Exception):
    """An answer other than success; `code` and `message` travel in the headers, as on the Hub."""

    def __init__(self, status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **(headers or {})}


class Hangup(Exception):
    """Raised by a hook: the connection closes with no answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent: the path still percent-encoded, header names in lower case, the body read."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def token(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ").strip()

    def json(self) -> dict[str, object]:
        loaded = json.loads(self.body or b"{}")
        if not isinstance(loaded, dict):
            raise Refused(400, "the body is not an object")
        return loaded


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back; `body` is not sent to HEAD, its length is."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(value: object, headers: Mapping[str, str] | None = None, status: int = 200) -> Answer:
    """The value as a JSON answer."""
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


def ranged(request: Request, data: bytes, headers: Mapping[str, str]) -> Answer:
    """The data as a file, or the part of it that the Range header asks for."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
    if not found or not any(found.groups()):
        return Answer(200, data, {**headers, "Accept-Ranges": "bytes"})
    first, last = found.groups()
    start = int(first) if first else max(len(data) - int(last), 0)
    stop = min(int(last) + 1, len(data)) if first and last else len(data)
    if start >= stop:
        raise Refused(416, "Range not satisfiable", headers={"Content-Range": f"bytes */{len(data)}"})
    return Answer(206, data[start:stop], {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"})


class Wire:
    """A server that listens on a free port until `close`; `faults` are what went wrong in `answer` itself."""

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        self.faults: list[BaseException] = []
        self._server = _Server(answer, self.faults)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """The server no longer listens and every connection is closed; raises the first fault."""
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()
        self._thread.join()
        if self.faults:
            raise self.faults[0]


class _RequestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave as two packets; with Nagle's algorithm the second would wait 40 ms for an acknowledgement.
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "")
        body = self._chunks() if chunked else self.rfile.read(length)
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, parts.path, parse_qs(parts.query), headers, body)
        try:
            answer = self.server.answer(request)
        except Refused as refused:
            answer = as_json({"error": str(refused)}, refused.headers, refused.status)
        except Hangup:
            self.close_connection = True
            return
        self._send(answer)

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, quote(value, safe=" !\"#$%&'()*+,-./:;<=>?@[]^_`{|}~"))
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_HEAD = do_POST = do_PUT = _serve  # noqa: N815 - the names that http.server looks up

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, answer: Callable[[Request], Answer], faults: list[BaseException]) -> None:
        self.answer = answer
        self.faults = faults
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _RequestHandler)

    def process_request_thread(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        self._open.add(request)
        super().process_request_thread(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        super().shutdown_request(request)
        self._open.discard(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A fault of the double is kept for `close`; a client that went away is not news."""
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.faults.append(error)

    def hang_up(self) -> None:
        """Every connection is closed, once its thread has seen that."""
        for request in list(self._open):
            try:
                request.shutdown(socket.SHUT_RDWR)
            except OSError:
                self._open.discard(request)
        deadline = time.monotonic() + 2
        while self._open and time.monotonic() < deadline:
            time.sleep(0.005)
