"""What became of a step, as plain data that travels from a worker, and the error made of it again."""

from __future__ import annotations

import errno
import shutil
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from stilts_artifact.errors import (
    ArtifactError,
    ConfigError,
    DataError,
    ExitCode,
    IntegrityError,
    MissingDataError,
    ResourceError,
)

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Libraries in other languages turn the system's error into text.
_NO_ROOM_TEXT = ("No space left on device", "Disk quota exceeded", "File too large")
_NO_MEMORY_TEXT = (
    "can't allocate memory",
    "Cannot allocate memory",
    "std::bad_alloc",
    "CUDA out of memory",
)


class StepError(ArtifactError):
    """A step that ended by an error nobody foresaw."""

    exit_code: ClassVar[ExitCode] = ExitCode.INCOMPLETE


_CLASSES: dict[str, type[ArtifactError]] = {
    kind.__name__: kind
    for kind in (ConfigError, DataError, IntegrityError, MissingDataError, ResourceError, StepError)
}


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as text: the class and the fields of an :class:`ArtifactError`, and what a developer needs."""

    kind: str
    what: str
    where: str | None
    got: str | None
    expected: str | None
    fix: str | None
    details: str

    def error(self) -> ArtifactError:
        """The exception again, of its own class."""
        make = _CLASSES.get(self.kind, StepError)
        return make(self.what, where=self.where, got=self.got, expected=self.expected, fix=self.fix)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt at a step ended.

    Attributes:
        seconds: it took, 0 if the result was there already.
        fault: why it failed, or ``None``.
    """

    seconds: float
    fault: Fault | None = None


def describe(error: BaseException, label: str, root: Path, written: int, log: str = "") -> Fault:
    """The fault behind an exception of a step.

    Args:
        label: of the step.
        root: the store's folder, whose disk may be full.
        written: bytes the step had written.
        log: the end of what it printed.
    """
    details = "".join(traceback.format_exception(error)) + (
        f"\nprinted last:\n{log}" if log else ""
    )
    known = error if isinstance(error, ArtifactError) else _resource(error, label, root, written)
    if known is None:
        frame = traceback.extract_tb(error.__traceback__)[-1:]
        place = ", ".join(f"{item.filename}:{item.lineno}" for item in frame) or None
        got = "".join(traceback.format_exception_only(error)).strip()
        known = StepError(f"a step failed: {label}", where=place, got=got[:2000])
    kind = next(
        name for name in (base.__name__ for base in type(known).__mro__) if name in _CLASSES
    )
    return Fault(
        kind, known.what, known.where, known.got, known.expected, known.fix, details[-20_000:]
    )


def _resource(error: BaseException, label: str, root: Path, written: int) -> ResourceError | None:
    """The lack of disk or memory behind an exception, if that is what it was."""
    for cause in _chain(error):
        text = f"{type(cause).__name__}: {cause}"[:500]
        if getattr(cause, "errno", None) in _NO_ROOM or any(sign in text for sign in _NO_ROOM_TEXT):
            free = shutil.disk_usage(root).free
            return ResourceError(
                f"no room left on the disk: {label}",
                where=str(root),
                got=f"{free:,} bytes free ({text})",
                expected=f"room for more than the {written:,} bytes it had written",
                fix=f"free at least {max(written, 1 << 20):,} bytes there, or choose another --store",
            )
        gpu = "OutOfMemoryError" in text or "CUDA out of memory" in text
        if isinstance(cause, MemoryError) or gpu or any(sign in text for sign in _NO_MEMORY_TEXT):
            fix = (
                "use a GPU with more memory"
                if gpu
                else "use fewer --workers, or a machine with more memory"
            )
            return ResourceError(f"out of memory: {label}", got=text, fix=fix)
    return None


def _chain(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain
