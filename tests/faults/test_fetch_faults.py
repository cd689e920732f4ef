"""Faults of servers and of the line during a fetch, each injected for real."""

from __future__ import annotations

import gzip
import socket
import time

import pytest

from stilts_artifact.data.download import Downloader
from stilts_artifact.data.receive import Patience
from stilts_artifact.data.store import FileStore
from stilts_artifact.errors import IntegrityError, MissingDataError
from tests.faults import server as faults
from tests.faults.fetching import (
    DATA,
    HALF,
    IMPATIENT,
    PAGE,
    assert_published,
    download,
    files_of,
    serve,
)
from tests.faults.server import Answer, FaultServer
from tests.unit.data.pins import pinned


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


def test_line_that_breaks_again_and_again_still_delivers(
    server: FaultServer, store: FileStore
) -> None:
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


def test_server_that_sends_another_range_restarts_cleanly(
    server: FaultServer, store: FileStore
) -> None:
    source = serve(
        server, faults.cut(DATA, HALF), faults.wrong_range(DATA, HALF - 7), faults.whole(DATA)
    )
    download(source, store)
    assert_published(store, source)
    assert server.ranges() == [None, f"bytes={HALF}-", None]


def test_flipped_bit_is_never_published_and_the_second_call_fails_too(
    server: FaultServer, store: FileStore
) -> None:
    source = serve(server, faults.whole(faults.flipped(DATA, HALF)))
    for _ in range(2):
        with pytest.raises(IntegrityError, match=str(source.sha256)):
            download(source, store)
        assert files_of(store) == []
    assert server.ranges() == [None, None]


def test_resumed_bytes_that_were_wrong_are_fetched_anew(
    server: FaultServer, store: FileStore
) -> None:
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
        (
            faults.page(DATA[:-9], chunked=True, media="text/plain"),
            f"a file of {len(DATA) - 9:,} bytes",
        ),
    ],
)
def test_wrong_body_is_refused_and_named(
    server: FaultServer, store: FileStore, answer: Answer, happened: str
) -> None:
    source = serve(server, answer)
    with pytest.raises(IntegrityError) as caught:
        download(source, store)
    assert happened in str(caught.value)
    assert f"{len(DATA):,} bytes, sha256 {source.sha256}" in str(caught.value)
    assert files_of(store) == []
    assert len(server.requests) == 1


def test_file_labelled_as_gzip_is_taken_as_its_bytes_are(
    server: FaultServer, store: FileStore
) -> None:
    """Some servers call a .tar.gz an encoding of a tar; decoded, it is not the pinned file."""
    packed = gzip.compress(DATA)

    def answer(handler: faults.Handler) -> None:
        handler.begin(200, Content_Encoding="gzip", Content_Length=len(packed))
        handler.wfile.write(packed)

    server.answers["/corpus.tsv.gz"] = answer
    source = pinned(packed, f"{server.url}/corpus.tsv.gz")
    assert download(source, store).read_bytes() == packed


def test_page_that_comes_while_resuming_does_not_cost_the_bytes(
    server: FaultServer, store: FileStore
) -> None:
    source = serve(server, faults.cut(DATA, HALF), faults.page(PAGE))
    with pytest.raises(IntegrityError):
        download(source, store)
    server.answers["/corpus.tsv"] = faults.whole(DATA)
    download(source, store)
    assert_published(store, source)
    assert server.ranges()[-1] == f"bytes={HALF}-"


@pytest.mark.parametrize(
    "answer", [faults.stall(DATA, 100), faults.drip(DATA, 20, 0.1)], ids=["stall", "drip"]
)
def test_stalled_server_is_left_after_a_bounded_time(
    server: FaultServer, store: FileStore, answer: Answer
) -> None:
    source = serve(server, answer)
    began = time.monotonic()
    with pytest.raises(MissingDataError, match=r"stalled for 0\.4 s"):
        download(source, store)
    assert (
        time.monotonic() - began < 30
    )  # bounded, whatever the load of the machine; the server would go on for longer
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


def test_missing_file_moves_on_to_the_next_address_at_once(
    server: FaultServer, store: FileStore
) -> None:
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


def test_final_error_lists_every_attempt_without_passwords(
    server: FaultServer, store: FileStore
) -> None:
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
def test_redirect_to_another_scheme_is_refused(
    server: FaultServer, store: FileStore, place: str
) -> None:
    source = serve(server, faults.redirect(place))
    with pytest.raises(MissingDataError, match="refused"):
        download(source, store)
    assert len(server.requests) == 1
    assert files_of(store) == []


def test_redirect_to_another_host_is_followed_and_the_hash_decides(
    server: FaultServer, store: FileStore
) -> None:
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
