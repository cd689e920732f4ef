"""How a run ended: what was there, what was made, what failed and why, and what could therefore not run."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from stilts_artifact.documents import write_atomically
from stilts_artifact.errors import ArtifactError, ExitCode, ResourceError
from stilts_artifact.pipeline.outcome import Fault, StepError
from stilts_artifact.pipeline.step import KeyedStep

_SHOWN = 20


class RunError(ArtifactError):
    """Steps that failed; :attr:`exit_code` is that of the first."""

    exit_code = ExitCode.INCOMPLETE


@dataclass(frozen=True, slots=True)
class Failure:
    """A step that failed.

    Attributes:
        details: traceback and the last lines it printed, for a developer.
    """

    node: KeyedStep
    error: ArtifactError
    details: str = ""


def failure(node: KeyedStep, fault: Fault, root: Path) -> Failure:
    """A failure, with its details written to a file if only they can explain it."""
    error = fault.error()
    if isinstance(error, StepError):
        path = root / "errors" / f"{node.kind}-{node.key[:12]}.txt"
        # A disk too full for the explanation is itself reported by the steps that need it.
        with contextlib.suppress(ResourceError):
            write_atomically(path, fault.details.encode("utf-8", errors="replace"))
            error.fix = f"read {path}; if it explains nothing, report it"
    return Failure(node, error, fault.details)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A step that could not run because another failed."""

    node: KeyedStep
    because: KeyedStep


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run ended.

    Attributes:
        found: steps that did not have to run.
        made: steps that ran, in the order in which they finished.
        seconds: of the whole run.
    """

    found: tuple[KeyedStep, ...]
    made: tuple[KeyedStep, ...]
    failures: tuple[Failure, ...]
    skipped: tuple[Skipped, ...]
    seconds: float

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
            lines.append(f"{failure.node.label}: {failure.error}")
            blocked = [
                skipped.node.label for skipped in self.skipped if skipped.because == failure.node
            ]
            lines += [f"  not run: {label}" for label in blocked[:_SHOWN]]
            lines += [f"  not run: {len(blocked) - _SHOWN} more"] if len(blocked) > _SHOWN else []
        lines += (
            [f"{len(self.failures) - _SHOWN} more failed"] if len(self.failures) > _SHOWN else []
        )
        return "\n            ".join("\n".join(lines).splitlines())
