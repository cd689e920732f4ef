"""Faults of servers, disks and processes during a fetch, each injected for real."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from stilts_artifact.data import incoming
from stilts_artifact.data.download import Downloader, Patience
from stilts_artifact.data.fetch import fetch
from stilts_artifact.data.files import FileStore
from stilts_artifact.data.library import Library
from stilts_artifact.domain.tasks import Part, Source
from stilts_artifact.errors import IntegrityError, MissingDataError, ResourceError
from tests.faults import server as faults
from tests.faults.server import Answer, FaultServer, wait_until
from tests.unit.data.pins import pinned

DATA = b"".join(b"%06d\tsentence\n" % number for number in range(4_000))
HALF = len(DATA) // 2
PAGE = b"<!DOCTYPE html><html><body>Please log in.</body></html>"
IMPATIENT = Patience(connect=2.0, stall=0.4, delays=(0.01, 0.02))


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store")


def serve(server: FaultServer, *answers: Answer) -> Source:
    """A source that the server answers for as told."""
    server.answers["/corpus.tsv"] = faults.then(*answers)
    return pinned(DATA, f"{server.url}/corpus.tsv")


def download(source: Source, store: FileStore, *urls: str) -> Path:
    return Downloader(store, IMPATIENT).download(source, urls or source.urls)


def files_of(store: FileStore) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir()) if store.folder.exists() else []


def assert_published(store: FileStore, source: Source) -> None:
    """The file is there with its content, and nothing else is."""
    assert files_of(store) == [source.sha256]
    assert store.path(source).read_bytes() == DATA


@pytest.mark.parametrize("after", [0, 1, HALF, len(DATA) - 1])
def test_body_cut_short_is_never_published_and_the_next_call_completes_it(
    server: FaultServer, store: FileStore, after: int
) -> None:
    source = serve(server, faults.cut(DATA, after, ranges=False))
    with pytest.raises(IntegrityError, match=f"cut short after {after:,} of {len(DATA):,} bytes"):
        download(source, store)
    assert not store.has(source)
    server.answers["/corpus.tsv"] = faults.whole(DATA)
    download(source, store)
    assert_published(store, source)
    assert server.ranges()[-1] == (f"bytes={after}-" if after else None)


def test_line_that_breaks_again_and_again_still_delivers(server: FaultServer, store: FileStore) -> None:
    """More breaks than delays: new bytes start the delays over."""
    source = serve(server, faults.cut(DATA, 9_000))
    patience = Patience(delays=(0.0,), step=9_000)
    Downloader(store, patience).download(source, source.urls)
    assert_published(store, source)
    assert len(server.requests) == len(DATA) // 9_000 + 1
    assert server.ranges()[:2] == [None, "bytes=9000-"]


def test_server_that_ignores_ranges_restarts_cleanly(server: FaultServer, store: FileStore) -> None:
    source = serve(server, faults.cut(DATA, HALF), faults.whole(DATA, ranges=False))
    download(source, store)
    assert_published(store, source)
    assert server.ranges() == [None, f"bytes={HALF}-"]


def test_server_that_sends_another_range_restarts_cleanly(server: FaultServer, store: FileStore) -> None:
    source = serve(server, faults.cut(DATA, HALF), faults.wrong_range(DATA, HALF - 7), faults.whole(DATA))
    download(source, store)
    assert_published(store, source)
    assert server.ranges() == [None, f"bytes={HALF}-", None]


def test_flipped_bit_is_never_published_and_the_second_call_fails_too(server: FaultServer, store: FileStore) -> None:
    source = serve(server, faults.whole(faults.flipped(DATA, HALF)))
    for _ in range(2):
        with pytest.raises(IntegrityError, match=str(source.sha256)):
            download(source, store)
        assert files_of(store) == []
    assert server.ranges() == [None, None]


def test_resumed_bytes_that_were_wrong_are_fetched_anew(server: FaultServer, store: FileStore) -> None:
    damaged = faults.flipped(DATA, 5)
    source = serve(server, faults.cut(damaged, HALF), faults.whole(DATA))
    download(source, store)
    assert_published(store, source)
    assert server.ranges() == [None, f"bytes={HALF}-", None]


@pytest.mark.parametrize(
    ("answer", "happened"),
    [
        (faults.page(PAGE), f"an HTML page of {len(PAGE)} bytes"),
        (faults.page(PAGE, media="application/zip"), "an HTML page"),
        (faults.page(b"Please log in."), "an HTML page"),
        (faults.page(PAGE, chunked=True), f"an HTML page of {len(PAGE)} bytes"),
        (faults.gzipped(DATA), "a body encoded as gzip"),
        (faults.claims(DATA, len(DATA) - 3), f"a file of {len(DATA) - 3:,} bytes"),
        (faults.claims(DATA, len(DATA) + 3), f"a file of {len(DATA) + 3:,} bytes"),
        (faults.endless(DATA[:7_000]), f"of more than {len(DATA):,} bytes"),
        (faults.page(DATA[:-9], chunked=True, media="text/plain"), f"a file of {len(DATA) - 9:,} bytes"),
    ],
)
def test_wrong_body_is_refused_and_named(server: FaultServer, store: FileStore, answer: Answer, happened: str) -> None:
    source = serve(server, answer)
    with pytest.raises(IntegrityError) as caught:
        download(source, store)
    assert happened in str(caught.value)
    assert f"{len(DATA):,} bytes, sha256 {source.sha256}" in str(caught.value)
    assert files_of(store) == []
    assert len(server.requests) == 1


def test_file_labelled_as_gzip_is_taken_as_its_bytes_are(server: FaultServer, store: FileStore) -> None:
    """Some servers call a .tar.gz an encoding of a tar; decoded, it would not be the pinned file."""
    packed = gzip.compress(DATA)

    def answer(handler: faults.Handler) -> None:
        handler.begin(200, Content_Encoding="gzip", Content_Length=len(packed))
        handler.wfile.write(packed)

    server.answers["/corpus.tsv.gz"] = answer
    source = pinned(packed, f"{server.url}/corpus.tsv.gz")
    assert download(source, store).read_bytes() == packed


def test_page_that_comes_while_resuming_does_not_cost_the_bytes(server: FaultServer, store: FileStore) -> None:
    source = serve(server, faults.cut(DATA, HALF), faults.page(PAGE))
    with pytest.raises(IntegrityError):
        download(source, store)
    server.answers["/corpus.tsv"] = faults.whole(DATA)
    download(source, store)
    assert_published(store, source)
    assert server.ranges()[-1] == f"bytes={HALF}-"


@pytest.mark.parametrize("answer", [faults.stall(DATA, 100), faults.drip(DATA, 20, 0.1)], ids=["stall", "drip"])
def test_stalled_server_is_left_after_a_bounded_time(server: FaultServer, store: FileStore, answer: Answer) -> None:
    source = serve(server, answer)
    began = time.monotonic()
    with pytest.raises(MissingDataError, match=r"stalled for 0\.4 s"):
        download(source, store)
    assert time.monotonic() - began < 30  # bounded, whatever the load of the machine; the server would go on for longer
    assert len(server.requests) == 1 + len(IMPATIENT.delays)
    assert not store.has(source)


def test_busy_server_is_asked_again_with_the_declared_delays(
    server: FaultServer, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("stilts_artifact.data.download.time.sleep", slept.append)
    source = serve(server, faults.status(500), faults.status(503), faults.whole(DATA))
    download(source, store)
    assert_published(store, source)
    assert slept == [0.01, 0.02]


def test_missing_file_moves_on_to_the_next_address_at_once(server: FaultServer, store: FileStore) -> None:
    server.answers["/second"] = faults.whole(DATA)
    source = pinned(DATA)
    download(source, store, f"{server.url}/first", f"{server.url}/second")
    assert_published(store, source)
    assert [path for path, _ in server.requests] == ["/first", "/second"]


def test_refusal_is_not_asked_again(server: FaultServer, store: FileStore) -> None:
    source = serve(server, faults.status(403))
    with pytest.raises(MissingDataError, match="HTTP 403"):
        download(source, store)
    assert len(server.requests) == 1


def test_wrong_bytes_are_an_integrity_error_though_another_address_has_no_such_file(
    server: FaultServer, store: FileStore
) -> None:
    source = serve(server, faults.whole(DATA[1:]))
    with pytest.raises(IntegrityError, match="HTTP 404"):
        download(source, store, f"{server.url}/absent", *source.urls)
    with pytest.raises(MissingDataError, match="HTTP 404"):
        download(source, store, f"{server.url}/absent")


def test_final_error_lists_every_attempt_without_passwords(server: FaultServer, store: FileStore) -> None:
    server.answers |= {"/busy": faults.status(500), "/page": faults.page(PAGE)}
    source = pinned(DATA)
    secret = server.url.replace("http://", "http://user:secret@")
    with pytest.raises(MissingDataError) as caught:
        download(source, store, f"{secret}/absent", f"{server.url}/busy", f"{server.url}/page")
    text = str(caught.value)
    assert text.count("HTTP 404") == 1
    assert text.count(f"{server.url}/busy: HTTP 500") == 1 + len(IMPATIENT.delays)
    assert text.count("an HTML page") == 1
    assert "secret" not in text


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://127.0.0.1/corpus.tsv"])
def test_redirect_to_another_scheme_is_refused(server: FaultServer, store: FileStore, place: str) -> None:
    source = serve(server, faults.redirect(place))
    with pytest.raises(MissingDataError, match="refused"):
        download(source, store)
    assert len(server.requests) == 1
    assert files_of(store) == []


def test_redirect_to_another_host_is_followed_and_the_hash_decides(server: FaultServer, store: FileStore) -> None:
    with FaultServer() as other:
        other.answers["/elsewhere"] = faults.whole(DATA)
        source = serve(server, faults.redirect(f"{other.url}/elsewhere"))
        download(source, store)
    assert_published(store, source)


def test_host_that_does_not_answer_is_tried_for_one_file_only(store: FileStore) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/corpus.tsv"
    downloader = Downloader(store, IMPATIENT)
    source = pinned(DATA, url)
    with pytest.raises(MissingDataError, match="Connection refused"):
        downloader.download(source, source.urls)
    with pytest.raises(MissingDataError, match="not tried"):
        downloader.download(source, source.urls)


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

    monkeypatch.setattr(incoming.os, "write", write)
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
    command = [sys.executable, str(script), str(store.folder.parent), source.urls[0], str(source.bytes)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [*command, str(source.sha256), *injected], env=environment, stderr=subprocess.PIPE, text=True
    )


def test_file_size_limit_ends_with_a_resource_error(server: FaultServer, store: FileStore) -> None:
    """RLIMIT_FSIZE makes the kernel itself cut a write short and refuse the next."""
    source = serve(server, faults.whole(DATA))
    child = start(store, source, "small-files")
    _, errors = child.communicate(timeout=20)
    assert child.returncode == ResourceError.exit_code
    assert "no room left" in errors
    assert files_of(store) == []


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


def test_kill_in_the_middle_of_a_fetch_is_resumed_by_the_next_run(server: FaultServer, store: FileStore) -> None:
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


def test_kill_between_hash_and_rename_needs_no_second_download(server: FaultServer, store: FileStore) -> None:
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


def test_file_edited_after_publication_is_found_set_aside_and_mended(server: FaultServer, tmp_path: Path) -> None:
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


def test_fetch_itself_mends_an_edited_file_unless_offline(server: FaultServer, tmp_path: Path) -> None:
    source = serve(server, faults.whole(DATA))
    for offline, outcome in ((True, IntegrityError), (False, None)):
        store = FileStore(tmp_path / str(offline))
        download(source, store)
        edit(store.path(source))
        report = fetch([source], Library({source.name: source}, FileStore(tmp_path / str(offline))), offline=offline)
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
def test_offline_opens_no_socket_lists_everything_missing_and_still_generates(store: FileStore) -> None:
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
