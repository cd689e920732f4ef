"""How what takes long is shown: files that come in, and large ones that are hashed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol

from stilts_artifact.files import FileSum, hash_file

_LARGE = 1 << 28  # bytes; hashing fewer takes less than a second

Doing = Literal["fetching", "generating", "hashing", "searching"]


class Progress(Protocol):
    """Told how a file comes in, or is read, so that a console can draw a bar."""

    def start(self, name: str, total: int, doing: Doing = "fetching") -> None:
        """A file of ``total`` bytes begins, or the search of a folder."""

    def advance(self, count: int) -> None:
        """``count`` more bytes are there; negative where a download has to start over."""

    def finish(self) -> None:
        """The file is complete, or given up."""


class Silent:
    """A :class:`Progress` that shows nothing."""

    def start(self, name: str, total: int, doing: Doing = "fetching") -> None:
        """Show nothing."""

    def advance(self, count: int) -> None:
        """Show nothing."""

    def finish(self) -> None:
        """Show nothing."""


def hash_shown(path: Path, progress: Progress) -> FileSum:
    """The sums of a file; if it is a large one, its progress is shown.

    Raises:
        OSError: it cannot be read.
    """
    with shown(progress, str(path), path.stat().st_size, "hashing") as advance:
        return hash_file(path, advance)


@contextmanager
def shown(
    progress: Progress, name: str, total: int, doing: Doing
) -> Iterator[Callable[[int], None]]:
    """Show work on so many bytes if they are many; yields what is told of each piece."""
    if total < _LARGE:
        yield lambda count: None
        return
    progress.start(name, total, doing)
    try:
        yield progress.advance
    finally:
        progress.finish()
