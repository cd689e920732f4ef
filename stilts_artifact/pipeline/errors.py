"""What became of steps: errors that travel from a worker as plain data, and how a whole run ended.

A worker's exception would lose its fields on its way through pickle, and its class if only the
worker can import it; it travels as a :class:`Fault`, from which the error is made again.
"""

from __future__ import annotations

import contextlib
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
from stilts_artifact.files import write_file
from stilts_artifact.model.memory import lacks_memory
from stilts_artifact.pipeline.step import KeyedStep

_SHOWN = 20
# The container's own counter where there is one, and the machine's.
_COUNTERS = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat"))
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Libraries in other languages turn the system's error into text.
_NO_ROOM_TEXT = ("No space left on device", "Disk quota exceeded", "File too large")


class StepError(ArtifactError):
    """A step that ended by an error nobody foresaw."""

    exit_code: ClassVar[ExitCode] = ExitCode.INCOMPLETE


_CLASSES: dict[str, type[ArtifactError]] = {
    kind.__name__: kind
    for kind in (ConfigError, DataError, IntegrityError, MissingDataError, ResourceError, StepError)
}


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as text.

    Attributes:
        kind: name of the :class:`ArtifactError`'s class; its fields follow.
        details: what a developer needs: traceback and the last lines that the step printed.
    """

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
        ends_run: the fault is the machine's, and every other step would meet it too.
        gone: addresses of inputs that another run has dropped; made again, the step may run.
        remark: what is to be said of the result.
    """

    seconds: float
    fault: Fault | None = None
    ends_run: bool = False
    gone: tuple[str, ...] = ()
    remark: str | None = None


def fault_of(error: BaseException, label: str, root: Path, written: int, log: str = "") -> Fault:
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
    # A class that only the worker can import travels as the nearest one that is known here.
    names = (base.__name__ for base in type(known).__mro__)
    kind = next((name for name in names if name in _CLASSES), StepError.__name__)
    # The end of the details is kept: the innermost frame, and what was printed last.
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
                fix=f"free at least {max(written, 1 << 20):,} bytes there, "
                "or choose another --store",
            )
        if lacks_memory(cause):
            gpu = "OutOfMemoryError" in text or "CUDA" in text
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


def memory_kills() -> int:
    """Processes killed for lack of memory so far; 0 where the system does not say."""
    return max(_counter(path) for path in _COUNTERS)


def _counter(path: Path) -> int:
    try:
        lines = path.read_text("ascii").splitlines()
    except OSError:
        return 0
    fields = dict(line.split(" ", 1) for line in lines if " " in line)
    return int(fields.get("oom_kill", "0"))


def lost_workers(label: str, times: int, kills: int) -> ResourceError:
    """The error of a step whose workers died.

    Args:
        label: of the step.
        times: it lost its worker.
        kills: processes that the system killed for lack of memory meanwhile.
    """
    if kills > 0:
        return ResourceError(
            f"out of memory: {label}",
            got=f"{times} lost workers; the system killed {kills} processes for lack of memory "
            "during this run",
            fix="use fewer --workers, or a machine with more memory",
        )
    return ResourceError(
        f"its workers died: {label}",
        got=f"{times} lost workers",
        expected="a worker that lives through the step",
        fix="look for the reason in the system's log (dmesg, or the cluster's own); "
        "it may be too little memory",
    )


class RunError(ArtifactError):
    """Steps that failed; :attr:`exit_code` is that of the first."""

    exit_code = ExitCode.INCOMPLETE


@dataclass(frozen=True, slots=True)
class Failure:
    """A step that failed.

    Attributes:
        details: traceback and the last lines it printed, for a developer.
    """

    step: KeyedStep
    error: ArtifactError
    details: str = ""


def failure_of(step: KeyedStep, fault: Fault, root: Path) -> Failure:
    """A failure, with its details written to a file if only they can explain it."""
    error = fault.error()
    if isinstance(error, StepError):
        path = root / "errors" / f"{step.kind}-{step.key[:12]}.txt"
        # A disk too full for the explanation is itself reported by the steps that need it.
        with contextlib.suppress(ResourceError):
            write_file(path, fault.details.encode("utf-8", errors="replace"))
            error.fix = f"read {path}; if it explains nothing, report it"
    return Failure(step, error, fault.details)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A step that could not run because another failed."""

    step: KeyedStep
    because: KeyedStep


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run ended.

    Attributes:
        found: steps that did not have to run.
        made: steps that ran, in the order in which they finished.
        seconds: of the whole run.
        remarks: what is to be said of results beside that they are there.
    """

    found: tuple[KeyedStep, ...]
    made: tuple[KeyedStep, ...]
    failures: tuple[Failure, ...]
    skipped: tuple[Skipped, ...]
    seconds: float
    remarks: tuple[str, ...] = ()

    def check(self, resume: str) -> None:
        """Refuse to go on if anything failed.

        Args:
            resume: the command that runs what is missing.

        Raises:
            RunError: every failure with its own message, what could not run, and ``resume``.
        """
        if self.failures:
            error = RunError(
                self._summary(), got=self._list(), fix=f"mend what is named above, then: {resume}"
            )
            # The first failure tells a script more than "incomplete" does: a full disk is a full
            # disk.
            error.exit_code = self.failures[0].error.exit_code  # type: ignore[misc]
            raise error

    def _summary(self) -> str:
        total = len(self.found) + len(self.made) + len(self.failures) + len(self.skipped)
        blocked = f", {len(self.skipped)} could not run because of that" if self.skipped else ""
        failed = (
            "1 step failed" if len(self.failures) == 1 else f"{len(self.failures)} steps failed"
        )
        return f"{failed}{blocked}; {len(self.found) + len(self.made)} of {total} are done and kept"

    def _list(self) -> str:
        lines = []
        for failure in self.failures[:_SHOWN]:
            lines.append(f"{failure.step.label}: {failure.error}")
            blocked = [
                skipped.step.label for skipped in self.skipped if skipped.because == failure.step
            ]
            lines += [f"  not run: {label}" for label in blocked[:_SHOWN]]
            lines += [f"  not run: {len(blocked) - _SHOWN} more"] if len(blocked) > _SHOWN else []
        lines += (
            [f"{len(self.failures) - _SHOWN} more failed"] if len(self.failures) > _SHOWN else []
        )
        return "\n            ".join("\n".join(lines).splitlines())
