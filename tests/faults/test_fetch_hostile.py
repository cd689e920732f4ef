"""Servers that want to keep, fill or mislead who asks: answers are bounded, no password leaks."""

from __future__ import annotations

import contextlib
import random
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stilts_artifact.data import transport
from stilts_artifact.data.download import Downloader
from stilts_artifact.data.receive import Patience
from stilts_artifact.data.store import FileStore
from stilts_artifact.errors import ArtifactError, IntegrityError, MissingDataError
from tests.faults import server as faults
from tests.faults.fetching import DATA, HALF, IMPATIENT, assert_published, download, serve
from tests.faults.server import Answer, FaultServer
from tests.unit.data.pins import pinned

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE = b"%x\r\n%s\r\n" % (len(DATA), DATA)


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    [
        faults.flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        faults.flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n", OK + b"Content-Length: 0\r\n\r\n"),
        faults.flood(b"", b"HTTP/1.1 100 Continue\r\nX: %s\r\n\r\n" % (b"x" * 9_000)),
        faults.flood(OK + b"X: ", b"x" * 1_000),
        faults.flood(OK, b"X: %s\r\n" % (b"x" * 3_000)),
        faults.flood(b"HTTP/1.1 200 ", b"O" * 1_000),
        faults.flood(CHUNKED, b"1;%s\r\nx\r\n" % (b"x" * 5_000)),
        faults.flood(CHUNKED + b"1;", b"x" * 1_000),
        faults.flood(CHUNKED, b"0" * 1_000),
        faults.flood(CHUNKED, b"1\r\nx\r\n"),
        faults.flood(CHUNKED + WHOLE + b"0\r\n", b"X: %s\r\n" % (b"x" * 1_000)),
        faults.flood(CHUNKED + WHOLE + b"0\r\nX: ", b"x" * 1_000),
    ],
    ids=[
        "continue",
        "continue-then-answer",
        "continue-with-headers",
        "one-header",
        "headers",
        "status-line",
        "chunk-extensions",
        "one-chunk-extension",
        "chunk-size",
        "tiny-chunks",
        "trailers",
        "one-trailer",
    ],
)
def test_an_answer_without_end_is_left(
    server: FaultServer, store: FileStore, answer: Answer
) -> None:
    source = serve(server, answer)
    with pytest.raises(ArtifactError) as caught:
        download(source, store)
    assert not store.has(source)
    assert len(str(caught.value)) < 3_000
    assert len(server.requests) <= 1 + len(IMPATIENT.delays)


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 ", CHUNKED + b"5;"])
def test_an_answer_that_trickles_is_left_wherever_it_does(
    server: FaultServer, store: FileStore, start: bytes
) -> None:
    """A byte comes before each wait for one ends: only the speed of the whole tells."""
    source = serve(server, faults.trickle(start, pause=IMPATIENT.stall / 8))
    with pytest.raises(MissingDataError, match=r"stalled for 0\.4 s"):
        download(source, store)
    assert len(server.requests) <= 1 + len(IMPATIENT.delays)


@pytest.mark.parametrize("answered", [b"hello\r\n\r\n", b"\x16\x03\x01", b"HTTP/9.9 x\r\n\r\n"])
def test_what_is_no_http_is_named_so(
    server: FaultServer, store: FileStore, answered: bytes
) -> None:
    source = serve(server, faults.raw(answered))
    with pytest.raises(MissingDataError, match="no answer in HTTP"):
        download(source, store)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "length",
    [b"-1", b"9" * 5_000, b"9" * 30, b"x", b"1, 2", b"", b"\xb2", b"1\r\nContent-Length: 2"],
)
def test_a_length_that_cannot_be_is_no_fault_of_this_program(
    server: FaultServer, store: FileStore, length: bytes
) -> None:
    source = serve(server, faults.raw(OK + b"Content-Length: " + length + b"\r\n\r\n" + DATA[1:]))
    with pytest.raises(ArtifactError) as caught:
        download(source, store)
    assert not store.has(source)
    assert len(str(caught.value)) < 3_000


@pytest.mark.parametrize(
    "stated",
    [
        b"Content-Type: multipart/byteranges; boundary=x",
        b"Content-Range: bytes %s-9/9" % (b"9" * 5_000),
        b"Content-Range: bytes %d-%d/%s" % (HALF, len(DATA) - 1, b"9" * 5_000),
        b"Content-Range: bytes %d-%d/%d" % (HALF + 1, len(DATA) - 1, len(DATA)),
        b"Content-Range: bytes */%d" % len(DATA),
    ],
    ids=["multipart", "absurd-start", "absurd-total", "another-start", "none"],
)
def test_a_range_that_was_not_asked_for_restarts_cleanly(
    server: FaultServer, store: FileStore, stated: bytes
) -> None:
    partial = b"HTTP/1.1 206 Partial Content\r\n" + stated + b"\r\n\r\n" + DATA[HALF:]
    source = serve(server, faults.cut(DATA, HALF), faults.raw(partial), faults.whole(DATA))
    download(source, store)
    assert_published(store, source)
    assert server.ranges() == [None, f"bytes={HALF}-", None]


@pytest.mark.parametrize("total", [len(DATA) + 1, 3])
def test_a_file_that_has_another_size_by_now_is_refused(
    server: FaultServer, store: FileStore, total: int
) -> None:
    partial = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %d-%d/%d\r\n\r\n"
    answer = faults.raw(partial % (HALF, total - 1, total) + DATA[HALF:])
    source = serve(server, faults.cut(DATA, HALF), answer)
    with pytest.raises(IntegrityError, match=f"its file has {total:,} bytes"):
        download(source, store)


def test_416_while_resuming_restarts_cleanly(server: FaultServer, store: FileStore) -> None:
    source = serve(server, faults.cut(DATA, HALF), faults.status(416), faults.whole(DATA))
    download(source, store)
    assert_published(store, source)


@pytest.mark.slow
def test_random_answers_raise_nothing_but_our_errors(server: FaultServer, store: FileStore) -> None:
    """Damaged status lines, headers, chunk lines, trailers and redirects."""
    chance, body = random.Random(13), DATA[:200]
    source = pinned(body, f"{server.url}/corpus.tsv")
    redirect = b"HTTP/1.1 302 Found\r\nLocation: %s/corpus.tsv\r\nSet-Cookie: a=b\r\n\r\n"
    answers = [
        OK + b"Content-Length: 200\r\nContent-Type: text/html\r\n\r\n" + body,
        CHUNKED + b"64;x=y\r\n%s\r\n64\r\n%s\r\n0\r\nX: y\r\n\r\n" % (body[:100], body[100:]),
        b"HTTP/1.1 206 x\r\nContent-Range: bytes 0-199/200\r\n\r\n" + body,
        redirect % server.url.encode(),
    ]
    for _ in range(200):
        answer = bytearray(chance.choice(answers))
        head = answer.index(b"\r\n\r\n") + 8
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(head)
            answer[at : at + chance.choice([1, 1, 4])] = chance.randbytes(chance.choice([1, 4, 0]))
        server.answers["/corpus.tsv"] = faults.raw(bytes(answer))
        with contextlib.suppress(ArtifactError):
            Downloader(store, Patience(2.0, 2.0, ())).download(source, source.urls)
            assert store.path(source).read_bytes() == body
            store.path(source).unlink()


def test_many_attempts_are_counted_and_not_all_listed(
    server: FaultServer, store: FileStore
) -> None:
    step = len(DATA) // 100
    source = serve(server, faults.cut(faults.flipped(DATA, 0), step))
    patience = Patience(delays=(0.0, 0.0), step=step)
    with pytest.raises(IntegrityError) as caught:
        Downloader(store, patience).download(source, source.urls)
    assert len(server.requests) > 90
    assert str(caught.value).count("\n") < 50
    assert "earlier attempts, and then:" in str(caught.value)


# Redirects


def test_the_body_of_a_redirect_is_not_read(server: FaultServer, store: FileStore) -> None:
    server.answers["/elsewhere"] = faults.whole(DATA)
    answer = faults.redirect_by(b"Location: /elsewhere\r\n", body=b"x" * 65_536)
    source = serve(server, answer)
    download(source, store)
    assert_published(store, source)


@pytest.mark.parametrize("place", ["elsewhere", "./elsewhere", "?x=1", "/a/../elsewhere", "#x"])
def test_a_relative_redirect_is_followed(server: FaultServer, store: FileStore, place: str) -> None:
    server.answers |= dict.fromkeys(["/elsewhere", "/corpus.tsv?x=1"], faults.whole(DATA))
    source = serve(server, faults.redirect(place), faults.whole(DATA))
    download(source, store)
    assert_published(store, source)


def test_redirects_are_followed_so_often_and_no_more(server: FaultServer, store: FileStore) -> None:
    source = serve(server, faults.redirect("/corpus.tsv"))
    with pytest.raises(MissingDataError, match=f"more than {transport.MAX_REDIRECTS} redirects"):
        download(source, store)
    assert len(server.requests) == transport.MAX_REDIRECTS + 1


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"Location:\r\nLocation: /elsewhere\r\n",
        b"Location: http://[::1/elsewhere\r\n",
        b"Location: http://127.0.0.1:99999/elsewhere\r\n",
        b"Location: \xff\xfe\r\n",
        b"Location: /%s\r\n" % (b"x" * 9_000),
        b"Location: http://user:secret@127.0.0.1/elsewhere\r\n",
        b"Location: file:///etc/hostname\r\n",
        b"Location: data:text/plain,x\r\n",
        b"Location: javascript:x\r\n",
        b"Location: FTP://127.0.0.1/elsewhere\r\n",
        b"Location: http://" + b"x" * 300 + b"/\r\n",
        b"Location: http://\xc3\xa9.%s/\r\n" % (b"x" * 70),
    ],
)
def test_a_redirect_that_leads_nowhere_is_refused(
    server: FaultServer, store: FileStore, head: bytes
) -> None:
    source = serve(server, faults.redirect_by(head))
    with pytest.raises(MissingDataError) as caught:
        download(source, store)
    assert len(str(caught.value)) < 2_000
    assert "secret" not in str(caught.value)
    assert {path for path, _ in server.requests} == {"/corpus.tsv"}


# Passwords


def test_a_password_stays_with_its_host(server: FaultServer, store: FileStore) -> None:
    with FaultServer() as other:
        other.answers["/elsewhere"] = faults.whole(DATA)
        server.answers["/again"] = faults.redirect(f"{other.url}/elsewhere")
        source = serve(server, faults.redirect("/again"))
        secret = server.url.replace("http://", "http://user:word@")
        download(source, store, f"{secret}/corpus.tsv")
        assert other.passwords == [None]
    assert server.passwords == ["Basic dXNlcjp3b3Jk"] * 2
    assert_published(store, source)


def test_passwords_of_this_user_go_nowhere(
    server: FaultServer, store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password word\ndefault login user password w\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    source = serve(server, faults.whole(DATA))
    download(source, store)
    assert server.passwords == [None]


def test_a_proxy_of_the_environment_is_asked_and_bounded_alike(
    server: FaultServer, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.url)
    address = "http://host.invalid/corpus.tsv"
    server.answers[address] = faults.flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n")
    source = serve(server, faults.whole(DATA))
    with pytest.raises(MissingDataError, match="more bytes than its answer may take"):
        download(source, store, address)
    assert [path for path, _ in server.requests] == [address]


# TLS


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    """A server over TLS whose certificate the environment names, as a site's own would be."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate)]
    command = ["openssl", "req", "-x509", "-days", "2", *made, *subject]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    server = FaultServer()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with server:
        yield server


@pytest.mark.slow
def test_a_redirect_from_https_to_http_is_refused(
    server: FaultServer, secure: FaultServer, store: FileStore
) -> None:
    server.answers["/corpus.tsv"] = faults.whole(DATA)
    secure.answers["/corpus.tsv"] = faults.redirect(f"{server.url}/corpus.tsv")
    address = secure.url.replace("http:", "https:") + "/corpus.tsv"
    source = pinned(DATA, address)
    with pytest.raises(MissingDataError, match="a redirect from https to http"):
        download(source, store)
    assert server.requests == []


@pytest.mark.slow
def test_answers_over_tls_are_bounded_alike(secure: FaultServer, store: FileStore) -> None:
    address = secure.url.replace("http:", "https:") + "/corpus.tsv"
    secure.answers["/corpus.tsv"] = faults.flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n")
    source = pinned(DATA, address)
    with pytest.raises(MissingDataError, match="more bytes than its answer may take"):
        download(source, store)
    secure.answers["/corpus.tsv"] = faults.whole(DATA)
    download(source, store)
    assert_published(store, source)


@pytest.mark.slow
def test_a_server_that_nobody_vouches_for_is_left(
    secure: FaultServer, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    source = pinned(DATA, secure.url.replace("http:", "https:") + "/corpus.tsv")
    with pytest.raises(MissingDataError, match="certificate verify failed"):
        download(source, store)
    assert secure.requests == []
