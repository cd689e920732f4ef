"""Folders that hold anything: only wanted regular files are opened, and the search ends."""

from __future__ import annotations

import gzip
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stilts_artifact.data import folders as module
from stilts_artifact.data import library as library_module
from stilts_artifact.data import progress as progress_module
from stilts_artifact.data.fetch import fetch
from stilts_artifact.data.folders import Brought, DataFolders, Wanted
from stilts_artifact.data.library import Library
from stilts_artifact.data.progress import Doing, Progress
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Part
from stilts_artifact.errors import DataError, IntegrityError, MissingDataError
from stilts_artifact.files import FileSum, hash_file
from tests.unit.data.pins import pinned, sha256, unpinned

DATA = b"the wanted bytes\n"
NAME = "corpus.tsv"
SPARSE = 10 << 30


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are hashed."""
    names: list[str] = []

    def counting(path: Path, progress: Progress) -> FileSum:
        names.append(path.name)
        return hash_file(path)

    monkeypatch.setattr(module, "hash_shown", counting)
    return names


def folders_of(*folders: Path) -> DataFolders:
    return DataFolders(folders, Wanted({len(DATA)}, {NAME}))


def find(folders: DataFolders) -> Brought | None:
    return folders.find(len(DATA), sha256(DATA))


def sparse(path: Path, size: int = SPARSE) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


def test_a_large_file_of_another_size_is_not_hashed(data: Path, hashed: list[str]) -> None:
    sparse(data / "a")
    sparse(data / NAME)
    sparse(data / "a.gz")
    (data / "z").write_bytes(DATA)
    folders = folders_of(data)
    assert find(folders) == Brought(data / "z", packed=False)
    assert folders.versions(NAME) == {}
    assert folders.look_alikes(NAME, len(DATA)) == [f"{data / NAME}: {SPARSE:,} bytes, not hashed"]
    (line,) = folders.look_alikes(NAME, None)
    assert line == f"{data / NAME}: {SPARSE:,} bytes, at most {module.MAX_BY_NAME:,} are read"
    assert hashed == ["z"]


def test_a_large_gzip_file_that_says_it_holds_a_little_is_not_read(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many empty gzip files in a row are one that unpacks to nothing, however long it is."""
    monkeypatch.setattr(module, "_LITTLE", 1_000)
    (data / "a.gz").write_bytes(gzip.compress(b"") * 100 + gzip.compress(DATA))
    assert find(folders_of(data)) is None
    monkeypatch.setattr(module, "_LITTLE", 10_000)
    assert find(folders_of(data)) == Brought(data / "a.gz", packed=True)


def test_gzip_files_are_looked_through_up_to_a_bound(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what lies in a file tells whether it has several members: a large folder has an end."""
    joined = gzip.compress(DATA[:5]) + gzip.compress(DATA[5:])
    (data / "a.gz").write_bytes(joined)
    assert find(folders_of(data)) == Brought(data / "a.gz", packed=True)
    monkeypatch.setattr(module, "MAX_LOOKED_THROUGH", len(joined) - 1)
    folders = folders_of(data)
    assert find(folders) is None
    assert "too much before it" in folders.unreadable()[0]


def test_what_is_no_regular_file_is_not_opened(data: Path, hashed: list[str]) -> None:
    """Opened, a FIFO would wait for ever, and /dev/zero never end."""
    os.mkfifo(data / "fifo.gz")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(data / "socket.gz"))
        for number, device in enumerate(["zero", "random", "null", "stdin", "full"]):
            (data / f"{number}.gz").symlink_to(f"/dev/{device}")
        (data / NAME).symlink_to("/dev/zero")
        (data / "loop").symlink_to("loop")
        (data / "z").write_bytes(DATA)
        folders = folders_of(data)
        assert find(folders) == Brought(data / "z", packed=False)
        assert folders.versions(NAME) == {}
    assert hashed == ["z"]


def test_a_file_that_becomes_a_fifo_after_the_search_is_not_waited_for(data: Path) -> None:
    (data / "a").write_bytes(bytes(len(DATA)))
    folders = folders_of(data)
    assert find(folders) is None
    (data / "a").unlink()
    os.mkfifo(data / "a")
    assert find(folders) is None
    assert folders.unreadable() == [f"{data / 'a'}: cannot be read: not a regular file"]


@pytest.mark.slow
def test_folders_deeper_than_pythons_calls_are_searched(data: Path) -> None:
    below = [data]
    for _ in range(1_500):
        below.append(below[-1] / "d")
        below[-1].mkdir()
    try:
        (below[-1] / "a").write_bytes(DATA)
        assert find(folders_of(data)) == Brought(below[-1] / "a", packed=False)
    finally:
        (below[-1] / "a").unlink()
        for folder in reversed(below[1:]):  # which pytest cannot remove
            folder.rmdir()


def test_the_kernels_own_file_systems_are_not_searched(data: Path) -> None:
    """Below /proc lie all other folders of the machine, and files that never end."""
    with pytest.raises(DataError, match="the kernel makes it up"):
        find(folders_of(Path("/proc")))
    (data / "link").symlink_to("/proc/self")
    folders = folders_of(data)
    assert find(folders) is None
    assert folders.unreadable() == [f"{data / 'link'}: cannot be read: the kernel makes it up"]


def test_a_search_has_an_end(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 10)
    (data / "below").mkdir()
    for number in range(9):
        (data / "below" / str(number)).write_bytes(b"")
    assert find(folders_of(data)) is None
    (data / "one more").write_bytes(b"")
    with pytest.raises(DataError, match="more than 10 files and folders"):
        find(folders_of(data))


def test_a_folder_that_cannot_be_read_is_said(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "closed").mkdir()
    really = os.scandir

    def refuse(path: Path) -> Iterator[os.DirEntry[str]]:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return really(path)

    monkeypatch.setattr(os, "scandir", refuse)
    source = pinned(DATA)
    library = Library({source.name: source}, FileStore(data.parent / "store"), [data])
    with pytest.raises(MissingDataError) as caught:
        library.documents(Part(source.name, "lines"))
    assert f"{data / 'closed'}: cannot be read: Permission denied" in str(caught.value)
    with pytest.raises(DataError, match="data folder cannot be read"):
        find(folders_of(data / "closed"))


def test_what_cannot_be_read_is_counted_and_not_all_listed(data: Path) -> None:
    for number in range(100):
        (data / f"{number:03}").symlink_to("nothing")
    folders = folders_of(data)
    assert find(folders) is None
    lines = folders.unreadable()
    assert len(lines) == 11
    assert lines[-1] == "and 90 more that cannot be read"


def test_a_file_that_vanishes_is_passed_over_and_said(data: Path) -> None:
    (data / "a").write_bytes(DATA)
    (data / "b").write_bytes(DATA)
    folders = folders_of(data)
    assert find(folders) == Brought(data / "a", packed=False)
    (data / "a").unlink()
    assert find(folders) == Brought(data / "b", packed=False)
    assert folders.unreadable() == [f"{data / 'a'}: cannot be read: No such file or directory"]


def test_a_file_that_was_changed_is_hashed_again(data: Path, hashed: list[str]) -> None:
    (data / "a").write_bytes(DATA)
    folders = folders_of(data)
    assert find(folders) == find(folders) == Brought(data / "a", packed=False)
    (data / "a").write_bytes(DATA.swapcase())
    os.utime(data / "a", (1, 1))  # whatever the file system's clock
    assert find(folders) is None
    assert hashed == ["a", "a"]


def test_a_file_that_changes_while_it_is_hashed_is_not_taken(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "a").write_bytes(DATA)

    def changing(path: Path, progress: Progress) -> FileSum:
        found = hash_file(path)
        with path.open("ab") as file:
            file.write(b"more")
        return found

    monkeypatch.setattr(module, "hash_shown", changing)
    folders = folders_of(data)
    assert find(folders) is None
    assert folders.unreadable() == [f"{data / 'a'}: cannot be read: it changes while it is read"]


def test_a_file_that_changes_between_its_hash_and_its_reading_is_an_error(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "a").write_bytes(DATA)
    source = pinned(DATA)
    really: Callable[[Path], bytes] = library_module.read_plain

    def changing(path: Path) -> bytes:
        path.write_bytes(DATA.swapcase() + b"!")
        return really(path)

    monkeypatch.setattr(library_module, "read_plain", changing)
    library = Library({source.name: source}, FileStore(data.parent / "store"), [data])
    with pytest.raises(IntegrityError, match="changed while it was read"):
        library.documents(Part(source.name, "lines"))


def test_an_unpinned_file_is_read_by_its_name_up_to_a_bound(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = unpinned(NAME)
    (data / NAME).write_bytes(DATA)
    store = FileStore(data.parent / "store")
    assert Library({NAME: source}, store, [data]).absent([source]) == []
    monkeypatch.setattr(module, "MAX_BY_NAME", len(DATA) - 1)
    assert Library({NAME: source}, store, [data]).absent([source]) == [source]


def test_a_folder_that_cannot_be_searched_is_one_error_and_not_one_for_each_source(
    data: Path,
) -> None:
    sources = {name: pinned(DATA, name=name) for name in ("a", "b")}
    library = Library(sources, FileStore(data / "store"), [data / "absent"])
    with pytest.raises(DataError, match="does not exist"):
        fetch(list(sources.values()), library, offline=True)


class Shown:
    """A :class:`Progress` that remembers."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int, Doing]] = []
        self.count = 0

    def start(self, name: str, total: int, doing: Doing = "fetching") -> None:
        self.started.append((name, total, doing))

    def advance(self, count: int) -> None:
        self.count += count

    def finish(self) -> None:
        pass


def test_a_long_search_and_the_hashing_of_large_files_are_shown(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MANY", 2)
    monkeypatch.setattr(progress_module, "_LARGE", len(DATA))
    for name in ("a", "b", "c"):
        (data / name).write_bytes(DATA.swapcase() if name < "c" else DATA)
    source = pinned(DATA)
    library, shown = Library({source.name: source}, FileStore(data / "store"), [data]), Shown()
    with library.shown(shown):
        assert library.satisfied_by(source) == "data folder, by sha256"
    hashing: list[tuple[str, int, Doing]] = [
        (str(data / name), len(DATA), "hashing") for name in "abc"
    ]
    assert shown.started == [(str(data), 0, "searching"), *hashing]
    assert shown.count == 3 * len(DATA)


def test_hashing_ends_with_a_file_that_grows_as_fast(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(bytes(3 << 20))

    def grow(count: int) -> None:
        with path.open("ab") as file:
            file.write(bytes(count))

    assert hash_file(path, grow).bytes == (3 << 20) + 1
