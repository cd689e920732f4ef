"""Faults of disks, processes and files during and after a fetch, each injected for real."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from stilts_artifact.data.fetch import fetch
from stilts_artifact.data.library import Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Part, Source
from stilts_artifact.errors import IntegrityError, ResourceError
from tests.faults import server as faults
from tests.faults.fetching import DATA, HALF, assert_published, download, files_of, serve
from tests.faults.server import FaultServer, wait_until
from tests.unit.data.pins import pinned


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_failing_disk_is_named_with_the_bytes_needed(
    server: FaultServer, store: FileStore, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    source = serve(server, faults.whole(DATA))
    really_write = os.write

    def write(file: int, data: memoryview) -> int:
        if os.lseek(file, 0, os.SEEK_CUR) > 0:
            raise OSError(code, os.strerror(code))
        return really_write(file, data[:1_000])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(ResourceError) as caught:
        download(source, store)
    assert str(store.folder) in str(caught.value)
    assert f"{len(DATA):,} bytes" in str(caught.value)
    assert files_of(store) == []
    monkeypatch.undo()
    download(source, store)
    assert_published(store, source)


def test_disk_that_is_too_small_is_found_before_the_download(
    server: FaultServer, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = serve(server, faults.whole(DATA))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=len(DATA) - 1))
    with pytest.raises(ResourceError, match=f"{len(DATA) - 1:,} bytes free"):
        download(source, store)
    assert server.requests == []
    assert files_of(store) == []


def test_store_where_no_folder_can_be_made(server: FaultServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ResourceError, match="cannot be written"):
        download(serve(server, faults.whole(DATA)), FileStore(tmp_path / "file" / "store"))


def start(store: FileStore, source: Source, *injected: str) -> subprocess.Popen[str]:
    """Download in a process of its own."""
    script = Path(__file__).with_name("fetch_child.py")
    command = [
        sys.executable,
        str(script),
        str(store.folder.parent),
        source.urls[0],
        str(source.bytes),
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [*command, str(source.sha256), *injected],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_file_size_limit_ends_with_a_resource_error(server: FaultServer, store: FileStore) -> None:
    """RLIMIT_FSIZE makes the kernel itself cut a write short and refuse the next."""
    source = serve(server, faults.whole(DATA))
    child = start(store, source, "small-files")
    _, errors = child.communicate(timeout=20)
    assert child.returncode == ResourceError.exit_code
    assert "no room left" in errors
    assert files_of(store) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "injected"), [(2, ()), (8, ()), (8, ("no-locks",))], ids=["2", "8", "8-no-locks"]
)
def test_processes_that_fetch_the_same_file(
    server: FaultServer, store: FileStore, processes: int, injected: list[str]
) -> None:
    source = serve(server, faults.drip(DATA, 8_000, 0.03))
    children = [start(store, source, *injected) for _ in range(processes)]
    errors = [child.communicate(timeout=25)[1] for child in children]
    assert [child.returncode for child in children] == [0] * processes, errors
    assert_published(store, source)


def test_kill_in_the_middle_of_a_fetch_is_resumed_by_the_next_run(
    server: FaultServer, store: FileStore
) -> None:
    source = serve(server, faults.stall(DATA, HALF), faults.whole(DATA))
    child = start(store, source)

    def half_is_written() -> bool:
        return any(path.stat().st_size == HALF for path in store.folder.glob("*.part"))

    wait_until(half_is_written)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=10)
    assert not store.has(source)
    assert len(files_of(store)) == 1
    download(source, store)
    assert_published(store, source)
    assert server.ranges() == [None, f"bytes={HALF}-"]


@pytest.mark.slow
def test_kill_between_hash_and_rename_needs_no_second_download(
    server: FaultServer, store: FileStore
) -> None:
    source = serve(server, faults.whole(DATA))
    child = start(store, source, "die-before-rename")
    child.communicate(timeout=20)
    assert child.returncode == -signal.SIGKILL
    assert not store.has(source)
    download(source, store)
    assert_published(store, source)
    assert len(server.requests) == 1


def edit(path: Path) -> None:
    """Turn one bit of a file; its size and times stay."""
    times = path.stat()
    path.write_bytes(faults.flipped(path.read_bytes(), 100))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_file_edited_after_publication_is_found_set_aside_and_mended(
    server: FaultServer, tmp_path: Path
) -> None:
    store = FileStore(tmp_path)
    source = serve(server, faults.whole(DATA))
    download(source, store)
    edit(store.path(source))
    later = Library({source.name: source}, FileStore(tmp_path))  # as another process opens it
    assert later.missing([Part(source.name, "lines")]) == []
    with pytest.raises(IntegrityError) as caught:
        later.documents(Part(source.name, "lines"))
    text = str(caught.value)
    assert f"{source.sha256}.corrupt" in text
    assert text.count("sha256 ") == 2
    assert "stilts-artifact fetch" in text
    report = fetch([source], later)
    assert (report.downloaded, report.failures) == ([source.name], [])
    assert later.documents(Part(source.name, "lines"))[0].data == DATA


def test_fetch_itself_mends_an_edited_file_unless_offline(
    server: FaultServer, tmp_path: Path
) -> None:
    source = serve(server, faults.whole(DATA))
    for offline, outcome in ((True, IntegrityError), (False, None)):
        store = FileStore(tmp_path / str(offline))
        download(source, store)
        edit(store.path(source))
        report = fetch(
            [source],
            Library({source.name: source}, FileStore(tmp_path / str(offline))),
            offline=offline,
        )
        assert [type(error) for error in report.failures] == ([outcome] if outcome else [])
        assert report.downloaded == ([] if outcome else [source.name])


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a socket was used")

    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse, raising=True)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("no_sockets")
def test_offline_opens_no_socket_lists_everything_missing_and_still_generates(
    store: FileStore,
) -> None:
    sources = [pinned(b"%d" % n, f"https://example.org/{n}.zip", name=f"{n}.zip") for n in range(3)]
    made = pinned(b"made here", "miniworld:made.tsv", name="made.tsv")
    library = Library({source.name: source for source in [*sources, made]}, store)
    report = fetch(
        [*sources, made],
        library,
        offline=True,
        mirrors=["https://mirror.example.org"],
        openers={"miniworld": lambda url: b"made here"},
    )
    assert report.downloaded == ["made.tsv"]
    assert report.present == []
    texts = [str(error) for error in report.failures]
    assert [f"{n}.zip is not on this machine" in text for n, text in enumerate(texts)] == [True] * 3
    for source, text in zip(sources, texts, strict=True):
        assert f"{source.bytes} bytes, sha256 {source.sha256}" in text
        assert "stilts-artifact fetch" in text
        assert source.obtain in text
        assert source.urls[0] in text


@pytest.mark.usefixtures("no_sockets")
def test_the_socket_guard_itself_works(store: FileStore) -> None:
    source = pinned(DATA, "http://127.0.0.1:1/corpus.tsv")
    with pytest.raises(AssertionError, match="a socket was used"):
        download(source, store)
