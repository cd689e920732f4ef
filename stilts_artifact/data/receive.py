"""One HTTP request for one pinned file, written to the end of what is already there.

A server is never believed: status, lengths and ranges only help to stop early and to say what
happened.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from stilts_artifact.data.progress import Progress
from stilts_artifact.data.transport import MAX_HEAD, FloodError, Line, RefusedError

if TYPE_CHECKING:
    import requests

_CHUNK = 1 << 18
_SAID = 120  # characters of a server's that a message shows
_NUMBER = "[0-9]{1,18}"  # no file has more bytes, and int() refuses what is much longer
_BUSY = {408, 425, 429, 500, 502, 503, 504}
_GONE = {404, 410}


class Sink(Protocol):
    """Where the bytes of a file go."""

    @property
    def size(self) -> int:
        """Bytes so far."""

    def write(self, chunk: bytes, /) -> None:
        """Append them."""

    def restart(self) -> None:
        """Drop them all."""


class Memory:
    """A small file, held in memory."""

    def __init__(self) -> None:
        self.data = bytearray()

    @property
    def size(self) -> int:
        """Bytes so far."""
        return len(self.data)

    def write(self, chunk: bytes, /) -> None:
        """Append them."""
        self.data += chunk

    def restart(self) -> None:
        """Drop them all."""
        self.data.clear()


class AttemptEnd(StrEnum):
    """What a failed attempt came to."""

    NO_ANSWER = "no answer"
    BROKEN = "broken off or refused"
    ABSENT = "no such file"
    WRONG = "wrong bytes"


class FailedAttempt(Exception):
    """An attempt failed; ``again`` says whether another at the same address can help."""

    def __init__(self, outcome: AttemptEnd, happened: str, *, again: bool) -> None:
        super().__init__(happened)
        self.outcome = outcome
        self.happened = happened
        self.again = again


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds, and how often.

    Args:
        connect: for a connection.
        stall: without a byte, or at less than 1 KiB a second.
        delays: before each further attempt at the same address; they start over when ``step`` new
            bytes came, so that a line that breaks now and then still delivers a large file.
    """

    connect: float = 10.0
    stall: float = 30.0
    delays: tuple[float, ...] = (1.0, 2.0, 4.0)
    step: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Receiver:
    """Requests one file of ``size`` bytes over one line."""

    line: Line
    size: int
    patience: Patience
    progress: Progress

    def stated_size(self, url: str) -> int:
        """Bytes of a file as its server states them; nothing of it is read.

        Raises:
            FailedAttempt: it does not.
        """
        with self._failing(lambda: 0), self.line.ask(url, {}) as response:
            code, text = response.status_code, response.headers.get("Content-Length", "")
            if code == http.client.OK and re.fullmatch(_NUMBER, text):
                return int(text)
            end = AttemptEnd.ABSENT if code in _GONE else AttemptEnd.BROKEN
            raise FailedAttempt(end, f"HTTP {code}, and no size of the file", again=False)

    def receive(self, url: str, incoming: Sink) -> bool:
        """Complete ``incoming`` to ``size`` bytes; ``True`` if they continue earlier ones.

        Raises:
            FailedAttempt: it is not complete. Bytes worth resuming from stay in ``incoming``.
            ResourceError: the disk is full or refuses.
        """
        before = incoming.size
        headers = {"Range": f"bytes={before}-"} if before else {}
        with self._failing(lambda: incoming.size), self.line.ask(url, headers) as response:
            self._check_status(response, incoming)
            # Chunk lines and trailers come on top. Chunks of a few bytes each, which would
            # double it, are no honest server's.
            self.line.meter.expect(2 * (self.size - incoming.size) + MAX_HEAD)
            self._copy_body(response, incoming)
            return response.status_code == http.client.PARTIAL_CONTENT

    @contextmanager
    def _failing(self, received: Callable[[], int]) -> Iterator[None]:
        """Make what a request raises a failed attempt, which says how far it had come."""
        import requests
        import urllib3

        unasked = (
            requests.exceptions.InvalidSchema,
            requests.exceptions.MissingSchema,
            requests.exceptions.InvalidURL,
        )
        try:
            yield
        except RefusedError as error:
            raise FailedAttempt(AttemptEnd.BROKEN, f"refused: {error}", again=False) from error
        except unasked as error:  # whose messages repeat the address, with its password
            happened = "refused: not an address of http or https, or not a proxy's"
            raise FailedAttempt(AttemptEnd.BROKEN, happened, again=False) from error
        except (OSError, urllib3.exceptions.HTTPError) as error:  # requests' errors are OSErrors
            raise self._broken(error, received()) from error

    def restart(self, incoming: Sink) -> None:
        """Drop the bytes received so far."""
        self.progress.advance(-incoming.size)
        incoming.restart()

    def _check_status(self, response: requests.Response, incoming: Sink) -> None:
        code = response.status_code
        # Never the server's own words: nobody bounds or cleans them.
        answer = f"HTTP {code} {http.client.responses.get(code, '')}".rstrip()
        if code == http.client.PARTIAL_CONTENT and incoming.size:
            self._check_range(response, incoming)
        elif code == http.client.OK:
            self._check_length(response)
            self.restart(incoming)  # The server ignores ranges.
        elif code in (http.client.PARTIAL_CONTENT, http.client.REQUESTED_RANGE_NOT_SATISFIABLE):
            again = incoming.size > 0
            self.restart(incoming)
            raise FailedAttempt(
                AttemptEnd.BROKEN, f"HTTP {code} to a request it does not answer", again=again
            )
        elif code in _GONE:
            raise FailedAttempt(AttemptEnd.ABSENT, answer, again=False)
        else:
            raise FailedAttempt(AttemptEnd.BROKEN, answer, again=code in _BUSY)

    def _check_range(self, response: requests.Response, incoming: Sink) -> None:
        text = response.headers.get("Content-Range", "")
        match = re.fullmatch(rf"bytes ({_NUMBER})-{_NUMBER}/({_NUMBER}|\*)", text.strip())
        if match and match[2] not in ("*", str(self.size)):
            happened = f"its file has {int(match[2]):,} bytes instead of {self.size:,}"
            raise FailedAttempt(AttemptEnd.WRONG, happened, again=False)
        if not match or int(match[1]) != incoming.size:
            happened = (
                f"answered Content-Range {_cut(text)!r} to a request from byte {incoming.size:,} on"
            )
            self.restart(incoming)
            raise FailedAttempt(AttemptEnd.WRONG, happened, again=True)

    def _check_length(self, response: requests.Response) -> None:
        """Refuse a body whose announced length is not the pinned one, before it is downloaded."""
        text = response.headers.get("Content-Length", "")
        if re.fullmatch(_NUMBER, text) and int(text) != self.size:
            first = response.raw.read1(64, decode_content=False)
            happened = f"{_kind(response, first)} of {int(text):,} bytes instead of {self.size:,}"
            raise FailedAttempt(AttemptEnd.WRONG, happened, again=False)

    def _copy_body(self, response: requests.Response, incoming: Sink) -> None:
        first = b""
        # Not iter_content: it decodes, and it waits for a full chunk, so that a server which sends
        # a byte now and then would never be seen to stall.
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            first = first or chunk[:64]
            if incoming.size + len(chunk) > self.size:
                self.restart(incoming)
                happened = f"{_kind(response, first)} of more than {self.size:,} bytes"
                raise FailedAttempt(AttemptEnd.WRONG, happened, again=False)
            incoming.write(chunk)
            self.progress.advance(len(chunk))
        if incoming.size < self.size:
            self._end_too_soon(response, incoming, first)

    def _end_too_soon(self, response: requests.Response, incoming: Sink, first: bytes) -> None:
        """A body ended early: cut off, or complete and another file (if chunked, it says so)."""
        whole = response.status_code == http.client.OK and "Transfer-Encoding" in response.headers
        happened = f"{_kind(response, first)} of {incoming.size:,} bytes instead of {self.size:,}"
        if whole:
            self.restart(incoming)
        raise FailedAttempt(AttemptEnd.WRONG, happened, again=not whole)

    def _broken(self, error: Exception, received: int) -> FailedAttempt:
        import requests
        import urllib3

        cause: BaseException = error
        # requests wraps urllib3's error, and that the one which says what happened.
        while cause.__cause__ or cause.__context__:
            cause = cause.__cause__ or cause.__context__ or cause
        so_far = f"after {received:,} of {self.size:,} bytes"
        if isinstance(cause, http.client.IncompleteRead):
            return FailedAttempt(AttemptEnd.WRONG, f"cut short {so_far}", again=True)
        # Before the others: a ConnectTimeout is a Timeout and a ConnectionError, too.
        if isinstance(error, requests.ConnectTimeout):
            return FailedAttempt(
                AttemptEnd.NO_ANSWER,
                f"no connection within {self.patience.connect:g} s",
                again=True,
            )
        if isinstance(error, (requests.Timeout, TimeoutError, urllib3.exceptions.TimeoutError)):
            return FailedAttempt(
                AttemptEnd.BROKEN, f"stalled for {self.patience.stall:g} s {so_far}", again=True
            )
        if isinstance(cause, FloodError):
            return FailedAttempt(AttemptEnd.BROKEN, f"refused: {cause}", again=False)
        # It answered, but what no library can read.
        if not isinstance(cause, OSError):
            happened = f"no answer in HTTP {so_far}: {_cut(repr(cause))}"
            return FailedAttempt(AttemptEnd.BROKEN, happened, again=False)
        if isinstance(error, requests.ConnectionError):
            return FailedAttempt(AttemptEnd.NO_ANSWER, f"no answer: {_cut(cause)}", again=True)
        return FailedAttempt(AttemptEnd.BROKEN, f"broken off {so_far}: {_cut(cause)}", again=True)


def _kind(response: requests.Response, first: bytes) -> str:
    """What a wrong body is, for the message."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        return f"a body encoded as {_cut(encoding)}"
    if response.headers.get("Content-Type", "").startswith(
        "text/html"
    ) or first.lstrip().startswith(b"<"):
        return "an HTML page"
    return "a file"


def _cut(said: object) -> str:
    """As much of what a server or a library says as fits a message."""
    text = str(said)
    return text if len(text) <= _SAID else f"{text[:_SAID]}..."
