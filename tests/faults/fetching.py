"""A file, the source that names it, and its download from a server that misbehaves as told."""

from __future__ import annotations

from pathlib import Path

from stilts_artifact.data.download import Downloader
from stilts_artifact.data.receive import Patience
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Source
from tests.faults import server as faults
from tests.faults.server import Answer, FaultServer
from tests.unit.data.pins import pinned

DATA = b"".join(b"%06d\tsentence\n" % number for number in range(4_000))
HALF = len(DATA) // 2
PAGE = b"<!DOCTYPE html><html><body>Please log in.</body></html>"
IMPATIENT = Patience(connect=2.0, stall=0.4, delays=(0.01, 0.02))


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
