"""Bring sources into the store: what is here, what was brought now, what failed and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from stilts_artifact.data.download import Downloader
from stilts_artifact.data.folders import DataFolderError
from stilts_artifact.data.hub import authorizations
from stilts_artifact.data.library import Library
from stilts_artifact.data.progress import Progress, Silent
from stilts_artifact.domain.tasks import Benchmark, Source, Task
from stilts_artifact.errors import (
    ArtifactError,
    ConfigError,
    ExitCode,
    IntegrityError,
    MissingDataError,
    unknown_name,
)
from stilts_artifact.texts import without_password

Openers = Mapping[str, Callable[[str], bytes]]


@dataclass(frozen=True, slots=True)
class Stock:
    """What of a scale's files is on this machine.

    Args:
        here: how many that can be downloaded, or made, are here.
        absent: those that can be and are not here.
        by_hand: those that nobody may or can serve, and that nobody brought.
    """

    here: int
    absent: tuple[Source, ...]
    by_hand: tuple[Source, ...]

    @property
    def downloadable(self) -> int:
        """How many files can be downloaded, or made."""
        return self.here + len(self.absent)

    def __str__(self) -> str:
        text = f"{self.here:,} of {self.downloadable:,} downloadable files are here"
        return f"{text}, {len(self.by_hand):,} to be brought by hand" if self.by_hand else text


def take_stock(sources: Sequence[Source], library: Library) -> Stock:
    """Count what is here; no file of the store is read, and no archive opened."""
    absent = library.absent(sources)
    downloadable = [source for source in absent if source.urls]
    here = sum(bool(source.urls) for source in sources) - len(downloadable)
    return Stock(here, tuple(downloadable), tuple(s for s in absent if not s.urls))


@dataclass(frozen=True, slots=True)
class Failure:
    """A source that is not here, and why."""

    source: Source
    error: ArtifactError

    @property
    def is_by_hand(self) -> bool:
        """Whether it is just one that no address offers: a licensed corpus, a person's own text."""
        return not self.source.urls and isinstance(self.error, MissingDataError)

    def to_json(self) -> dict[str, object]:
        """As JSON, with all that the error's message says."""
        error = self.error
        return {
            "source": self.source.name,
            "what": error.what,
            "where": error.where,
            "got": error.got,
            "expected": error.expected,
            "fix": error.fix,
            "exit_code": int(error.exit_code),
        }


@dataclass(frozen=True, slots=True)
class FetchReport:
    """The outcome for every source.

    Args:
        present: (source, how it is satisfied) of those that were here.
        downloaded: sources that were brought into the store now.
        absent: each source that is still not here, with the error that says why.
    """

    present: list[tuple[str, str]] = field(default_factory=list)
    downloaded: list[str] = field(default_factory=list)
    absent: list[Failure] = field(default_factory=list)

    def including(self, other: FetchReport) -> FetchReport:
        """Both as one."""
        return FetchReport(
            self.present + other.present,
            self.downloaded + other.downloaded,
            self.absent + other.absent,
        )

    @property
    def failed(self) -> list[Failure]:
        """Of what can be downloaded, or was brought: all that is not here."""
        return [failure for failure in self.absent if not failure.is_by_hand]

    @property
    def by_hand(self) -> list[Failure]:
        """What no address offers and nobody brought."""
        return [failure for failure in self.absent if failure.is_by_hand]

    @property
    def failures(self) -> list[ArtifactError]:
        """The errors of :attr:`failed`."""
        return [failure.error for failure in self.failed]

    @property
    def exit_code(self) -> ExitCode:
        """Of the gravest failure: wrong bytes and full disks before files that are just absent.

        What can only be brought by hand fails nothing.
        """
        codes = {failure.exit_code for failure in self.failures}
        for code in (ExitCode.INTEGRITY, ExitCode.RESOURCE, ExitCode.DATA):
            if code in codes:
                return code
        return ExitCode.REPRODUCED

    def to_json(self) -> dict[str, object]:
        """As JSON, each failure with all that its message says."""
        return {
            "present": [{"source": name, "satisfied_by": how} for name, how in self.present],
            "downloaded": list(self.downloaded),
            "failures": [failure.to_json() for failure in self.failed],
            "by_hand": [failure.to_json() for failure in self.by_hand],
        }


def sources_of(benchmark: Benchmark, tasks: Sequence[str]) -> list[Source]:
    """The sources of the named tasks, in the benchmark's order.

    By default of everything but what studies alone read.

    Raises:
        ConfigError: no such task.
    """
    for name in tasks:
        if name not in benchmark.tasks:
            raise unknown_name("task", name, benchmark.tasks)
    if tasks:
        names = _read_by(benchmark.tasks[name] for name in tasks)
    else:
        known = benchmark.tasks.values()
        names = benchmark.sources.keys() - _read_by(task for task in known if task.study)
        names |= _read_by(task for task in known if not task.study)
    return [source for name, source in benchmark.sources.items() if name in names]


def _read_by(tasks: Iterable[Task]) -> set[str]:
    """Names of the sources of some tasks."""
    return {part.source for task in tasks for parts in task.parts.values() for part in parts}


def fetch(
    sources: Sequence[Source],
    library: Library,
    *,
    offline: bool = False,
    mirrors: Sequence[str] = (),
    openers: Openers | None = None,
    progress: Progress | None = None,
) -> FetchReport:
    """Bring every source that is not here yet into the library's store; a failure stops no other.

    Args:
        offline: open no socket; what no opener makes is reported as missing, all of it at once.
        mirrors: base URLs under which files lie by name or by sha256; tried before the sources'
            own.
        openers: by URL scheme, what makes a file on this machine (the mini world's generator).

    Raises:
        ConfigError: a mirror that is not an http or https URL.
        DataFolderError: a data folder that cannot be searched.
    """
    for mirror in mirrors:
        if not _is_base(mirror):
            raise ConfigError(
                "a mirror is an http or https URL",
                where="--mirror",
                got=without_password(mirror),
                expected="https://host/folder, without query or fragment: names are put after it",
                fix="for a folder on this machine use --data",
            )
    progress = progress or Silent()
    report = FetchReport()
    downloads = closing(
        Downloader(library.store, progress=progress, authorizations=authorizations(sources))
    )
    with downloads as downloader, library.shown(progress):
        fetcher = _Fetcher(library, openers or {}, mirrors, offline, progress, downloader)
        for source in sources:
            try:
                how = fetcher.obtain(source)
            except DataFolderError:
                raise  # It would be the failure of each source, after as many searches.
            except ArtifactError as error:
                report.absent.append(Failure(source, error))
                continue
            if how is None:
                report.downloaded.append(source.name)
            else:
                report.present.append((source.name, how))
    return report


def _is_base(mirror: str) -> bool:
    """Whether names can be put after a URL, and the result be asked for."""
    try:
        parts = urlsplit(mirror)
        reachable = bool(parts.hostname) and parts.port != 0  # a port that is no number raises
    except ValueError:
        return False
    # urlsplit drops line breaks without a word.
    plain = mirror.isprintable() and not {" ", "?", "#"} & set(mirror)
    return parts.scheme in ("http", "https") and reachable and plain


@dataclass(frozen=True, slots=True)
class _Fetcher:
    library: Library
    openers: Openers
    mirrors: Sequence[str]
    offline: bool
    progress: Progress
    downloader: Downloader

    def obtain(self, source: Source) -> str | None:
        """How the source is satisfied already, or ``None`` if it had to be brought."""
        makers = [url for url in source.urls if urlsplit(url).scheme in self.openers]
        # Without a pin nothing could be verified on its arrival.
        remote = (
            [] if self.offline or source.sha256 is None else [*self._mirrored(source), *source.urls]
        )
        try:
            how = self.library.satisfied_by(source)
        except IntegrityError:
            # A changed file was moved aside; bring it anew if that can be done here.
            if not makers and not remote:
                raise
            how = None
        if how is None and makers:
            self._make(source, makers[0])
        elif how is None and remote:
            self.downloader.download(source, remote)
        elif how is None:
            raise self.library.missing_error(source)
        return how

    def _make(self, source: Source, url: str) -> None:
        self.progress.start(source.name, source.bytes or 0, "generating")
        try:
            data = self.openers[urlsplit(url).scheme](url)
            self.library.store.publish(source, [data])
            self.progress.advance(len(data))
        finally:
            self.progress.finish()

    def _mirrored(self, source: Source) -> list[str]:
        """Where the mirrors would have the file: by the name in its URLs, then by its sha256."""
        names = [urlsplit(url).path.rpartition("/")[2] for url in source.urls] or [
            quote(source.name)
        ]
        places = dict.fromkeys([*names, str(source.sha256)])
        return [f"{mirror.rstrip('/')}/{place}" for mirror in self.mirrors for place in places]
