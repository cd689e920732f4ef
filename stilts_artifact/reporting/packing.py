"""Crates: zip files that are the same for the same content, and unpacked only if nothing in them
can do harm.

The manifest has the form of sha256sum(1): ``sha256sum -c manifest-sha256.txt`` checks an unpacked
crate without this package. It is read first: what it does not list is not unpacked, and what comes
out is bounded by what a crate of that size can hold.
"""

from __future__ import annotations

import hashlib
import io
import stat
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stilts_artifact.checking.sums import parse_sums
from stilts_artifact.data.admission import HarmfulArchiveError
from stilts_artifact.data.archive import Zip, open_zip
from stilts_artifact.errors import DataError, IntegrityError
from stilts_artifact.files import disk_errors, open_regular, publish_file

MANIFEST = "manifest-sha256.txt"

MAX_BYTES = 8 * 1024**3
"""Of all files together, unpacked: about eight times Table 2 at paper scale with three seeds."""

MAX_RATIO = 40
"""Bytes out for each byte of the crate: Table 2 and 3 at mini scale give 5 and 8, their most
repetitive file 20."""

MAX_MANIFEST = 1 << 24  # bytes, of some 100,000 lines
_ALWAYS = 1 << 20  # bytes that may come out whatever the ratio: a small crate harms nobody
_MAX_PATH, _MAX_PART = 1024, 255  # bytes that a file system takes, below any folder
_MAX_DEPTH = 32  # folders in each other; results have five, and Python's calls end at a thousand
_AGAIN = "get the crate again"
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
    """Write a zip file of the members, the folders that they lie in, and their manifest.

    The same members give the same bytes, as long as zlib compresses alike; the manifest is the same
    everywhere.

    Raises:
        DataError: a file cannot be read.
        IntegrityError: a file does not have the bytes that it should have.
        ResourceError: the disk is full or the folder cannot be written.
    """
    with publish_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        ordered = sorted(members, key=lambda member: member.name)
        # What the metadata call a Dataset has to have an entry of its own.
        for folder in _folders(member.name for member in ordered):
            info = _entry(f"{folder}/", stat.S_IFDIR | 0o755)
            info.external_attr |= 0x10  # a folder to MS-DOS, as zip(1) writes it
            archive.writestr(info, b"")
        sums = {member.name: _write(archive, member) for member in ordered}
        manifest = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
        _write(archive, Member(MANIFEST, manifest.encode()))


def unpack(path: Path, folder: Path) -> Mapping[str, str]:
    """Unpack a crate into an empty folder and hold every file against its manifest.

    Returns:
        Path -> sha256 of every file but the manifest.

    Raises:
        MissingDataError: there is no such file.
        DataError: not a crate, or one that is damaged, encrypted or too large, or whose names are
            not plain.
        IntegrityError: a file is missing, altered, or not in the manifest.
        ResourceError: the disk is full.
    """
    if path.is_dir():
        fix = "name the zip file that `report --crate` wrote"
        raise DataError("a folder, not a crate", where=str(path), expected="a zip file", fix=fix)
    with _harm_reported(), open_zip(path) as crate:
        _check_names(crate, path)
        total = _check_size(crate, path)
        manifest = _read_manifest(crate, path)
        _check_listed(crate.entries.keys() - {MANIFEST}, manifest, path)
        with disk_errors(folder, total, "another TMPDIR"):
            folder.mkdir(parents=True, exist_ok=True)
            _extract(crate, MANIFEST, folder)
            for name, expected in manifest.items():
                found = _extract(crate, name, folder)
                if found != expected:
                    raise _altered(name, f"sha256 {found}", f"sha256 {expected}", path)
    return manifest


@contextmanager
def _harm_reported() -> Iterator[None]:
    """Have the errors of an archive say what to do about a crate."""
    try:
        yield
    except HarmfulArchiveError as error:
        raise DataError(
            error.what, where=error.where, got=error.got, expected=error.expected, fix=_AGAIN
        ) from error


def is_plain(name: str) -> bool:
    """Whether a path stays below the folder that it is joined to, and fits there, on every system.

    Example:
        >>> [is_plain(name) for name in ("a/b.tsv", "/a", "a/../b", "a//b", "c:x", "a\\\\b", "")]
        [True, False, False, False, False, False, False]
    """
    parts = PurePosixPath(name).parts
    clean = name.isprintable() and "\\" not in name and ":" not in name
    if not (parts and clean and ".." not in parts and name == "/".join(parts)):
        return False
    fits = len(name.encode()) <= _MAX_PATH and all(len(p.encode()) <= _MAX_PART for p in parts)
    return fits and len(parts) <= _MAX_DEPTH


def _folders(names: Iterable[str]) -> list[str]:
    """Every folder above some files, sorted, without the root."""
    above = {str(folder) for name in names for folder in PurePosixPath(name).parents}
    return sorted(above - {"."})


def _entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system = 3  # Unix, wherever it is packed
    info.external_attr = mode << 16
    return info


def _write(archive: zipfile.ZipFile, member: Member) -> str:
    """Pack one file and return its hash."""
    info = _entry(member.name, stat.S_IFREG | 0o644)
    info.compress_type = zipfile.ZIP_DEFLATED
    digest = hashlib.sha256()
    # force_zip64: the size is not known beforehand, and zipfile would give up beyond 2 GiB.
    with archive.open(info, "w", force_zip64=True) as target:
        for chunk in _chunks(member.content):
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


def _chunks(content: bytes | Path) -> Iterator[bytes]:
    """The bytes of what is packed; a file's errors are not those of the disk that is written to."""
    try:
        stream = io.BytesIO(content) if isinstance(content, bytes) else open_regular(content)
        with stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise DataError(
            "a file of the results cannot be read", where=str(content), got=error.strerror
        ) from error


def _check_names(crate: Zip, path: Path) -> None:
    """Every name can be written below a folder, beside all others."""
    folders = set(_folders(crate.entries))
    for name in sorted(crate.entries):
        if not is_plain(name) or name in folders:
            fault = (
                "a file that is a folder, too," if name in folders else "a path that is not plain"
            )
            raise DataError(
                f"{fault} in a crate",
                where=f"{path}: {name!r}",
                expected="plain files below the crate, each once",
                fix=_AGAIN,
            )


def _check_size(crate: Zip, path: Path) -> int:
    """Bytes of all files as the crate states them; none gives more when it is read."""
    total = sum(entry.file_size for entry in crate.entries.values())
    limit = min(MAX_BYTES, max(_ALWAYS, MAX_RATIO * path.stat().st_size))
    if total > limit:
        raise DataError(
            "too large to unpack",
            where=str(path),
            got=f"{total:,} bytes in {len(crate.entries):,} files",
            expected=f"at most {limit:,} bytes: {MAX_RATIO} times the crate, and {MAX_BYTES:,}",
            fix=_AGAIN,
        )
    return total


def _read_manifest(crate: Zip, path: Path) -> dict[str, str]:
    entry = crate.entries.get(MANIFEST)
    if entry is None or entry.file_size > MAX_MANIFEST:
        raise DataError(
            "not a crate of this package",
            where=str(path),
            got=None if entry is None else f"{MANIFEST} of {entry.file_size:,} bytes",
            expected=f"a file {MANIFEST} in it, of at most {MAX_MANIFEST:,} bytes",
        )
    return parse_sums(crate.read(MANIFEST), f"{path}: {MANIFEST}", _AGAIN)


def _check_listed(present: Set[str], manifest: Mapping[str, str], path: Path) -> None:
    """The crate holds what its manifest lists, and nothing else."""
    for name in sorted(present ^ manifest.keys()):
        got = "a file" if name in present else "no such file"
        expected = f"sha256 {manifest[name]}" if name in manifest else "no such file"
        raise _altered(name, got, expected, path)


def _extract(crate: Zip, name: str, folder: Path) -> str:
    """Write one file and return its hash."""
    target, digest = folder / name, hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        for chunk in crate.chunks(name):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _altered(name: str, got: str, expected: str, path: Path) -> IntegrityError:
    what, where = "a crate whose files are not those of its manifest", f"{path}: {name}"
    return IntegrityError(what, where=where, got=got, expected=expected, fix=_AGAIN)
