"""What may come out of an archive: names, sizes, ratios, each limit with its reason; the errors."""

from __future__ import annotations

import re
import unicodedata
from typing import Protocol

from stilts_artifact.errors import IntegrityError

MAX_MEMBERS = 100_000  # the largest upstream archives, UD 2.5 and CCGbank, have a few thousand
MAX_DIRECTORY = 1 << 24  # bytes; a zip's list of so many members with names of a hundred characters
MAX_EXTENDED = 1 << 20  # bytes of a tar's header about the next one; a name takes a few hundred
MAX_NAME = 1024  # characters; the longest path that common file systems take is 4096 bytes
MAX_MEMBER_BYTES = 1 << 30  # twice the largest member that is read, SNLI's training jsonl
MAX_STREAM_BYTES = (
    1 << 35
)  # of a whole archive, each byte of which may have to come out to reach a member
MAX_RATIO = 200  # bytes out for each byte in; text gives 3 to 15, a bomb 1000 and more
RATIO_FLOOR = (
    1 << 20
)  # bytes; so little does no harm whatever its ratio, and tiny repetitive files exceed any

CHUNK = 1 << 20  # bytes read at a time
AGAIN = "fetch the archive again; if its sha256 is the pinned one, report this"


class HarmfulArchiveError(IntegrityError):
    """An archive that is damaged, or not its publisher's."""


class Reader(Protocol):
    """Anything with ``read(size)``."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; none at the end."""
        ...


class Admission:
    """Decides on the name of each entry of one archive, and remembers those it admitted."""

    def __init__(self, where: str) -> None:
        self._where, self._count = where, 0
        self._folded: dict[str, str] = {}

    def admit(self, raw: str, folder: bool) -> str | None:
        """Return the name of a file, without a leading ``./``.

        ``None`` for what is no file (folder, resource fork).

        Raises:
            IntegrityError: an unsafe or repeated name, or too many of them.
        """
        self._count += 1
        if self._count > MAX_MEMBERS:
            raise unsafe(
                "too many members", self._where, f"over {MAX_MEMBERS}", f"at most {MAX_MEMBERS}"
            )
        name = raw.rstrip("/") if folder else raw
        # Packed with `tar -C folder .`, every name begins so.
        while name.startswith("./"):
            name = name[2:]
        if folder and name == ".":
            return None
        place = f"{self._where}!{raw[:MAX_NAME]}"
        _check_name(name, place)
        if folder or name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith("._"):
            return None
        key = unicodedata.normalize("NFC", name).casefold()
        if key in self._folded:
            what = (
                "two members of one name"
                if self._folded[key] == name
                else "names that differ in case only"
            )
            raise unsafe(
                what, place, f"{self._folded[key]!r} and {name!r}", "one member for each name"
            )
        self._folded[key] = name
        return name


def _check_name(name: str, place: str) -> None:
    if len(name) > MAX_NAME:
        got = f"{len(name)} characters"
        raise unsafe("member name is too long", place, got, f"at most {MAX_NAME} characters")
    if (
        not {"", ".", ".."}.isdisjoint(name.split("/"))
        or re.match(r"[A-Za-z]:", name)
        or "\\" in name
        or "\0" in name
    ):
        expected = "folder/file, without '..' or backslash"
        raise unsafe("member name is not a plain relative path", place, repr(name), expected)


class Allowance:
    """Bytes that may come out of something; more are a bomb's."""

    def __init__(self, limit: int, where: str) -> None:
        self._left, self._limit, self._where = limit, limit, where

    def take(self, count: int) -> None:
        """So many more come.

        Raises:
            IntegrityError: the limit is passed.
        """
        self._left -= count
        if self._left < 0:
            raise too_large(self._where, self._limit)


class Bounded:
    """A reader that fails once it has given more than ``limit`` bytes."""

    def __init__(self, raw: Reader, limit: int, where: str) -> None:
        self._raw, self._allowance = raw, Allowance(limit, where)

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes.

        Raises:
            IntegrityError: the limit is passed.
        """
        chunk = self._raw.read(size)
        self._allowance.take(len(chunk))
        return chunk


def stream_limit(compressed: int) -> int:
    """Bytes that a whole stream of ``compressed`` bytes may give."""
    return min(MAX_STREAM_BYTES, max(RATIO_FLOOR, MAX_RATIO * compressed))


def member_limit(compressed: int) -> int:
    """Bytes that one member of ``compressed`` bytes may give."""
    return min(MAX_MEMBER_BYTES, stream_limit(compressed))


def read_up_to(stream: Reader, limit: int, place: str) -> bytes:
    """Return all of a stream, which must end within ``limit`` bytes.

    Raises:
        IntegrityError: it does not.
    """
    bounded, chunks = Bounded(stream, limit, place), []
    while chunk := bounded.read(CHUNK):
        chunks.append(chunk)
    return b"".join(chunks)


def unsafe(what: str, place: str, got: str, expected: str) -> HarmfulArchiveError:
    """The error for an archive that is not the publisher's."""
    return HarmfulArchiveError(what, where=place, got=got, expected=expected, fix=AGAIN)


def too_large(place: str, limit: int) -> HarmfulArchiveError:
    """The error for more bytes than ``limit``."""
    expected = (
        f"at most {limit} bytes: {MAX_RATIO} times the compressed size, "
        f"and {MAX_MEMBER_BYTES} for one member"
    )
    return unsafe(
        "too many bytes come out of the archive", place, f"more than {limit} bytes", expected
    )
