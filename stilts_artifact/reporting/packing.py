"""Zip files: the same for the same content, and unpacked only if nothing in them can do harm.

The manifest has the form of sha256sum(1): ``sha256sum -c manifest-sha256.txt`` checks an unpacked
crate without this package.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import stat
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from stilts_artifact.errors import DataError, IntegrityError, MissingDataError, ResourceError
from stilts_artifact.files import LockedFile, orphaned_files, remove_file

MANIFEST = "manifest-sha256.txt"

MAX_FILES = 100_000
MAX_BYTES = 8 * 1024**3
"""Of all files together, unpacked: about eight times Table 2 at paper scale with three seeds."""

_LINE = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<path>\S[^\n]*)")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can hold
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """A file to pack.

    Args:
        name: its path in the archive.
        content: its bytes, or the file that has them.
        sha256: that these must have, where it is known already.
    """

    name: str
    content: bytes | Path
    sha256: str | None = None


def pack(path: Path, members: Iterable[Member]) -> None:
    """Write a zip file of the members and their manifest.

    The same members give the same bytes, as long as zlib compresses alike; the manifest is the same
    everywhere.

    Raises:
        IntegrityError: a file does not have the bytes that it should have.
        ResourceError: the disk is full or the folder cannot be written.
    """
    with _published(path) as file, zipfile.ZipFile(file, "w") as archive:
        sums = {
            member.name: _write(archive, member)
            for member in sorted(members, key=lambda member: member.name)
        }
        manifest = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
        _write(archive, Member(MANIFEST, manifest.encode()))


def unpack(path: Path, folder: Path) -> Mapping[str, str]:
    """Unpack a zip file into an empty folder and hold every file against the manifest.

    Returns:
        Path -> sha256 of every file but the manifest.

    Raises:
        MissingDataError: there is no such file.
        DataError: not a zip file, or one that is broken, encrypted or too large, or whose names are
            not plain.
        IntegrityError: a file is missing, altered, or not in the manifest.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sums = {
                info.filename: _extract(archive, info, folder, path)
                for info in _plain(archive, path)
            }
    except FileNotFoundError as error:
        raise MissingDataError("no such file", where=str(path), fix="name a crate") from error
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
    ) as error:
        raise DataError(
            "cannot be unpacked", where=str(path), got=str(error), expected="a zip file"
        ) from error
    sums.pop(MANIFEST, None)
    _compare(sums, _read_manifest(folder / MANIFEST, path), path)
    return sums


@contextmanager
def _published(path: Path) -> Iterator[IO[bytes]]:
    """A new file that takes its place at ``path`` when it is complete."""
    try:
        new = LockedFile(path.parent, f".{path.name}")
        try:
            # A descriptor of its own: closing the stream must not end the lock.
            with os.fdopen(os.dup(new.file), "wb") as file:
                yield file
            if not new.publish(path):
                raise FileNotFoundError(errno.ENOENT, "another process removed it")
        finally:
            new.remove()
        for orphan in orphaned_files(path.parent, f".{path.name}"):  # of runs that were killed
            remove_file(orphan)
    except OSError as error:
        raise ResourceError(
            "cannot write the file",
            where=str(path),
            got=error.strerror or str(error),
            fix="name a folder this user can write, with room for the crate",
        ) from error


def is_plain(name: str) -> bool:
    """Whether a path stays below the folder that it is joined to, on every system.

    Example:
        >>> [is_plain(name) for name in ("a/b.tsv", "/a", "a/../b", "a//b", "c:x", "a\\\\b", "")]
        [True, False, False, False, False, False, False]
    """
    parts = PurePosixPath(name).parts
    clean = name.isprintable() and "\\" not in name and ":" not in name
    return bool(parts) and clean and ".." not in parts and name == "/".join(parts)


def _write(archive: zipfile.ZipFile, member: Member) -> str:
    """Pack one file and return its hash."""
    info = zipfile.ZipInfo(member.name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3  # Unix, wherever it is packed
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    digest = hashlib.sha256()
    # force_zip64: the size is not known beforehand, and zipfile would give up beyond 2 GiB.
    with _open(member.content) as source, archive.open(info, "w", force_zip64=True) as target:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            target.write(chunk)
    sha256 = digest.hexdigest()
    if member.sha256 not in (None, sha256):
        raise IntegrityError(
            "a file changed while it was packed",
            where=str(member.content),
            got=f"sha256 {sha256}",
            expected=f"sha256 {member.sha256}",
        )
    return sha256


def _open(content: bytes | Path) -> IO[bytes]:
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")


def _plain(archive: zipfile.ZipFile, path: Path) -> Iterator[zipfile.ZipInfo]:
    """The members, each of which can be unpacked without harm."""
    infos = archive.infolist()
    total = sum(info.file_size for info in infos)
    if len(infos) > MAX_FILES or total > MAX_BYTES:
        raise DataError(
            "too large to unpack",
            where=str(path),
            got=f"{len(infos)} files, {total} bytes",
            expected=f"at most {MAX_FILES} files, {MAX_BYTES} bytes",
        )
    # Names that differ only in case would overwrite each other on some systems.
    seen: set[str] = set()
    for info in infos:
        fault = _fault(info) or ("a name given twice" if info.filename.casefold() in seen else None)
        if fault:
            raise DataError(
                f"{fault} in a zip file",
                where=f"{path}: {info.filename!r}",
                expected="plain files below the crate, each once",
            )
        seen.add(info.filename.casefold())
        yield info


def _fault(info: zipfile.ZipInfo) -> str | None:
    """What is wrong with a member; ``None`` for a plain file below the crate."""
    name = info.orig_filename  # ZipInfo.filename ends at a NUL
    if name != info.filename or not is_plain(name):
        return "a path that is not plain"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "a link or device"
    return "an encrypted file" if info.flag_bits & 1 else None


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, folder: Path, path: Path) -> str:
    target = folder / info.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    # The size in the directory is the packer's word: a bomb says less than it holds.
    with archive.open(info) as source, target.open("xb") as file:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > info.file_size:
                raise DataError(
                    "a file larger than it says",
                    where=f"{path}: {info.filename}",
                    expected=f"{info.file_size} bytes",
                )
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _read_manifest(manifest: Path, path: Path) -> dict[str, str]:
    if not manifest.is_file():
        raise DataError(
            "not a crate of this package", where=str(path), expected=f"a file {MANIFEST} in it"
        )
    sums: dict[str, str] = {}
    # [:-1]: an unfinished last line is dropped, and its file is then in no manifest.
    for number, line in enumerate(
        manifest.read_bytes().decode("utf-8", "replace").split("\n")[:-1], 1
    ):
        match = _LINE.fullmatch(line)
        if match is None or match["path"] in sums:
            raise DataError(
                "not a line of sha256sum",
                where=f"{path}: {MANIFEST}:{number}",
                got=repr(line[:100]),
            )
        sums[match["path"]] = match["sha256"]
    return sums


def _compare(sums: Mapping[str, str], manifest: Mapping[str, str], path: Path) -> None:
    for name in sorted(sums.keys() | manifest.keys()):
        if sums.get(name) != manifest.get(name):
            raise IntegrityError(
                "a crate whose files are not those of its manifest",
                where=f"{path}: {name}",
                got=f"sha256 {sums[name]}" if name in sums else "no such file",
                expected=f"sha256 {manifest[name]}" if name in manifest else "no such file",
                fix="get the crate again",
            )
