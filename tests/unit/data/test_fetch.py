from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.data.download import Downloader
from stilts_artifact.data.fetch import Failure, FetchReport, fetch, sources_of, take_stock
from stilts_artifact.data.library import Library
from stilts_artifact.data.progress import Doing
from stilts_artifact.data.receive import Patience
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Source
from stilts_artifact.errors import (
    ConfigError,
    ExitCode,
    IntegrityError,
    MissingDataError,
    ResourceError,
)
from tests.faults import server as faults
from tests.faults.server import FaultServer
from tests.unit.data.pins import pinned, sha256, unpinned

DATA = b"upstream bytes\n" * 500


class Recorder:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, object]] = []

    def start(self, name: str, total: int, doing: Doing = "fetching") -> None:
        self.events.append((name, total))

    def advance(self, count: int) -> None:
        self.events.append(("advance", count))

    def finish(self) -> None:
        self.events.append(("finish", None))

    def received(self) -> int:
        return sum(
            count for event, count in self.events if event == "advance" and isinstance(count, int)
        )


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


def library_of(tmp_path: Path, *sources: Source) -> Library:
    brought = tmp_path / "data"
    brought.mkdir(exist_ok=True)
    return Library(
        {source.name: source for source in sources}, FileStore(tmp_path / "store"), [brought]
    )


def test_report_tells_present_downloaded_and_failed_apart_and_goes_on(
    server: FaultServer, tmp_path: Path
) -> None:
    server.answers["/new.tsv"] = faults.whole(DATA)
    stored = pinned(b"in the store", f"{server.url}/stored.tsv", name="stored.tsv")
    brought = pinned(b"in the folder", f"{server.url}/brought.tsv", name="brought.tsv")
    lost = pinned(b"nowhere", f"{server.url}/lost.tsv", name="lost.tsv")
    licensed = unpinned("licensed.tgz")
    new = pinned(DATA, f"{server.url}/new.tsv", name="new.tsv")
    library = library_of(tmp_path, stored, brought, lost, licensed, new)
    library.store.publish(stored, [b"in the store"])
    (tmp_path / "data" / "under-any-name").write_bytes(b"in the folder")
    report = fetch([stored, brought, lost, licensed, new], library)
    assert report.present == [("stored.tsv", "store"), ("brought.tsv", "data folder, by sha256")]
    assert report.downloaded == ["new.tsv"]
    assert [type(error) for error in report.failures] == [MissingDataError]
    assert "HTTP 404" in str(report.failures[0])
    assert [failure.source for failure in report.by_hand] == [licensed]
    assert "Buy it." in str(report.by_hand[0].error)
    assert library.store.path(new).read_bytes() == DATA
    assert [path for path, _ in server.requests] == ["/lost.tsv", "/new.tsv"]
    assert fetch([new], library).present == [("new.tsv", "store")]


def test_unpinned_source_is_never_downloaded(server: FaultServer, tmp_path: Path) -> None:
    source = Source(
        "ccg.tgz", (f"{server.url}/ccg.tgz",), None, None, "licensed", "Buy it.", "nobody"
    )
    report = fetch([source], library_of(tmp_path, source), mirrors=[server.url])
    assert [type(error) for error in report.failures] == [MissingDataError]
    assert server.requests == []


def test_mirrors_are_tried_first_by_name_then_by_sha256(
    server: FaultServer, tmp_path: Path
) -> None:
    source = pinned(DATA, f"{server.url}/upstream/corpus.tsv?version=2", name="nice name.tsv")
    server.answers[f"/b/{sha256(DATA)}"] = faults.whole(DATA)
    server.answers["/upstream/corpus.tsv?version=2"] = faults.whole(DATA)
    report = fetch(
        [source], library_of(tmp_path, source), mirrors=[f"{server.url}/a/", f"{server.url}/b"]
    )
    assert report.downloaded == ["nice name.tsv"]
    expected = ["/a/corpus.tsv", f"/a/{sha256(DATA)}", "/b/corpus.tsv", f"/b/{sha256(DATA)}"]
    assert [path for path, _ in server.requests] == expected


def test_upstream_follows_when_mirrors_have_nothing_or_another_file(
    server: FaultServer, tmp_path: Path
) -> None:
    source = pinned(DATA, f"{server.url}/upstream/corpus.tsv")
    server.answers |= {
        "/mirror/corpus.tsv": faults.whole(b"another file of this name"),
        "/upstream/corpus.tsv": faults.whole(DATA),
    }
    report = fetch([source], library_of(tmp_path, source), mirrors=[f"{server.url}/mirror"])
    assert report.downloaded == [source.name]
    assert server.requests[-1][0] == "/upstream/corpus.tsv"


def test_source_without_urls_can_come_from_a_mirror(server: FaultServer, tmp_path: Path) -> None:
    source = pinned(DATA, name="by hand.zip")
    server.answers["/by%20hand.zip"] = faults.whole(DATA)
    assert fetch([source], library_of(tmp_path, source), mirrors=[server.url]).downloaded == [
        "by hand.zip"
    ]
    assert (
        fetch([pinned(b"x")], library_of(tmp_path, pinned(b"x"))).by_hand[0].error.fix
        == "Ask the author."
    )


@pytest.mark.parametrize(
    "mirror",
    [
        "file:///tmp",
        "mirror.example.org",
        "../folder",
        "ftp://mirror.example.org",
        "",
        "http://",
        "http:///folder",
        "http://[::1",
        "http://user:secret@[::1",
        "http://user:secret@mirror.example.org:port/",
        "https://mirror.example.org:99999",
        "https://mirror.example.org/?token=secret",
        "https://mirror.example.org/#folder",
        "https://mirror.example.org/a folder",
        "https://mirror.example.org/\n",
        "https://mirror.example.org/\udcff",
    ],
)
def test_mirror_must_be_an_http_url(tmp_path: Path, mirror: str) -> None:
    with pytest.raises(ConfigError, match="--data") as caught:
        fetch([], library_of(tmp_path), mirrors=[mirror])
    assert "secret" not in str(caught.value)


def test_generated_source_with_other_bytes_than_its_pin_is_refused(tmp_path: Path) -> None:
    source = pinned(DATA, "miniworld:corpus.tsv")
    library = library_of(tmp_path, source)
    report = fetch([source], library, openers={"miniworld": lambda url: url.encode()})
    assert [type(error) for error in report.failures] == [IntegrityError]
    assert sha256(b"miniworld:corpus.tsv") in str(report.failures[0])
    assert not library.store.has(source)


def test_progress_adds_up_to_the_file_even_after_a_restart(
    server: FaultServer, tmp_path: Path
) -> None:
    source = pinned(DATA, f"{server.url}/corpus.tsv")
    server.answers["/corpus.tsv"] = faults.then(
        faults.cut(DATA, 1_000), faults.whole(DATA, ranges=False)
    )
    recorder = Recorder()
    Downloader(FileStore(tmp_path), Patience(delays=(0.0,)), recorder).download(source, source.urls)
    assert recorder.events[0] == (source.name, len(DATA))
    assert ("advance", -1_000) in recorder.events
    assert recorder.received() == len(DATA)
    assert recorder.events[-1] == ("finish", None)


def test_progress_of_a_generated_and_of_a_failed_source_ends(
    server: FaultServer, tmp_path: Path
) -> None:
    made, lost = (
        pinned(DATA, "miniworld:a", name="a"),
        pinned(b"lost", f"{server.url}/lost", name="lost"),
    )
    recorder = Recorder()
    openers = {"miniworld": lambda url: DATA}
    fetch([made, lost], library_of(tmp_path, made, lost), openers=openers, progress=recorder)
    assert recorder.received() == len(DATA)
    assert [event for event, _ in recorder.events if event != "advance"] == [
        "a",
        "finish",
        "lost",
        "finish",
    ]


def test_server_is_asked_for_the_bytes_as_they_are(server: FaultServer, tmp_path: Path) -> None:
    asked: list[tuple[str | None, str | None]] = []

    def answer(handler: faults.Handler) -> None:
        asked.append((handler.headers.get("Accept-Encoding"), handler.headers.get("User-Agent")))
        faults.whole(DATA)(handler)

    server.answers["/corpus.tsv"] = answer
    source = pinned(DATA, f"{server.url}/corpus.tsv")
    fetch([source], library_of(tmp_path, source))
    assert [encoding for encoding, _ in asked] == ["identity"]
    assert str(asked[0][1]).startswith("stilts-artifact/")


def test_the_gravest_failure_decides_the_exit_code() -> None:
    source = pinned(DATA, "https://a.example.org/corpus.tsv")
    errors = MissingDataError("absent"), ResourceError("disk full"), IntegrityError("other bytes")
    failed = [Failure(source, error) for error in errors]
    assert FetchReport().exit_code is ExitCode.REPRODUCED
    assert FetchReport(absent=failed[:1]).exit_code is ExitCode.DATA
    assert FetchReport(absent=failed[:2]).exit_code is ExitCode.RESOURCE
    assert FetchReport(absent=failed).exit_code is ExitCode.INTEGRITY


def test_what_can_only_be_brought_by_hand_fails_nothing_unless_it_is_wrong(tmp_path: Path) -> None:
    licensed = unpinned("licensed.tgz")
    library = library_of(tmp_path, licensed)
    assert fetch([licensed], library).exit_code is ExitCode.REPRODUCED
    for folder in ("a", "b"):
        (tmp_path / "data" / folder).mkdir()
        (tmp_path / "data" / folder / "licensed.tgz").write_text(folder)
    report = fetch([licensed], library_of(tmp_path, licensed))
    assert (report.by_hand, report.exit_code) == ([], ExitCode.DATA), "here in two versions"


def test_a_stock_tells_files_to_download_from_those_to_bring(tmp_path: Path) -> None:
    here = pinned(b"in the store", "https://a.example.org/1", name="here.tsv")
    absent = pinned(DATA, "https://a.example.org/2", name="absent.tsv")
    licensed, brought = unpinned("licensed.tgz"), unpinned("brought.tgz")
    sources = [here, absent, licensed, brought]
    library = library_of(tmp_path, *sources)
    library.store.publish(here, [b"in the store"])
    (tmp_path / "data" / "brought.tgz").write_text("bought")
    stock = take_stock(sources, library)
    assert (stock.absent, stock.by_hand) == ((absent,), (licensed,))
    assert str(stock) == "1 of 2 downloadable files are here, 1 to be brought by hand"


def test_without_a_public_size_the_server_is_asked_for_it_and_the_sha256_decides(
    server: FaultServer, tmp_path: Path
) -> None:
    source = replace(pinned(DATA, f"{server.url}/corpus.tsv"), bytes=None)
    server.answers["/corpus.tsv"] = faults.whole(DATA[::-1])
    (error,) = fetch([source], library_of(tmp_path, source)).failures
    assert isinstance(error, IntegrityError)
    server.answers["/corpus.tsv"] = faults.whole(DATA)
    library = library_of(tmp_path, source)
    assert fetch([source], library).downloaded == [source.name]
    library.place(source, tmp_path / "placed")
    assert (tmp_path / "placed").read_bytes() == DATA


@pytest.mark.parametrize("name", ["corpus.tsv", sha256(DATA)])
def test_without_a_public_size_a_brought_file_is_found_by_name_or_sha256(
    tmp_path: Path, name: str
) -> None:
    source = replace(pinned(DATA), bytes=None)
    library = library_of(tmp_path, source)
    (tmp_path / "data" / name).write_bytes(DATA)
    assert library.absent([source]) == []
    assert library.satisfied_by(source) == "data folder, by sha256"
    library.place(source, tmp_path / "placed")
    assert (tmp_path / "placed").read_bytes() == DATA


def test_sources_of_tasks_are_those_of_all_their_splits_once() -> None:
    benchmark = load_benchmark("mini")
    sources = sources_of(benchmark, ["xquad", "squad_v1"])
    needed = {
        part.source
        for name in ("xquad", "squad_v1")
        for parts in benchmark.tasks[name].parts.values()
        for part in parts
    }
    assert len(sources) == len(needed) > 1
    assert {source.name for source in sources} == needed
    with pytest.raises(ConfigError, match="xqaud"):
        sources_of(benchmark, ["xqaud"])


def test_what_only_a_study_reads_is_asked_for_by_name_alone() -> None:
    benchmark = load_benchmark("mini")
    own = unpinned("study.conllu")
    part = replace(benchmark.tasks["udpos"].parts["dev", "qen"][0], source=own.name)
    task = replace(benchmark.tasks["ud_feats"], name="of_a_study", parts={("dev", "qen"): (part,)})
    more = replace(
        benchmark,
        tasks={**benchmark.tasks, task.name: task},
        sources={**benchmark.sources, own.name: own},
    )
    of_the_paper = [
        source for name, source in benchmark.sources.items() if not name.startswith("ntrex/")
    ]
    assert len(of_the_paper) == len(benchmark.sources) - 9
    assert sources_of(benchmark, []) == sources_of(more, []) == of_the_paper
    assert sources_of(more, ["of_a_study"]) == [own]
    assert [source.name for source in sources_of(more, ["ud_feats"])] == ["ud-treebanks-v2.5.tgz"]
