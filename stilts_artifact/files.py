"""Files and folders on a disk that may fill up, written by processes that anything may kill.

Five things, each done here once: sums of files and the manifest that holds a folder against them;
files and folders that one process alone writes; publication by one rename, so that a reader finds
the old content or the new one, whole; publication of a file together with the folder that it rests
on; and the errors of a disk in words.

Everything unfinished bears a name of its own, ``<name>.<unique>.part``, and holds a lock as long as
its writer lives. The lock only tells others whose work is orphaned; taking a dead writer's work
over, or removing it, starts with a rename that just one process can win. Where locks do nothing, a
writer can thus find its work gone and fail, but it never shares it, and nothing wrong is published.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import io
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Literal

from stilts_artifact.errors import ConfigError, DataError, IntegrityError, ResourceError

MANIFEST = "manifest.json"
"""The name every manifest goes by, in the folder that it stands for or above it."""

MAX_FOLDERS = 32
"""Levels of folders in each other; nothing that this package writes has more than eight."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_RIGHT = {errno.EROFS, errno.EACCES, errno.EPERM}
_NOT_OFFERED = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF}
# What a network file system says of a rename whose first answer was lost: done, it finds nothing.
_ANSWER_LOST = {errno.ENOENT, errno.ESTALE}
_SOME_ROOM = 1 << 20  # bytes that an error names where only names were to be written
_PIECE = 1 << 20  # bytes read at a time
_ATTEMPTS = 100
_SWAP_SECONDS = 10.0

_LOCK, _CONTENT, _OLD = "lock", "content", "old"
_MARK = ".rests"  # in a folder: the sha256 of the file that rests on it
_MARK_BYTES = 64
_NEW, _PART, _GONE = ".new", ".part", ".gone"


# --- sums ---------------------------------------------------------------------------------------


def describe_sums(size: int | None, sha256: str | None) -> str:
    """The two sums of a file as every message shows them: ``1,234 bytes, sha256 ab12...``."""
    length = "unknown size" if size is None else f"{size:,} bytes"
    return f"{length}, sha256 {sha256 or 'not pinned'}"


@dataclass(frozen=True, slots=True)
class FileSum:
    """Size in bytes and sha256 of one file."""

    bytes: int
    sha256: str

    def __str__(self) -> str:
        return describe_sums(self.bytes, self.sha256)


def hash_bytes(data: bytes) -> FileSum:
    """The sums of a file's content."""
    return FileSum(len(data), hashlib.sha256(data).hexdigest())


def hash_file(path: Path, advance: Callable[[int], None] = lambda count: None) -> FileSum:
    """The sums of a file, read once, and not far beyond the size it has when it is opened.

    Args:
        advance: told of each piece, in bytes.

    Raises:
        OSError: it is no regular file, or cannot be opened or read.
    """
    digest, total = hashlib.sha256(), 0
    with open_regular(path) as stream:
        # One byte more: a file that grows meanwhile is then not the one of its size.
        end = os.fstat(stream.fileno()).st_size + 1
        while chunk := stream.read(min(_PIECE, end - total)):
            digest.update(chunk)
            total += len(chunk)
            advance(len(chunk))
    return FileSum(total, digest.hexdigest())


def open_regular(path: Path) -> io.BufferedReader:
    """Open a regular file for reading.

    A FIFO would wait for its writer, and a device might give without an end.

    Raises:
        OSError: it is none, or cannot be opened.
    """
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(file, "rb")


def files_below(folder: Path) -> Iterator[Path]:
    """Whatever lies below a folder and is no folder itself, in no order; links are not followed.

    Not by recursion, as ``rglob`` goes: folders may lie in each other more deeply than Python's
    calls may, and than a path can say.

    Raises:
        IntegrityError: folders more than :data:`MAX_FOLDERS` deep in each other.
        DataError: a folder cannot be read.
    """
    level, depth = [folder], 0
    while level:
        if depth > MAX_FOLDERS:
            raise IntegrityError(
                "folders that lie too deep in each other",
                where=str(folder),
                expected=f"at most {MAX_FOLDERS} levels",
            )
        inner: list[Path] = []
        for current in level:
            for entry in _entries(current):
                if entry.is_dir(follow_symlinks=False):
                    inner.append(Path(entry.path))
                else:
                    yield Path(entry.path)
        level, depth = inner, depth + 1


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:  # None, or gone since its name was read.
        return []
    except OSError as error:
        raise DataError(
            "cannot read the folder", where=str(folder), got=error.strerror or str(error)
        ) from error


def plain_files(folder: Path) -> dict[str, Path]:
    """Every file below a folder by its relative name, sorted.

    Raises:
        IntegrityError: something there is neither a plain file nor a folder, or has a name that is
            not UTF-8; or as :func:`files_below`.
    """
    files = {}
    for path in sorted(files_below(folder)):
        name = path.relative_to(folder).as_posix()
        # Not stat: a link is no plain file, whatever it leads to.
        if not stat.S_ISREG(path.lstat().st_mode) or not _is_text(name):
            got, expected = repr(name), "plain files with UTF-8 names"
            raise IntegrityError(
                "a result may hold plain files only", where=str(folder), got=got, expected=expected
            )
        files[name] = path
    return files


def size_below(*folders: Path) -> int:
    """Bytes of all files below these folders."""
    return sum(path.lstat().st_size for folder in folders for path in files_below(folder))


@dataclass(frozen=True, slots=True)
class FileManifest:
    """What a folder holds: the sums of each of its files.

    Attributes:
        files: path below the folder -> its sums.
    """

    files: Mapping[str, FileSum]

    @classmethod
    def of(cls, present: Mapping[str, Path]) -> FileManifest:
        """The manifest of files as they are now.

        Args:
            present: name in the manifest -> where the file lies; see :func:`plain_files`.

        Raises:
            OSError: one cannot be read.
        """
        return cls({name: hash_file(path) for name, path in present.items()})

    def verify(
        self,
        present: Mapping[str, Path],
        folder: Path,
        whole: str,
        *,
        measure: Callable[[Path], FileSum] = hash_file,
        fix: str | None = None,
    ) -> None:
        """Hold the files that are there against the manifest: all, no others, unchanged.

        Args:
            present: name -> where the file lies.
            folder: below which the manifest's names lie, for messages.
            whole: what the files make up, such as ``checkpoint``.
            measure: sums of a file; a caller may remember those it has taken.
            fix: what mends a fault.

        Raises:
            IntegrityError: naming the first file that is missing, surplus or altered.
            OSError: one cannot be read.
        """
        for name in sorted(self.files.keys() ^ present.keys()):
            missing = name in self.files
            what = f"file of the {whole} is missing"
            raise IntegrityError(
                what if missing else "file that the manifest does not know",
                where=str(folder / name),
                expected=str(self.files[name]) if missing else ", ".join(self.files),
                fix=fix,
            )
        for name, expected in self.files.items():
            compare(present[name], measure(present[name]), expected, fix=fix)

    def to_json(self) -> dict[str, dict[str, Any]]:
        """The ``files`` of a manifest document."""
        return {name: asdict(sums) for name, sums in self.files.items()}

    @classmethod
    def from_json(cls, content: Any) -> FileManifest:
        """The opposite of :meth:`to_json`.

        Raises:
            ValueError: it has another form, or a name that leads out of the folder.
        """
        if not isinstance(content, dict):
            raise ValueError("not an object of files")
        return cls({name: _read_sum(name, fields) for name, fields in content.items()})


def compare(path: Path, found: FileSum, expected: FileSum, *, fix: str | None = None) -> None:
    """Hold the sums of a file against those it should have.

    Raises:
        IntegrityError: they differ.
    """
    if found == expected:
        return
    if found.bytes == expected.bytes:
        what = "file is altered"
    else:
        what = "file is truncated" if found.bytes < expected.bytes else "file is too long"
    raise IntegrityError(what, where=str(path), got=str(found), expected=str(expected), fix=fix)


def _read_sum(name: str, fields: Any) -> FileSum:
    if not isinstance(fields, dict) or fields.keys() != {"bytes", "sha256"}:
        raise ValueError("not the sums of a file")
    size, sha256 = fields["bytes"], fields["sha256"]
    parts = PurePosixPath(name).parts
    # PurePosixPath drops "." and "//": plain_files gives no name that it would write differently.
    inside = parts and "/".join(parts) == name and parts[0] != "/" and ".." not in parts
    # Not isinstance for the size: JSON's true is an int to Python.
    if not inside or type(size) is not int or not isinstance(sha256, str):
        raise ValueError("not the sums of a file")
    return FileSum(size, sha256)


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


# --- errors of the disk -------------------------------------------------------------------------


def disk_error(
    error: OSError, path: Path, needed: int, instead: str = "another folder"
) -> ResourceError:
    """A failed disk operation on ``path`` in words, with the room it needs.

    Args:
        needed: bytes that were still to be written.
        instead: what else the person may choose, such as ``another --store``.
    """
    if _errno(error) in _NO_ROOM:
        what, fix = "no room left to write a file", f"free {needed:,} bytes there"
    elif _errno(error) in _NO_RIGHT:
        what, fix = "no right to write a file", "give this user the right to write there"
    else:
        what, fix = "a file cannot be written", "mend the disk"
    return ResourceError(
        what,
        where=str(path),
        got=error.strerror or str(error),
        expected=f"room for {needed:,} bytes",
        fix=f"{fix}, or choose {instead}",
    )


def _errno(error: OSError) -> int | None:
    """The system's number of an error; shutil.copytree has it only in its text."""
    if isinstance(error, shutil.Error):
        # It lists many errors: one about room, if there is any, decides what the person is told.
        numbers = re.findall(r"\[Errno (\d+)\]", str(error))
        return max((int(number) for number in numbers), key=_NO_ROOM.__contains__, default=None)
    return error.errno


@contextmanager
def disk_errors(
    path: Path, needed: int = _SOME_ROOM, instead: str = "another folder"
) -> Iterator[None]:
    """Turn a failing disk operation into :func:`disk_error`."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, path, needed, instead) from error


def sync(path: Path) -> None:
    """Have the disk hold a file's bytes, or a folder's names where the file system offers that.

    Raises:
        OSError: the disk refuses.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    except OSError as error:
        # Some network file systems know of no such thing; what they lose is found by its reader.
        if error.errno not in _NOT_OFFERED or not stat.S_ISDIR(os.fstat(file).st_mode):
            raise
    finally:
        os.close(file)


def sync_below(folder: Path) -> None:
    """Have the disk hold everything below a folder, the names in it last.

    Raises:
        OSError: the disk refuses.
    """
    paths = sorted(folder.rglob("*"))
    for path in [path for path in paths if path.is_file() and not path.is_symlink()]:
        sync(path)
    for path in [path for path in paths if path.is_dir() and not path.is_symlink()]:
        sync(path)
    sync(folder)


def _sync_names(folder: Path) -> None:
    """Have the disk hold a rename, if it can; what it loses is made again."""
    with contextlib.suppress(OSError):
        sync(folder)


# --- work that one process alone writes ---------------------------------------------------------


class LockedFile:
    """A file that this process alone writes: ``<name>.<unique>.part``, locked while it is open.

    Attributes:
        path: where it lies.
        file: its descriptor; -1 once closed.

    Raises:
        OSError: the disk is full or refuses.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path, self.file = _create(folder, name, _open_new)

    def write(self, data: bytes) -> None:
        """Append ``data``.

        Raises:
            OSError: the disk is full or refuses.
        """
        # os.write may take only a part, as on a disk that is about to be full.
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.file, rest) :]

    def release(self) -> None:
        """Stop writing, and leave the bytes to whoever takes them up."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def remove(self) -> None:
        """Stop writing and remove the file."""
        self.release()
        remove_file(self.path)

    def publish(self, target: Path) -> bool:
        """Make it ``target`` by one rename, the bytes on the disk first; ``False`` if it is gone.

        Raises:
            OSError: the disk is full or refuses.
        """
        os.fsync(self.file)
        try:
            self.path.replace(target)
        except OSError as error:
            if not _was_renamed(os.fstat(self.file), target, error):
                if not isinstance(error, FileNotFoundError):
                    raise
                # A process that took this one for dead has removed the file or taken it over.
                return False
        _sync_names(target.parent)
        return True


def orphaned_files(folder: Path, name: str) -> list[Path]:
    """Unfinished files of that name whose writer is dead, as locks tell; the longest first."""
    for path in _unfinished(folder, name, _NEW):
        if _is_orphan(path):
            remove_file(path)
    paths = [path for path in _unfinished(folder, name, _PART) if _is_orphan(path)]
    return sorted(paths, key=lambda path: (-_size(path), path.name))


def remove_file(path: Path) -> None:
    """Remove a leftover; one that stays harms nobody, for nothing is read by its name."""
    with contextlib.suppress(OSError):
        path.unlink()


class LockedFolder:
    """A folder that this process alone writes: ``<name>.<unique>.part``, its locked file inside."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def create(cls, parent: Path, name: str) -> LockedFolder:
        """A new one, empty but for its lock.

        Raises:
            OSError: the disk is full or refuses.
        """
        return cls(*_create(parent, name, _make_new))

    @classmethod
    def take(cls, parent: Path, name: str) -> LockedFolder:
        """A dead writer's folder with all it holds, the one last changed; else a new one.

        Raises:
            OSError: the disk is full or refuses.
        """
        left = sorted(_unfinished(parent, name, _PART), key=_changed, reverse=True)
        for path in left:
            lock = _lock_dead(path)
            if lock is None:
                continue
            # A new name: a writer that lives after all finds its work gone, and never shares it.
            own = parent / f"{name}.{uuid.uuid4().hex}{_PART}"
            if _moved(path, own):
                return cls(own, lock)
            os.close(lock)  # Another process was faster.
        return cls.create(parent, name)

    def release(self) -> None:
        """Leave the folder to whoever takes it over."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def remove(self) -> None:
        """Remove the folder and all in it."""
        # The lock goes last: without it, another process could take over what is being removed.
        _remove_folder(self.path)
        self.release()
        # NFS keeps a file that is open, under another name, and its folder with it: until now.
        shutil.rmtree(self.path.with_suffix(_GONE), ignore_errors=True)


def remove_orphans(
    parent: Path, name: str = "*", *, spare: Callable[[Path], bool] = lambda path: False
) -> None:
    """Remove folders whose writer is dead.

    Args:
        name: of the folders; ``*`` for any.
        spare: asked of each while its lock is held, whether it stays.
    """
    for path in _unfinished(parent, name, _PART):
        lock = _lock_dead(path)
        if lock is not None:
            if not spare(path):
                _remove_folder(path)
            os.close(lock)
    for path in _unfinished(parent, name, _NEW):
        # Killed before it had a lock, or about to get it: then :func:`_create` makes another.
        with contextlib.suppress(OSError):
            path.rmdir()
        lock = _lock_dead(path)
        if lock is not None:
            _remove_folder(path)
            os.close(lock)
    for path in _unfinished(parent, name, _GONE):
        # No lock is asked for: whoever gave it this name was removing it, and nobody reads it.
        shutil.rmtree(path, ignore_errors=True)


def orphaned_names(parent: Path) -> list[str]:
    """Names of which a dead writer may have left a folder; a quick look that takes no lock."""
    left = [path for suffix in (_PART, _GONE) for path in _unfinished(parent, "*", suffix)]
    return sorted({path.name.rsplit(".", 2)[0] for path in left})


def discard_folder(path: Path, parent: Path) -> bool:
    """Remove a published folder: out of sight by one rename, then file by file.

    Killed in between, it leaves what :func:`remove_orphans` of ``parent`` removes.

    Args:
        parent: folder on the same file system, where nobody looks for what is published.

    Returns:
        Whether it was there.

    Raises:
        OSError: it may not be removed.
    """
    parent.mkdir(parents=True, exist_ok=True)
    gone = parent / f"{path.name}.{uuid.uuid4().hex}{_GONE}"
    if not _moved(path, gone):
        return False
    _sync_names(path.parent)
    shutil.rmtree(gone, ignore_errors=True)
    return True


def _create(folder: Path, name: str, make: Callable[[Path], int]) -> tuple[Path, int]:
    """Path and lock of something new, which others see under ``.part`` only once it is locked.

    One that is made, but not locked yet, may be taken for orphaned; then another is made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(_ATTEMPTS):
        unique = f"{name}.{uuid.uuid4().hex}"
        hidden, path = folder / f"{unique}{_NEW}", folder / f"{unique}{_PART}"
        lock = -1
        try:
            lock = make(hidden)
            # "busy": a process that cleans up holds it, and is about to remove it. Where locks do
            # nothing, work goes on without one.
            if _try_lock(lock) != "busy" and _moved(hidden, path):
                return path, lock
        except FileNotFoundError:
            pass
        except BaseException:
            _remove_folder(hidden) if hidden.is_dir() else remove_file(hidden)
            if lock >= 0:
                os.close(lock)
            raise
        if lock >= 0:
            os.close(lock)
    raise OSError(errno.EBUSY, "other processes remove what is being made", str(folder))


def _open_new(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def _make_new(path: Path) -> int:
    path.mkdir()
    return os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _unfinished(parent: Path, name: str, suffix: str) -> list[Path]:
    """Files or folders ``<name>.<unique><suffix>``, sorted; ``*`` stands for any name."""
    try:
        paths = sorted(path for path in parent.iterdir() if path.suffix == suffix)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [path for path in paths if name in ("*", path.name.rsplit(".", 2)[0])]


def _try_lock(file: int) -> Literal["held", "busy", "unsupported"]:
    try:
        # Not lockf: its locks do not keep threads of one process apart, and end as soon as the
        # process closes any other descriptor of the file, as _is_orphan does.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "busy"
    except OSError:
        return "unsupported"
    return "held"


def _lock_dead(folder: Path) -> int | None:
    """The lock of a folder whose writer is dead; ``None`` if it lives, or if nobody can tell."""
    try:
        file = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    if _try_lock(file) == "held":
        return file
    os.close(file)
    return None


def _is_orphan(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # Published or removed meanwhile, or another user's.
        return False
    try:
        return _try_lock(file) == "held"
    finally:
        os.close(file)


def _remove_folder(path: Path) -> None:
    # By a rename first: a writer that lives after all then fails at once, and publishes nothing
    # half removed.
    gone = path.with_suffix(_GONE)
    try:
        _moved(path, gone)
    except OSError as error:
        if error.errno not in _NO_RIGHT:  # Not ours to remove is no fault of this process.
            raise
        return
    shutil.rmtree(gone, ignore_errors=True)


def _moved(old: Path, new: Path) -> bool:
    """Give something another name; ``False`` if it is gone, as another process was faster.

    Raises:
        OSError: the disk refuses.
    """
    try:
        before = old.stat()
        try:
            old.rename(new)
        except OSError as error:
            if not _was_renamed(before, new, error):
                raise
    except FileNotFoundError:
        return False
    return True


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _changed(path: Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0


# --- publication --------------------------------------------------------------------------------


def require_output(out: Path, inputs: Iterable[Path | None], option: str) -> None:
    """Refuse, before any work, an output that would replace an input or is no file.

    Args:
        inputs: files, and folders of files, that are read; ``None`` for one that is not given.
        option: that named the output, for the error.

    Raises:
        ConfigError: ``out`` is one of the inputs, by whatever path or link, or lies in a folder of
            them; or a folder, device or the like stands there.
    """
    if out.exists() and not out.is_file():
        raise ConfigError(
            "the output is not a file", where=option, got=str(out), fix="name a file to be written"
        )
    for given in inputs:
        if given is not None and _would_replace(out, given):
            raise ConfigError(
                "the output is one of the inputs",
                where=f"{option} {out}",
                got=str(given),
                fix="name another file",
            )


def _would_replace(out: Path, given: Path) -> bool:
    # Not resolve(): it raises where links go round in a circle.
    whole, own = Path(os.path.realpath(out)), Path(os.path.realpath(given))
    # A hard link is another path to the same file.
    same = out.exists() and given.exists() and out.samefile(given)
    return same or whole == own or own in whole.parents


def write_file(path: Path, data: bytes) -> None:
    """Publish ``data`` at ``path``: readers see the old file or the new one, never a part.

    Raises:
        ResourceError: the disk is full or the folder cannot be written.
    """
    with publish_file(path, len(data)) as file:
        file.write(data)


@contextmanager
def publish_file(path: Path, needed: int = _SOME_ROOM) -> Iterator[BinaryIO]:
    """A new file that becomes ``path`` once it is complete; see :func:`write_file`.

    Args:
        needed: bytes that an error of the disk names.

    Raises:
        ResourceError: the disk is full, the folder cannot be written, or a folder, device or the
            like stands at ``path``.
    """
    name = _hidden(path)
    with disk_errors(path, needed):
        # The rename would put a file in the place of /dev/null itself, for who is allowed to.
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        incoming = LockedFile(path.parent, name)
        try:
            # A descriptor of its own: closing the stream must not end the lock.
            with os.fdopen(os.dup(incoming.file), "wb") as file:
                yield file
            if not incoming.publish(path):
                raise FileNotFoundError(errno.ENOENT, "another process removed it")
        finally:
            # After a publication nothing has this name any more, and this only closes the file.
            incoming.remove()
    for orphan in orphaned_files(path.parent, name):
        remove_file(orphan)


@contextmanager
def publish_folder(target: Path) -> Iterator[Path]:
    """A new folder to fill, which becomes ``target`` at the end of the block, or never exists.

    The content that ``target`` had is replaced in the same instant; a block that raises leaves it
    alone. Of two publishers at once, the last one's content stays. A process killed at any instant
    leaves the old content or the new one, whole, and beside it at most a hidden folder that the
    next publication, or :func:`settle_folder`, removes.

    On Linux the exchange is one system call. A file system that does not offer it gets two renames,
    between which nothing is there: readers that cannot bear that call :func:`settle_folder` first.

    Raises:
        ResourceError: the disk is full or the folder cannot be written; says how much room is
            needed. The room that was taken is free again.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as results:
        ...     with publish_folder(Path(results) / "run") as made:
        ...         _ = (made / "scores.tsv").write_text("mnli")
        ...     [path.name for path in Path(results).iterdir()]
        ['run']
    """
    target = Path(os.path.realpath(target))  # A link to another disk stays one.
    # First: a killed publisher may hold the only content there is, and this block may raise.
    settle_folder(target)
    with disk_errors(target):
        owned = LockedFolder.create(target.parent, _hidden(target))
    made = owned.path / _CONTENT
    try:
        with disk_errors(target):
            made.mkdir()
        with own_disk_errors(made, target):
            yield made
        with disk_errors(target, size_below(made)):
            sync_below(made)
            _put(made, target, owned.path / _OLD)
            _sync_names(target.parent)
    finally:
        owned.remove()


def settle_folder(target: Path) -> None:
    """Finish what killed publishers of ``target`` left: put back what they moved, remove the rest.

    Waits for a living publisher that is between its two renames. Changes nothing where this user
    may not write.
    """
    target = Path(os.path.realpath(target))

    def is_needed(path: Path) -> bool:
        """Whether a dead publisher's folder has the only content, after trying to put it back."""
        if (path / _OLD).exists() and not target.exists():
            with contextlib.suppress(OSError):
                move_into_place(path / _OLD, target)
            return not target.exists()
        return False

    end = time.monotonic() + _SWAP_SECONDS
    while True:
        remove_orphans(target.parent, _hidden(target), spare=is_needed)
        if target.exists() or not _is_being_swapped(target) or time.monotonic() > end:
            return
        time.sleep(0.01)


def move_into_place(made: Path, target: Path) -> bool:
    """Make a complete folder ``target`` by one rename; ``False`` if something is there already.

    Raises:
        OSError: the disk is full or refuses.
    """
    before = made.stat()
    try:
        # No look at the target beforehand, after which another process could come: the rename
        # itself refuses a folder that holds something.
        made.rename(target)
    except OSError as error:
        if _was_renamed(before, target, error):
            return True
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


def _was_renamed(before: os.stat_result, target: Path, error: OSError) -> bool:
    """Whether a rename that failed was done: whose answer is lost is asked for once more."""
    if error.errno not in _ANSWER_LOST:
        return False
    with contextlib.suppress(OSError):
        return os.path.samestat(before, target.stat())
    return False


def _put(made: Path, target: Path, aside: Path) -> None:
    """Make ``made`` the content of ``target``, whatever is or comes there meanwhile."""
    for _ in range(_ATTEMPTS):
        if move_into_place(made, target):
            return
        with contextlib.suppress(FileNotFoundError):  # Another publisher is between its renames.
            # After an exchange the old content lies in the owned folder, and is removed with it.
            if _exchange(made, target):
                return
            target.rename(aside)
            if move_into_place(made, target):
                return
            # Another publisher was faster, so what lies aside is no longer the last content.
            _remove_folder(aside)
    raise OSError(errno.EBUSY, "other processes keep publishing there", str(target))


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders swap names in one instant (Linux, renameat2(2)); ``False`` if not offered.

    Raises:
        OSError: it is offered and fails.
    """
    # By ctypes, because the os module has no call that swaps two names.
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    if call(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))


def _is_being_swapped(target: Path) -> bool:
    parts = _unfinished(target.parent, _hidden(target), _PART)
    return any((path / _OLD).exists() for path in parts)


@contextmanager
def own_disk_errors(made: Path, target: Path) -> Iterator[None]:
    """As :func:`disk_errors`, for a block whose errors may also come from files elsewhere."""
    try:
        yield
    except OSError as error:
        names = (error.filename, error.filename2)
        own = any(
            isinstance(name, str | os.PathLike) and Path(name).is_relative_to(made)
            for name in names
        )
        # A full disk is known by its number alone: shutil.copytree's error names no file.
        if not own and _errno(error) not in _NO_ROOM:
            raise
        raise disk_error(error, target, max(size_below(made), _SOME_ROOM)) from error


# --- a file together with the folder that it rests on ------------------------------------------


class Publication:
    """A new folder and the file that rests on it, which replace the old two in one act.

    The act is the rename of the file. The folder is whole by then, under a hidden name and with a
    mark that names the file's content; only afterwards does it take the old folder's place. So a
    process killed at any instant leaves the old two or the new two, and :func:`folder_behind` finds
    the folder that a file rests on, wherever its publisher came to.

    Of two publishers at once, the one whose file came last wins: whoever holds the folder of the
    file that is there puts it back in its place.

    Attributes:
        made: the new folder, to fill.
    """

    def __init__(self, file: Path, folder: Path) -> None:
        self._file = file
        self._folder = Path(os.path.realpath(folder))  # A link to another disk stays one.
        self._owned = LockedFolder.create(self._folder.parent, _hidden(self._folder))
        self.made = self._owned.path / _CONTENT

    def commit(self, data: bytes) -> None:
        """Publish the folder as it is now, and ``data`` as the file.

        Raises:
            ResourceError: the disk is full or refuses; the old two are then as they were, or the
                new ones are published and the folder still has its hidden name.
        """
        with disk_errors(self._folder, size_below(self.made)):
            (self.made / _MARK).write_text(hash_bytes(data).sha256)
            sync_below(self.made)
            # The names above it too: the file must not reach the disk before its folder.
            _sync_names(self._owned.path)
            _sync_names(self._folder.parent)
        write_file(self._file, data)
        with disk_errors(self._folder):
            _settle(self._owned.path, self._file, self._folder)
            _sync_names(self._folder.parent)

    def close(self) -> None:
        """Remove what was made, unless it was published and could not be put in its place."""
        if _is_needed(self._owned.path, self._file, self._folder):
            self._owned.release()
        else:
            self._owned.remove()


@contextmanager
def publish_together(file: Path, folder: Path) -> Iterator[Publication]:
    """A folder to fill, which is published with a file by its ``commit``, or never exists.

    What dead publishers of the two left is removed first, or put in its place if the file that is
    there rests on it.

    Raises:
        ResourceError: the disk is full or the folder cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as results:
        ...     file, folder = Path(results, "run.json"), Path(results, "run")
        ...     with publish_together(file, folder) as publication:
        ...         _ = (publication.made / "scores.tsv").write_text("mnli")
        ...         publication.commit(b"{}")
        ...     sorted(path.name for path in Path(results).iterdir())
        ['run', 'run.json']
    """
    real = Path(os.path.realpath(folder))

    def is_needed(part: Path) -> bool:
        with contextlib.suppress(OSError):
            _settle(part, file, real)
        return _is_needed(part, file, real)

    with disk_errors(folder):
        remove_orphans(real.parent, _hidden(real), spare=is_needed)
        publication = Publication(file, folder)
    try:
        with disk_errors(folder):
            publication.made.mkdir()
        yield publication
    finally:
        publication.close()


def folder_behind(sha256: str, folder: Path) -> Path:
    """The folder that a file rests on: ``folder``, or the one on its way there.

    Only looks, so it serves whoever may not write.

    Args:
        sha256: of the file.
    """
    if _mark(folder) == sha256:
        return folder
    real = Path(os.path.realpath(folder))
    for part in _unfinished(real.parent, _hidden(real), _PART):
        for path in _marked(part, sha256):
            return path
    # No mark, or another's: the folder was copied, or the file edited. What is there is judged.
    return folder


def _settle(part: Path, file: Path, folder: Path) -> None:
    """Put the folder that a file rests on in its place, if a publisher's ``part`` has it."""
    for _ in range(_ATTEMPTS):
        # Asked again after each rename: another publisher's folder may be what was moved aside.
        due = _held(part, file, folder)
        if due is None:
            return
        if move_into_place(due, folder):
            continue
        with contextlib.suppress(FileNotFoundError):  # Another publisher moved it aside.
            if not _exchange(due, folder):
                folder.rename(part / f"{_OLD}.{uuid.uuid4().hex}")
    raise OSError(errno.EBUSY, "other processes keep publishing there", str(folder))


def _held(part: Path, file: Path, folder: Path) -> Path | None:
    """The folder in ``part`` that the file rests on, where ``folder`` is another."""
    if not file.is_file():
        return None
    sha256 = hash_file(file).sha256
    if _mark(folder) == sha256:
        return None
    return next(_marked(part, sha256), None)


def _is_needed(part: Path, file: Path, folder: Path) -> bool:
    try:
        return _held(part, file, folder) is not None
    except OSError:  # Nobody can tell, so nothing is removed.
        return True


def _marked(part: Path, sha256: str) -> Iterator[Path]:
    """The folders in a publisher's that a file of this content rests on."""
    with contextlib.suppress(OSError):  # Of a publisher that ends just now.
        yield from (path for path in sorted(part.iterdir()) if _mark(path) == sha256)


def _mark(folder: Path) -> str | None:
    """The sha256 of the file that rests on a folder, as its publisher wrote it down."""
    with contextlib.suppress(OSError, UnicodeDecodeError), open_regular(folder / _MARK) as stream:
        return stream.read(_MARK_BYTES).decode("ascii")
    return None


def _hidden(path: Path) -> str:
    """The name under which what will be ``path`` lies beside it."""
    return f".{path.name}"
