from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from stilts_artifact.data.progress import Progress
from stilts_artifact.data.store import FileStore, Incoming, IncomingLostError
from stilts_artifact.errors import IntegrityError, ResourceError
from stilts_artifact.files import FileSum, hash_file
from tests.unit.data.pins import pinned, sha256, unpinned

DATA = b"one\ntwo\n" * 1_000
SOURCE = pinned(DATA)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store")


def names(store: FileStore) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


def test_published_file_lies_under_its_sha256_alone(store: FileStore) -> None:
    path = store.publish(SOURCE, [DATA[:5], b"", DATA[5:]])
    assert path == store.folder / sha256(DATA)
    assert path.read_bytes() == DATA
    assert names(store) == [sha256(DATA)]
    assert store.get(SOURCE) == path


def test_absent_and_unpinned_sources_are_not_in_the_store(store: FileStore) -> None:
    assert store.get(SOURCE) is None
    assert not store.has(SOURCE)
    store.folder.mkdir(parents=True)
    (store.folder / "None").write_bytes(b"a file called like no sha256")
    assert store.get(unpinned("ccgbank.tgz")) is None
    assert not store.has(unpinned("ccgbank.tgz"))


@pytest.mark.parametrize("content", [b"", DATA[:-1], DATA + b"x", DATA.replace(b"one", b"One", 1)])
def test_other_bytes_are_not_published(store: FileStore, content: bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        store.publish(SOURCE, [content])
    assert sha256(content) in str(caught.value)
    assert sha256(DATA) in str(caught.value)
    assert names(store) == []


def test_failure_of_the_content_itself_leaves_nothing(store: FileStore) -> None:
    def chunks() -> Iterator[bytes]:
        yield DATA[:100]
        raise RuntimeError("generator died")

    with pytest.raises(RuntimeError, match="generator died"):
        store.publish(SOURCE, chunks())
    assert names(store) == []


def test_publishing_clears_what_a_killed_writer_left(store: FileStore) -> None:
    killed = store.incoming(SOURCE)
    killed.write(DATA[:20])
    killed.keep()
    store.publish(SOURCE, [DATA])
    assert names(store) == [sha256(DATA)]


def test_full_disk_frees_what_was_written(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming = store.incoming(SOURCE)
    incoming.write(DATA[:100])

    def refuse(file: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(ResourceError, match=f"{len(DATA) - 100:,} bytes"):
        incoming.write(DATA[100:])
    assert names(store) == []


def test_publishing_again_is_no_error(store: FileStore) -> None:
    assert store.publish(SOURCE, [DATA]) == store.publish(SOURCE, [DATA])
    assert names(store) == [sha256(DATA)]


def test_file_is_hashed_at_first_use_and_then_trusted_for_this_process(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.publish(SOURCE, [DATA])
    hashed: list[Path] = []

    def counting(path: Path, progress: Progress) -> FileSum:
        hashed.append(path)
        return hash_file(path)

    monkeypatch.setattr("stilts_artifact.data.store.hash_shown", counting)
    later = FileStore(store.folder.parent)
    assert [later.get(SOURCE), later.get(SOURCE)] == [store.path(SOURCE)] * 2
    assert hashed == [store.path(SOURCE)]


def test_file_that_was_put_there_by_hand_is_not_trusted(store: FileStore) -> None:
    store.folder.mkdir(parents=True)
    store.path(SOURCE).write_bytes(b"x" * len(DATA))
    with pytest.raises(IntegrityError, match=sha256(b"x" * len(DATA))):
        store.get(SOURCE)
    assert names(store) == [f"{sha256(DATA)}.corrupt"]
    assert store.get(SOURCE) is None
    store.publish(SOURCE, [DATA])
    assert store.get(SOURCE) == store.path(SOURCE)


def test_changed_file_of_a_store_that_cannot_be_written_is_still_an_error(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.folder.mkdir(parents=True)
    store.path(SOURCE).write_bytes(b"changed")

    def refuse(self: Path, target: Path) -> Path:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "replace", refuse)
    for _ in range(2):
        with pytest.raises(IntegrityError, match="changed after it was published"):
            store.get(SOURCE)


def test_file_that_cannot_be_read_is_a_resource_error(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.folder.mkdir(parents=True)
    store.path(SOURCE).write_bytes(DATA)

    def refuse(path: Path, progress: Progress) -> FileSum:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("stilts_artifact.data.store.hash_shown", refuse)
    with pytest.raises(ResourceError, match="Permission denied"):
        store.get(SOURCE)


@pytest.mark.parametrize("call", ["fsync", "open"])
def test_disk_that_fails_at_the_end_publishes_nothing(
    store: FileStore, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    store.folder.mkdir(parents=True)

    def refuse(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(ResourceError) as caught:
        store.publish(SOURCE, [DATA])
    monkeypatch.undo()
    assert str(store.folder) in str(caught.value)
    assert names(store) == []


def test_files_are_readable_as_the_umask_allows(store: FileStore) -> None:
    before = os.umask(0o022)
    try:
        path = store.publish(SOURCE, [DATA])
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_resume_starts_with_the_longest_orphan_and_removes_all(store: FileStore) -> None:
    for number, content in enumerate([DATA[:10], DATA[:300], b""]):
        incoming = store.incoming(SOURCE)
        incoming.write(content)
        incoming.keep()
        assert len(names(store)) == number + 1
    resumed = store.resume(SOURCE)
    assert (resumed.size, resumed.sha256) == (300, sha256(DATA[:300]))
    assert names(store) == [resumed.path.name]
    resumed.write(DATA[300:])
    assert store.commit(resumed, SOURCE).read_bytes() == DATA


def test_an_orphan_is_copied_only_until_it_is_known_to_be_too_long(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming = store.incoming(SOURCE)
    os.truncate(incoming.path, 64 << 20)
    incoming.keep()
    copied: list[int] = []
    really = Incoming.write

    def counting(incoming: Incoming, chunk: bytes) -> None:
        copied.append(len(chunk))
        really(incoming, chunk)

    monkeypatch.setattr(Incoming, "write", counting)
    assert store.resume(SOURCE).size == 0
    assert copied == [1 << 20]


def test_resume_leaves_a_living_writer_alone(store: FileStore) -> None:
    living = store.incoming(SOURCE)
    living.write(DATA[:50])
    resumed = store.resume(SOURCE)
    assert resumed.size == 0
    assert living.path.exists()
    resumed.discard()
    living.discard()


def test_orphan_longer_than_the_file_is_dropped(store: FileStore) -> None:
    incoming = store.incoming(SOURCE)
    incoming.write(DATA + b"more")
    incoming.keep()
    assert store.resume(SOURCE).size == 0


def test_writer_robbed_of_its_file_says_so_unless_the_file_is_published(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where locks do nothing, a second process takes a living writer's file for orphaned."""
    monkeypatch.setattr(fcntl, "flock", lambda file, operation: None)
    robbed = store.incoming(SOURCE)
    robbed.write(DATA)
    robber = store.resume(SOURCE)
    assert robber.size == len(DATA)
    os.pwrite(robbed._locked.file, b"late", 0)  # what it still writes reaches nobody
    with pytest.raises(IncomingLostError):
        store.commit(robbed, SOURCE)
    assert store.commit(robber, SOURCE).read_bytes() == DATA

    late = store.incoming(SOURCE)
    late.write(DATA)
    late.path.unlink()
    assert store.commit(late, SOURCE) == store.path(SOURCE)
