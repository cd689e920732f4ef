"""The line to a server: every byte that comes over it is counted and timed, and redirects obeyed
only where they may lead.

http.client reads status lines, ``100 Continue``, headers, chunk lines and trailers for as long as a
server sends them, and urllib3 leaves that to it. So the stream below both has a meter: whatever
reads from it, and for whatever, an answer has an end.
"""

from __future__ import annotations

import http.client
import io
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from stilts_artifact import __version__

if TYPE_CHECKING:
    import requests
    import urllib3

SLOWEST = 1024  # bytes a second; a server below it counts as stalled
MAX_HEAD = 1 << 16  # bytes of a status line, all headers and all that goes before; usual is 1 KiB
MAX_REDIRECTS = 10  # archives that move a file between hosts need two or three
_MAX_LOCATION = 1 << 13  # characters; signed addresses of object stores have about a thousand
_REDIRECTS = {301, 302, 303, 307, 308}
_SCHEMES = ("http", "https")
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # where a site names its own authorities


class FloodError(OSError):
    """A server sends more than its answer may take."""


class RefusedError(Exception):
    """An answer or an address that is not followed."""


class Meter:
    """Bounds one answer after another, in bytes and in time.

    Args:
        stall: seconds; what comes at less than :data:`SLOWEST` over such a span has stalled.
        clock: seconds from any start.
    """

    def __init__(self, stall: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._stall, self._clock = stall, clock
        self.expect(0)

    def expect(self, limit: int) -> None:
        """From here on, ``limit`` bytes may come."""
        self._left, self._since, self._received = limit, self._clock(), 0

    def count(self, received: int) -> None:
        """So many bytes came.

        Raises:
            FloodError: more than were expected.
            TimeoutError: they come too slowly.
        """
        self._left -= received
        if self._left < 0:
            raise FloodError("more bytes than its answer may take")
        self._received += received
        now = self._clock()
        if now - self._since > self._stall:
            if self._received < SLOWEST * self._stall:
                raise TimeoutError
            self._since, self._received = now, 0


class _MeteredStream(io.RawIOBase):
    """The bytes of a connection, counted as they are read."""

    def __init__(self, raw: io.RawIOBase, meter: Meter) -> None:
        self._raw, self._meter = raw, meter

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        received = self._raw.readinto(buffer)
        self._meter.count(received or 0)
        return received

    def close(self) -> None:
        self._raw.close()
        super().close()


class Line:
    """Asks for files by http and https, one at a time.

    Proxies and authorities come from the environment, as they are how a site reaches the network.
    Passwords do not: ``~/.netrc`` is not read, and those in an address stay with its host.

    Args:
        connect: seconds to wait for a connection.
        stall: seconds, see :class:`Meter`.
        authorizations: base URL -> header for its host, which no other one gets.
    """

    def __init__(
        self, connect: float, stall: float, authorizations: Mapping[str, str] | None = None
    ) -> None:
        self.meter = Meter(stall)
        self._authorizations = {
            _origin(urlsplit(url)): header for url, header in (authorizations or {}).items()
        }
        self._waits = (connect, stall)
        self._session = _open_session(self.meter)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    @contextmanager
    def ask(self, url: str, headers: Mapping[str, str]) -> Iterator[requests.Response]:
        """The answer to a GET, its body unread, where the redirects end.

        Raises:
            RefusedError: a redirect that is not followed.
            OSError, urllib3.exceptions.HTTPError: there is none, or too much of one.
        """
        from requests.utils import get_environ_proxies

        verify = next((os.environ[name] for name in _BUNDLES if os.environ.get(name)), True)
        for _ in range(MAX_REDIRECTS + 1):
            with self._session.get(
                url,
                headers={**headers, **self._authorization(url)},
                stream=True,
                timeout=self._waits,
                proxies=get_environ_proxies(url, no_proxy=None),
                verify=verify,
            ) as response:
                if response.status_code not in _REDIRECTS:
                    yield response
                    return
                # The body is left unread: the connection ends with it.
                url = redirected(url, response.raw.headers.getlist("Location"))
        raise RefusedError(f"more than {MAX_REDIRECTS} redirects")

    def _authorization(self, url: str) -> dict[str, str]:
        """Asked anew at each redirect: what the hub refers to is mostly another host."""
        if not self._authorizations:
            return {}
        header = self._authorizations.get(_origin(urlsplit(url)))
        return {"Authorization": header} if header else {}


def redirected(url: str, locations: list[str]) -> str:
    """Where a redirect leads from ``url``.

    Args:
        locations: its ``Location`` headers, as http.client decodes them.

    Raises:
        RefusedError: nowhere, or where no redirect may lead.

    Example:
        >>> redirected("https://user:word@a.org/x/y", ["../z"])
        'https://user:word@a.org/z'
        >>> redirected("https://user:word@a.org/x/y", ["//b.org/z"])
        'https://b.org/z'
    """
    if len(locations) != 1 or len(locations[0]) > _MAX_LOCATION:
        raise RefusedError("a redirect without one address")
    try:
        # Headers are bytes, which http.client takes for Latin-1.
        location = locations[0].encode("latin-1").decode("utf-8")
        before, after = urlsplit(url), urlsplit(urljoin(url, location))
        own, origin = _origin(before), _origin(after)
        brought = "@" in urlsplit(location).netloc
    except ValueError as error:
        raise RefusedError("a redirect to what is no address") from error
    if after.scheme not in _SCHEMES:
        raise RefusedError(f"a redirect to another scheme, {after.scheme[:20]!r}")
    if before.scheme == "https" != after.scheme:
        raise RefusedError("a redirect from https to http")
    if not after.hostname:
        raise RefusedError("a redirect to what is no address")
    if brought:
        raise RefusedError("a redirect that brings a password")
    # Only the host that an address named gets the password in it.
    return urlunsplit(after._replace(netloc=before.netloc)) if origin == own else after.geturl()


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or default


def _open_session(meter: Meter) -> requests.Session:
    import requests  # Not at import: the command line must start without it.
    import requests.adapters

    pools = _metered_pools(meter)

    class Adapter(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, **options)
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
            manager = super().proxy_manager_for(proxy, **options)
            manager.pool_classes_by_scheme = pools
            return manager

    class Session(requests.Session):
        def get_redirect_target(self, resp: Any) -> None:
            # Line.ask follows them. requests would read the whole body of each first, and even
            # where it is told to follow none.
            return None

    session = Session()
    session.trust_env = False
    for scheme in _SCHEMES:
        session.mount(f"{scheme}://", Adapter())
    session.headers["User-Agent"] = f"stilts-artifact/{__version__}"
    # Compressed on the way, the bytes would not be those the sha256 was taken of.
    session.headers["Accept-Encoding"] = "identity"
    return session


def _metered_pools(meter: Meter) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """urllib3's connections, which read every answer through the meter, a proxy's too."""
    import urllib3
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Answer(http.client.HTTPResponse):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            meter.expect(MAX_HEAD)
            stream = self.fp.detach()
            self.fp = io.BufferedReader(_MeteredStream(stream, meter))

    class Plain(HTTPConnection):
        response_class = Answer

    class Secure(HTTPSConnection):
        response_class = Answer

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
