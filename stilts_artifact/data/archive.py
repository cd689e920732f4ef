"""Read named members of zip, tar, tar.gz and tar.bz2 archives. Nothing is ever unpacked to disk.

An archive is told by its first bytes, not by its name. Every entry is checked
(:mod:`stilts_artifact.data.admission`), also those nobody asked for: an archive with a path that
leads out of its folder, a link or a bomb is not the publisher's. Sizes in headers are not believed;
reading stops at the limit.
"""

from __future__ import annotations

import bz2
import difflib
import errno
import gzip
import io
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Self, cast

from stilts_artifact.data.admission import (
    AGAIN,
    CHUNK,
    MAX_DIRECTORY,
    MAX_EXTENDED,
    MAX_MEMBER_BYTES,
    Admission,
    Allowance,
    Bounded,
    HarmfulArchiveError,
    Reader,
    member_limit,
    read_up_to,
    stream_limit,
    too_large,
    unsafe,
)
from stilts_artifact.errors import DataError, MissingDataError, ResourceError
from stilts_artifact.files import open_regular

_DAMAGED = "the archive is damaged, truncated or none at all"
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")  # the second begins an empty zip
_LOCAL_HEADER = 30  # bytes before the name at least, APPNOTE.TXT 4.3.7
_GZIP_MAGIC = b"\x1f\x8b"
_BZIP2_MAGIC = b"BZh"

_ABOUT_THE_NEXT = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}

# A member's name and what reads it, which has to be called before the next member is taken (tar is
# one stream).
_Member = tuple[str, Callable[[], bytes]]


def list_members(archive: Path) -> list[str]:
    """Return the names of all files in an archive, sorted.

    ``__MACOSX/`` and ``._*`` (resource forks of a Macintosh) are no files.

    Raises:
        IntegrityError: a damaged or unsafe archive (see the module).
        MissingDataError: no such archive.
    """
    with _opened(archive) as file, _damage_reported(str(archive)):
        return sorted(name for name, _ in _members(file, str(archive), _size(file)))


def read_members(archive: Path, names: Collection[str]) -> dict[str, bytes]:
    """Return the bytes of the named members, by name, in one pass over the archive.

    Args:
        names: ``folder/file``, or ``outer.tar.gz!inner`` for a member of an archive in the archive.
            ``*`` stands for any characters but ``/``, and the name then for every member that
            matches; the result has their own names.

    Raises:
        DataError: a name that no member has; the error proposes the nearest.
        IntegrityError: a damaged or unsafe archive (see the module).
        MissingDataError: no such archive.
    """
    with _opened(archive) as file:
        return _read(file, str(archive), _size(file), names)


def read_plain(path: Path) -> bytes:
    """Return the bytes of a file, decompressed if it begins like gzip, within the limits.

    Raises:
        IntegrityError: damaged gzip, or more bytes than a limit.
        MissingDataError: no such file.
    """
    with _opened(path) as file, _damage_reported(str(path)):
        if _magic(file).startswith(_GZIP_MAGIC):
            return read_up_to(gzip.GzipFile(fileobj=file), member_limit(_size(file)), str(path))
        return read_up_to(file, MAX_MEMBER_BYTES, str(path))


def member_pattern(name: str) -> re.Pattern[str]:
    """The names that ``name`` stands for: itself, or with ``*`` all that differ from it only there.

    Example:
        >>> pattern = member_pattern("UD_*/en_*-ud-dev.conllu")
        >>> bool(pattern.fullmatch("UD_English-EWT/en_ewt-ud-dev.conllu"))
        True
        >>> bool(member_pattern("*.tsv").fullmatch("folder/a.tsv"))
        False
    """
    return re.compile("[^/]*".join(map(re.escape, name.split("*"))))


def _read(file: IO[bytes], where: str, packed: int, names: Collection[str]) -> dict[str, bytes]:
    """Read ``names`` from an open archive that takes ``packed`` bytes of the outermost file."""
    wanted: dict[
        str, set[str]
    ] = {}  # name in this archive -> names inside it, or "" for the member itself
    for name in names:
        outer, _, inner = name.partition("!")
        wanted.setdefault(outer, set()).add(inner)
    patterns = {outer: member_pattern(outer) for outer in wanted}
    found: dict[str, bytes] = {}
    present: list[str] = []
    matched: set[str] = set()
    with _damage_reported(where):
        for member, read in _members(file, where, packed):
            present.append(member)
            matching = [outer for outer, pattern in patterns.items() if pattern.fullmatch(member)]
            if not matching:
                continue
            matched.update(matching)
            data = read()
            inside = {inner for outer in matching for inner in wanted[outer]}
            if "" in inside:
                found[member] = data
            if inner_names := inside - {""}:
                # Never more than the outermost file: nesting must not earn a bomb its ratio anew.
                nested = _read(
                    io.BytesIO(data), f"{where}!{member}", min(packed, len(data)), inner_names
                )
                found.update((f"{member}!{name}", content) for name, content in nested.items())
    for outer in sorted(wanted.keys() - matched):
        raise _absent(outer, present, where)
    return dict(sorted(found.items()))


def _absent(name: str, present: list[str], where: str) -> DataError:
    nearest = difflib.get_close_matches(name, present, n=3, cutoff=0.4)
    got = f"{len(present)} members" + (f"; nearest: {', '.join(nearest)}" if nearest else "")
    return DataError(
        f"the archive has no member '{name}'", where=where, got=got, expected=f"'{name}'", fix=AGAIN
    )


def _members(file: IO[bytes], where: str, packed: int) -> Iterator[_Member]:
    magic = _magic(file)
    if magic.startswith(_ZIP_MAGIC):
        return _zip_members(file, where, packed)
    if magic.startswith(_GZIP_MAGIC):
        return _tar_members(gzip.GzipFile(fileobj=file), where, packed)
    if magic.startswith(_BZIP2_MAGIC):
        return _tar_members(bz2.BZ2File(file), where, packed)
    # Tar has no magic in its first bytes; what is none fails at its first header.
    return _tar_members(file, where, packed)


class Zip:
    """An open zip archive, all of whose entries are admitted; no byte of them is read yet.

    Attributes:
        entries: name of each file -> its entry.

    Raises:
        IntegrityError: an unsafe archive (see the module).
    """

    def __init__(self, archive: zipfile.ZipFile, where: str, packed: int) -> None:
        self._archive, self._where = archive, where
        self._allowance = Allowance(stream_limit(packed), where)
        entries, admission = archive.infolist(), Admission(where)
        _check_separate(entries, where, packed)
        self.entries: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            raw = _zip_name(entry, where)
            folder = raw.endswith("/")  # not is_dir, which no name at all brings down
            name = admission.admit(raw, folder)
            if folder and entry.file_size:
                raise unsafe("a folder that has bytes", f"{where}!{raw}", "a folder", "files")
            if name is not None:
                self.entries[name] = entry
        for name, entry in self.entries.items():
            _check_zip_entry(entry, f"{where}!{name}")

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of one member, never more than it states and than its limits.

        Raises:
            IntegrityError: it is damaged, a bomb, or of another size than stated.
        """
        entry, place, given = self.entries[name], f"{self._where}!{name}", 0
        with _damage_reported(place), self._archive.open(entry) as stream:
            bounded = Bounded(stream, member_limit(entry.compress_size), place)
            while chunk := bounded.read(CHUNK):
                self._allowance.take(len(chunk))
                given += len(chunk)
                yield chunk
        if given != entry.file_size:
            raise unsafe(
                "the member has another size than stated",
                place,
                f"{given} bytes",
                f"{entry.file_size} bytes",
            )

    def read(self, name: str) -> bytes:
        """All bytes of one member; see :meth:`chunks`."""
        return b"".join(self.chunks(name))


@contextmanager
def open_zip(path: Path) -> Iterator[Zip]:
    """Open a zip archive.

    Raises:
        IntegrityError: a damaged or unsafe archive (see the module).
        MissingDataError: no such file.
    """
    with _opened(path) as file, ExitStack() as stack:
        with _damage_reported(str(path)):
            archive = stack.enter_context(_zip_file(file))
            opened = Zip(archive, str(path), _size(file))
        yield opened


class _Frugal:
    """A file that refuses to be read in one piece beyond what a list of members may take.

    zipfile reads that list whole, as long as the archive says it is, and makes objects of it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > MAX_DIRECTORY:
            raise zipfile.BadZipFile(f"a list of members that takes {size} bytes")
        return self._file.read(size)


def _zip_file(file: IO[bytes]) -> zipfile.ZipFile:
    return zipfile.ZipFile(cast(IO[bytes], _Frugal(file)))


def _zip_members(file: IO[bytes], where: str, packed: int) -> Iterator[_Member]:
    with _zip_file(file) as archive:
        opened = Zip(archive, where, packed)
        for name in opened.entries:
            yield name, partial(opened.read, name)


def _check_separate(entries: Sequence[zipfile.ZipInfo], where: str, packed: int) -> None:
    """Entries that share their bytes make a bomb in which no single entry has a strange ratio."""
    taken, end = sum(entry.compress_size for entry in entries), 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end or taken > packed:
            got = f"{taken} compressed bytes in a file of {packed}"
            raise unsafe("zip entries overlap", where, got, "separate entries")
        end = entry.header_offset + _LOCAL_HEADER + entry.compress_size


def _zip_name(entry: zipfile.ZipInfo, where: str) -> str:
    """The name as UTF-8.

    zipfile takes names without the UTF-8 flag for cp437, in which any bytes are a name.
    """
    # orig_filename: filename ends at the first NUL, and the check would not see it.
    if entry.flag_bits & 0x800:
        return entry.orig_filename
    raw = entry.orig_filename.encode("cp437")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise unsafe(
            "member name is not UTF-8", f"{where}!{raw!r}", repr(raw), "a name in UTF-8"
        ) from None


def _check_zip_entry(entry: zipfile.ZipInfo, place: str) -> None:
    # The upper half is the Unix mode; 0 where the zip was packed on a system without one.
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        what = "a symbolic link" if kind == stat.S_IFLNK else f"a special file (mode {kind:o})"
        raise unsafe(
            "the archive holds something that is no file", place, what, "files and folders"
        )
    # Bit 0 is encryption, bit 6 strong encryption.
    if entry.flag_bits & 0x41:
        raise unsafe("the member is encrypted", place, "an encrypted member", "open data")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise unsafe(
            "unusual zip compression",
            place,
            f"method {entry.compress_type}",
            "stored (0) or deflated (8)",
        )


class _StrictHeader(tarfile.TarInfo):
    """tarfile takes a damaged or missing header for the archive's end; only a block of zeros is.

    And it holds what a header says of the next one, such as a long name, in memory, whatever its
    size.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if bytes(buf) == bytes(tarfile.BLOCKSIZE):
                raise
            raise tarfile.ReadError(f"damaged or missing header ({error})") from error
        if header.type in _ABOUT_THE_NEXT and header.size > MAX_EXTENDED:
            raise tarfile.ReadError(f"an extended header of {header.size} bytes")
        return header


def _tar_members(raw: Reader, where: str, packed: int) -> Iterator[_Member]:
    stream, admission = Bounded(raw, stream_limit(packed), where), Admission(where)
    with tarfile.open(
        fileobj=cast(IO[bytes], stream),  # the "r|" mode calls nothing but read
        mode="r|",
        bufsize=CHUNK,
        tarinfo=_StrictHeader,
        encoding="utf-8",
        errors="strict",
    ) as archive:
        for entry in archive:
            name = admission.admit(entry.name, entry.isdir())
            if name is not None:
                _check_tar_entry(entry, f"{where}!{name}")
                yield name, partial(_read_tar_entry, archive, entry, f"{where}!{name}")
    while stream.read(CHUNK):  # the checksum of gzip and bzip2 comes last
        pass


def _check_tar_entry(entry: tarfile.TarInfo, place: str) -> None:
    if not entry.isreg() or entry.issparse():
        kinds = {
            tarfile.SYMTYPE: f"a symbolic link to {entry.linkname!r}",
            tarfile.LNKTYPE: f"a hard link to {entry.linkname!r}",
            tarfile.FIFOTYPE: "a FIFO",
            tarfile.CHRTYPE: "a device",
            tarfile.BLKTYPE: "a device",
        }
        got = kinds.get(entry.type, f"an entry of type {entry.type!r}")
        raise unsafe("the archive holds something that is no file", place, got, "files and folders")
    if entry.size > MAX_MEMBER_BYTES:
        raise too_large(place, MAX_MEMBER_BYTES)


def _read_tar_entry(archive: tarfile.TarFile, entry: tarfile.TarInfo, place: str) -> bytes:
    stream = archive.extractfile(entry)
    if stream is None:
        raise unsafe("the member cannot be read", place, "no content", "a file")
    return read_up_to(stream, MAX_MEMBER_BYTES, place)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        file = open_regular(path)
    except FileNotFoundError as error:
        raise MissingDataError(
            f"no file '{path.name}'", where=str(path), expected="a file"
        ) from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # open_regular's own
            raise DataError(
                "not a regular file", where=str(path), expected="a file, not a pipe or device"
            ) from error
        raise ResourceError("the file cannot be opened", where=str(path), got=str(error)) from error
    with file:
        yield file


@contextmanager
def _damage_reported(where: str) -> Iterator[None]:
    """Turn what the standard library raises on bytes that are no archive into an IntegrityError."""
    try:
        yield
    except OSError as error:
        # gzip and bz2 raise OSError without errno for bad data; an absurd offset gives EINVAL; the
        # rest is the disk's
        if error.errno not in (None, errno.EINVAL):
            raise ResourceError("the file cannot be read", where=where, got=str(error)) from error
        raise HarmfulArchiveError(_DAMAGED, where=where, got=str(error), fix=AGAIN) from error
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise HarmfulArchiveError(_DAMAGED, where=where, got=str(error), fix=AGAIN) from error
    # What the two modules do not expect: absurd numbers, chained headers, fields that end too soon.
    except (ValueError, ArithmeticError, RuntimeError, LookupError, struct.error) as error:
        raise HarmfulArchiveError(
            _DAMAGED, where=where, got=repr(error)[:200], fix=AGAIN
        ) from error


def _magic(file: IO[bytes]) -> bytes:
    start = file.read(4)
    file.seek(0)
    return start


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size
