"""A real HTTP server on 127.0.0.1 that misbehaves as told, path by path."""

from __future__ import annotations

import gzip
import re
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Sends what the server's answer for the path says."""

    protocol_version = "HTTP/1.1"
    server: FaultServer

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers.get("Range")))
        self.server.passwords.append(self.headers.get("Authorization"))
        answer = self.server.answers.get(self.path, status(404))
        answer(self)

    def begin(self, code: int, **headers: object) -> None:
        """Status line and headers; ``Content_Length=3`` is ``Content-Length: 3``."""
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def begin_from(self, data: bytes, ranges: bool) -> bytes:
        """Headers for ``data``, or for the rest of it that a Range asks for; the bytes to send."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if ranges else None
        start = int(match[1]) if match else 0
        rest = data[start:]
        if match:
            self.begin(
                206,
                Content_Length=len(rest),
                Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}",
            )
        else:
            self.begin(200, Content_Length=len(rest))
        return rest

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


class FaultServer(ThreadingHTTPServer):
    """A server and what it was asked.

    Attributes:
        answers: path -> behaviour.
        requests: (path, Range header) of every request.
        passwords: the Authorization header of every request.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.passwords: list[str | None] = []
        self.stopped = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stopped.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what these tests are about; all else is the test's fault."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def ranges(self) -> list[str | None]:
        """The Range header of every request so far."""
        return [header for _, header in self.requests]


def whole(data: bytes, *, ranges: bool = True) -> Answer:
    """All of it; a server without ``ranges`` sends all of it always."""
    return lambda handler: handler.wfile.write(handler.begin_from(data, ranges)) and None


def cut(data: bytes, after: int, *, ranges: bool = True) -> Answer:
    """Announce all of it, close the connection after that many bytes."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(handler.begin_from(data, ranges)[:after])
        handler.close_connection = True

    return answer


def stall(data: bytes, after: int) -> Answer:
    """Send that many bytes, then nothing, and keep the connection open."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(handler.begin_from(data, ranges=True)[:after])
        handler.wfile.flush()
        handler.server.stopped.wait(60)
        handler.close_connection = True

    return answer


def drip(data: bytes, piece: int, pause: float) -> Answer:
    """Send small pieces with pauses between them."""

    def answer(handler: Handler) -> None:
        rest = handler.begin_from(data, ranges=True)
        for start in range(0, len(rest), piece):
            handler.wfile.write(rest[start : start + piece])
            handler.wfile.flush()
            if handler.server.stopped.wait(pause):
                break

    return answer


def status(code: int) -> Answer:
    return lambda handler: handler.begin(code, Content_Length=0)


def redirect(location: str) -> Answer:
    return lambda handler: handler.begin(302, Location=location, Content_Length=0)


def redirect_by(head: bytes, *, body: bytes = b"") -> Answer:
    """302 with these header lines as they are, and then ``body`` without an end."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 302 Found\r\n" + head + b"\r\n")
        while body and not handler.server.stopped.is_set():
            handler.wfile.write(body)
        handler.close_connection = True

    return answer


def flood(start: bytes, piece: bytes, end: bytes = b"") -> Answer:
    """Raw bytes: ``start``, then ``piece`` again and again, until the client hangs up.

    Args:
        end: if any, what follows after so many pieces as make 1 MiB.
    """

    def answer(handler: Handler) -> None:
        handler.wfile.write(start)
        sent = 0
        while not handler.server.stopped.is_set() and not (end and sent > 1 << 20):
            handler.wfile.write(piece)
            sent += len(piece)
        handler.wfile.write(end)
        handler.close_connection = True

    return answer


def raw(answered: bytes) -> Answer:
    """These bytes instead of an answer."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(answered)
        handler.close_connection = True

    return answer


def trickle(start: bytes, pause: float) -> Answer:
    """``start``, then a byte now and then."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(start)
        while not handler.server.stopped.wait(pause):
            handler.wfile.write(b"x")

    return answer


def page(text: bytes, *, chunked: bool = False, media: str = "text/html; charset=utf-8") -> Answer:
    """200 with a web page, as captive portals and dead hosts answer."""

    def answer(handler: Handler) -> None:
        if chunked:
            handler.begin(200, Content_Type=media, Transfer_Encoding="chunked")
            handler.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(text), text))
        else:
            handler.begin(200, Content_Type=media, Content_Length=len(text))
            handler.wfile.write(text)

    return answer


def claims(data: bytes, length: int) -> Answer:
    """Announce another length than is sent."""

    def answer(handler: Handler) -> None:
        handler.begin(200, Content_Length=length)
        handler.wfile.write(data)
        handler.close_connection = True

    return answer


def endless(data: bytes) -> Answer:
    """Chunk after chunk without a length."""

    def answer(handler: Handler) -> None:
        handler.begin(200, Transfer_Encoding="chunked")
        while not handler.server.stopped.is_set():
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    return answer


def gzipped(data: bytes) -> Answer:
    """Compress although identity was asked for."""

    def answer(handler: Handler) -> None:
        packed = gzip.compress(data)
        handler.begin(200, Content_Encoding="gzip", Content_Length=len(packed))
        handler.wfile.write(packed)

    return answer


def wrong_range(data: bytes, start: int) -> Answer:
    """206 with other bytes than those asked for."""

    def answer(handler: Handler) -> None:
        rest = data[start:]
        handler.begin(
            206,
            Content_Length=len(rest),
            Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}",
        )
        handler.wfile.write(rest)

    return answer


def then(*answers: Answer) -> Answer:
    """The first answer to the first request, and so on; the last one to all further."""
    left = list(answers)
    lock = threading.Lock()

    def answer(handler: Handler) -> None:
        with lock:
            chosen = left.pop(0) if len(left) > 1 else left[0]
        chosen(handler)

    return answer


def flipped(data: bytes, position: int) -> bytes:
    """``data`` with one bit of one byte turned."""
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something another process does."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the awaited condition did not come about")
        time.sleep(0.01)
