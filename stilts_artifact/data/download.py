"""Bring pinned files into the store: resume, retry with back-off, go through every address."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from stilts_artifact.data.progress import Progress, Silent
from stilts_artifact.data.receive import (
    AttemptEnd,
    FailedAttempt,
    Memory,
    Patience,
    Receiver,
)
from stilts_artifact.data.store import FileStore, Incoming, IncomingLostError
from stilts_artifact.data.transport import Line
from stilts_artifact.domain.tasks import Source
from stilts_artifact.errors import ArtifactError, IntegrityError, MissingDataError
from stilts_artifact.files import describe_sums
from stilts_artifact.texts import without_password

_SHOWN = 30  # attempts that a message lists: some addresses with all retries of each


@dataclass(frozen=True, slots=True)
class Attempt:
    """One failed attempt at one address."""

    url: str
    outcome: AttemptEnd
    happened: str

    def __str__(self) -> str:
        return f"{without_password(self.url)}: {self.happened}"


class Downloader:
    """Downloads files one after another; hosts that never answer are asked for one file only."""

    def __init__(
        self,
        store: FileStore,
        patience: Patience | None = None,
        progress: Progress | None = None,
        authorizations: Mapping[str, str] | None = None,
    ) -> None:
        self._store = store
        self._authorizations = authorizations or {}
        self._patience = patience or Patience()
        self._progress = progress or Silent()
        self._line: Line | None = None
        self._silent_hosts: set[str] = set()

    def close(self) -> None:
        """Close the connections."""
        if self._line is not None:
            self._line.close()

    def download(self, source: Source, urls: Sequence[str]) -> Path:
        """Bring a pinned source into the store from the first of ``urls`` that has its bytes.

        A file cut short stays beside the store's files and is resumed, in this run or the next; it
        is never published.

        Raises:
            MissingDataError: no address had the file, and at least one gave no answer or broke off.
            IntegrityError: the addresses that have such a file have other bytes.
            ResourceError: the disk is full or refuses.
        """
        if source.bytes is None:
            source = replace(source, bytes=self._stated_size(source, urls))
        incoming = self._store.resume(source)
        receiver = self._receiver(source.bytes or 0)
        transfer = _Transfer(source, self._store, receiver, incoming)
        self._progress.start(source.name, receiver.size)
        self._progress.advance(incoming.size)
        try:
            for url in urls:
                path = self._bring(url, transfer)
                if path is not None:
                    return path
            raise _failure(source, transfer.attempts)
        finally:
            transfer.close()
            self._progress.finish()

    def read(self, url: str, size: int) -> bytes:
        """A small file of which no sha256 is known, whatever is in it.

        Raises:
            FailedAttempt: it cannot be had, or has another size.
        """
        memory = Memory()
        self._receiver(size).receive(url, memory)
        return bytes(memory.data)

    def _receiver(self, size: int) -> Receiver:
        patience = self._patience
        if self._line is None:
            self._line = Line(patience.connect, patience.stall, self._authorizations)
        return Receiver(self._line, size, patience, self._progress)

    def _stated_size(self, source: Source, urls: Sequence[str]) -> int:
        """What bounds a file of which only the sha256 is public: the word of who serves it.

        Its publisher's before a mirror's, which may have another file of this name.
        """
        attempts = []
        for url in reversed(urls):
            try:
                return self._receiver(0).stated_size(url)
            except FailedAttempt as failed:
                attempts.append(Attempt(url, failed.outcome, failed.happened))
        raise _failure(source, attempts)

    def _bring(self, url: str, transfer: _Transfer) -> Path | None:
        host = urlsplit(url).netloc
        if host in self._silent_hosts:
            happened = "not tried: this host did not answer for another file"
            transfer.attempts.append(Attempt(url, AttemptEnd.NO_ANSWER, happened))
            return None
        path = transfer.bring(url)
        if path is None and transfer.attempts[-1].outcome is AttemptEnd.NO_ANSWER:
            self._silent_hosts.add(host)
        return path


class _Transfer:
    """One file on its way in, over as many attempts as it takes."""

    def __init__(
        self, source: Source, store: FileStore, receiver: Receiver, incoming: Incoming
    ) -> None:
        self.attempts: list[Attempt] = []
        self._source = source
        self._store = store
        self._receiver = receiver
        self._incoming = incoming
        self._resumed = incoming.size > 0

    def bring(self, url: str) -> Path | None:
        """The published file, or ``None`` once this address is given up."""
        patience = self._receiver.patience
        delays, reached = iter(patience.delays), self._incoming.size
        while True:
            try:
                return self._attempt(url)
            except FailedAttempt as failed:
                self.attempts.append(Attempt(url, failed.outcome, failed.happened))
                if not failed.again:
                    return None
            if self._incoming.size >= reached + patience.step:
                delays, reached = iter(patience.delays), self._incoming.size
            delay = next(delays, None)
            if delay is None:
                return None
            time.sleep(delay)

    def close(self) -> None:
        """Leave what can be resumed, and nothing else."""
        if self._incoming.size:
            self._incoming.keep()
        else:
            self._incoming.discard()

    def _attempt(self, url: str) -> Path:
        # A resumed file may be complete: its writer was killed before the rename.
        if self._incoming.size < self._receiver.size:
            self._incoming.check_room()
            self._resumed |= self._receiver.receive(url, self._incoming)
        try:
            return self._store.commit(self._incoming, self._source)
        except IntegrityError as error:
            # The earlier bytes of a resumed file may come from elsewhere: one clean attempt is owed
            # to this address.
            resumed, self._resumed = self._resumed, False
            self._receiver.restart(self._incoming)
            raise FailedAttempt(
                AttemptEnd.WRONG, f"wrong content: {error.got}", again=resumed
            ) from error
        except IncomingLostError as error:
            self._receiver.progress.advance(-self._incoming.size)
            self._incoming = self._store.incoming(self._source)
            raise FailedAttempt(AttemptEnd.BROKEN, error.what, again=True) from error


def _failure(source: Source, attempts: Sequence[Attempt]) -> ArtifactError:
    """The error for a source that none of these attempts brought; it lists them, if not too many.

    A line that breaks off after each MiB of a large file makes thousands.
    """
    shown = [f"\n    {attempt}" for attempt in attempts[-_SHOWN:]]
    if len(attempts) > _SHOWN:
        shown.insert(0, f"\n    {len(attempts) - _SHOWN:,} earlier attempts, and then:")
    outcomes = {attempt.outcome for attempt in attempts} - {AttemptEnd.ABSENT}
    error = IntegrityError if outcomes == {AttemptEnd.WRONG} else MissingDataError
    return error(
        f"{source.name} could not be fetched",
        where=f"{len(attempts)} attempts",
        got="".join(shown),
        expected=describe_sums(source.bytes, source.sha256),
        fix="stilts-artifact fetch again, name a --mirror, or put the file into a --data folder. "
        f"{source.obtain}",
    )
