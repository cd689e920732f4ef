"""The exception tree and its exit codes, and nothing else.

Every error says what went wrong, where, what was found, what was expected, and what mends it.
The class decides the exit code, so a script can tell a broken download from a full disk.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum
from typing import ClassVar

from stilts_artifact.texts import redacted, visible

_LONGEST = 2000  # characters of a detail that a message shows: a file's line may have any number


class ExitCode(IntEnum):
    """What the process tells its caller."""

    REPRODUCED = 0
    NOT_REPRODUCED = 1
    USAGE = 2
    DATA = 3
    INTEGRITY = 4
    RESOURCE = 5
    INCOMPLETE = 6
    FAULT = 70
    INTERRUPTED = 130


class ArtifactError(Exception):
    """Base of every error this package raises on purpose.

    Args:
        what: one sentence, the fault itself.
        where: path, ``path:line``, URL or cell.
        got: what was found there.
        expected: what should have been found.
        fix: the command or action that mends it.

    Example:
        >>> print(DataError("label outside its set", where="dev.tsv:7", got="'2'", expected="'0'"))
        label outside its set
          where:    dev.tsv:7
          got:      '2'
          expected: '0'
    """

    exit_code: ClassVar[ExitCode]

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        got: str | None = None,
        expected: str | None = None,
        fix: str | None = None,
    ) -> None:
        super().__init__(what, where, got, expected, fix)
        self.what = what
        self.where = where
        self.got = got
        self.expected = expected
        self.fix = fix

    def __str__(self) -> str:
        details = (
            ("where", self.where),
            ("got", self.got),
            ("expected", self.expected),
            ("fix", self.fix),
        )
        lines = [_shown(self.what)]
        lines += [f"  {name + ':':<9} {_shown(text)}" for name, text in details if text is not None]
        return "\n".join(lines)


def _shown(value: object) -> str:
    """A field as messages show it: a line break in it never begins a line of the message's own."""
    # Whatever a document had in the place of a text: the message must not fail on it.
    text = str(value)
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}... ({len(text):,} characters)"
    return "\n            | ".join(redacted(visible(line)) for line in text.split("\n"))


class ConfigError(ArtifactError):
    """A wrong option, name, key or scale file."""

    exit_code = ExitCode.USAGE


class DataError(ArtifactError):
    """Data that is missing or does not have the form its reader requires."""

    exit_code = ExitCode.DATA


class MissingDataError(DataError):
    """A source that is not on this machine; ``what`` names it, ``fix`` says how to get it."""


class IntegrityError(ArtifactError):
    """Bytes that are not the bytes their size or sha256 promised."""

    exit_code = ExitCode.INTEGRITY


class ResourceError(ArtifactError):
    """Disk, memory, GPU, package or engine that is absent, full, broken or too small."""

    exit_code = ExitCode.RESOURCE


class FaultError(ArtifactError):
    """A fault of this program: what it did not foresee, and should be told of."""

    exit_code = ExitCode.FAULT


def not_installed(what: str, packages: Iterable[str]) -> ResourceError:
    """An error for an installation without packages that something needs.

    Args:
        what: needs them, as the subject of a sentence.

    Example:
        >>> print(not_installed("pretraining", ["torch"]))
        pretraining needs packages that are not installed
          got:      no torch
          fix:      pip install 'stilts-artifact[cpu]', or [gpu]; or use ./reproduce.sh
    """
    return ResourceError(
        f"{what} needs packages that are not installed",
        got="no " + ", ".join(packages),
        fix="pip install 'stilts-artifact[cpu]', or [gpu]; or use ./reproduce.sh",
    )


def unknown_name(
    kind: str, got: str, known: Iterable[str], where: str | None = None
) -> ConfigError:
    """An error for a name outside a closed set, with the nearest known name as a suggestion.

    Example:
        >>> print(unknown_name("scale", "papper", ["mini", "base", "paper"]))
        unknown scale 'papper', did you mean 'paper'?
          got:      'papper'
          expected: one of mini, base, paper
    """
    names = list(known)
    nearest = difflib.get_close_matches(got, names, n=1, cutoff=0.5)
    hint = f", did you mean {nearest[0]!r}?" if nearest else ""
    return ConfigError(
        f"unknown {kind} {got!r}{hint}",
        where=where,
        got=repr(got),
        expected="one of " + ", ".join(names),
    )
