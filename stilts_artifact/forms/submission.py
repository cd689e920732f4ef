"""XTREME's submission folder, ``{task}/test-{language}.{tsv|json}``: what all its files share.

Predictions and labels share one layout. Classification: one label a line. Tagging: one tag a line,
a blank line between sentences. BUCC: ``source<TAB>target`` ids. Tatoeba: one line number a line.
Question answering: predictions map question ids to texts, labels are SQuAD v1.1 json. Source:
XTREME evaluate.py:31-60 and 222-235 at 838c13b. Each form reads and writes its own.

Every reader refuses what it cannot vouch for, naming file and line: a score of misread files looks
like a bad model.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from operator import eq
from pathlib import Path
from typing import Literal

from stilts_artifact.data.readers.text import shown
from stilts_artifact.documents import line_at, read_document, whole_number
from stilts_artifact.errors import DataError

Suffix = Literal[".tsv", ".json"]

MAKE_AGAIN = "write the predictions again from these very labels' examples"


def file_of(folder: Path, task: str, language: str, suffix: Suffix, split: str = "test") -> Path:
    """Where a task's file for one language lies.

    Example:
        >>> file_of(Path("predictions"), "mlqa", "de", ".json").as_posix()
        'predictions/mlqa/test-de.json'
    """
    return folder / task / f"{split}-{language}{suffix}"


def read_lines(path: Path) -> list[str]:
    """Stripped lines of a file, at least one.

    Raises:
        DataError: an empty file, or bytes that are not UTF-8.
    """
    # Not str.splitlines: it also splits at characters such as U+2028, which a label file may not
    # hold anyway.
    lines = [line.strip() for line in read_text(path).split("\n")]
    if lines[-1] == "":
        lines.pop()
    return lines


def read_indices(path: Path) -> list[int]:
    """One 0-based number a line, as ``str()`` writes it: XTREME compares the texts.

    Raises:
        DataError: a line that is no such number (``007`` would not be 7), or as :func:`read_lines`.
    """
    indices: list[int] = []
    for number, line in enumerate(read_lines(path), 1):
        index = whole_number(line)
        if index is None:
            raise DataError(
                "not a line number",
                where=f"{path}:{number}",
                got=shown(line),
                expected="0, 1, 2, ...",
            )
        indices.append(index)
    return indices


def read_text(path: Path) -> str:
    """A file's text, which is more than white space.

    Raises:
        DataError: an empty file, or bytes that are not UTF-8.
    """
    content = read_document(path)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        place = f"{path}:{line_at(content, error.start)}"
        raise DataError("bytes that are not UTF-8", where=place, got=str(error)) from error
    if not text.strip():
        raise empty_file(path)
    return text


def write_lines(
    folder: Path, task: str, language: str, lines: Iterable[str], split: str = "test"
) -> Path:
    """Write labels, or tags with ``""`` between sentences, or ready-made lines.

    Raises:
        DataError: a line that would not read back as itself.
    """
    path = file_of(folder, task, language, ".tsv", split)
    lines = list(lines)
    for number, line in enumerate(lines, 1):
        if "\n" in line or line != line.strip():
            raise DataError(
                "text that a line cannot hold", where=f"{path}:{number}", got=repr(line)
            )
    return write_text(path, "".join(f"{line}\n" for line in lines))


def write_indices(
    folder: Path, task: str, language: str, indices: Iterable[int], split: str = "test"
) -> Path:
    """Write one number a line."""
    return write_lines(folder, task, language, map(str, indices), split)


def write_text(path: Path, text: str) -> Path:
    """Write a file, and the folder it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not the system's own line ends: the same labels must have the same hash everywhere.
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def empty_file(path: Path) -> DataError:
    """The error that names a file without an example."""
    return DataError(
        "empty file",
        where=f"{path}:1",
        expected="at least one example",
        fix="write it again, or remove it",
    )


def require_labels(path: Path, lines: Sequence[str], allowed: Collection[str]) -> None:
    """Refuse a line that is no label.

    Raises:
        DataError: naming the first one.
    """
    unknown = set(lines) - set(allowed)
    if unknown:
        number = next(number for number, line in enumerate(lines, 1) if line in unknown)
        # Tagging allows the blank line between sentences, which is no tag to propose.
        expected = ", ".join(sorted(filter(None, allowed)))
        got = shown(lines[number - 1])
        raise DataError(
            "label outside its set",
            where=f"{path}:{number}",
            got=got,
            expected=f"one of {expected}",
        )


def require_distinct(path: Path, lines: Sequence[Hashable], what: str) -> None:
    """Refuse labels of which two lines are the same.

    Raises:
        DataError: naming the first that repeats another.
    """
    first: dict[Hashable, int] = {}
    for number, line in enumerate(lines, 1):
        if first.setdefault(line, number) != number:
            got = f"the same as in line {first[line]}"
            raise DataError(what, where=f"{path}:{number}", got=got, expected="each once")


def require_same_length(
    predicted: Path, found: int, gold: Path, expected: int, header: int = 0
) -> None:
    """Refuse predictions for more or fewer lines than the labels have.

    Args:
        header: lines of the predictions that stand above the first one.

    Raises:
        DataError: naming the first line that only one of the files has.
    """
    if found != expected:
        raise DataError(
            "length mismatch",
            where=f"{predicted}:{header + min(found, expected) + 1}",
            got=f"{found} lines",
            expected=f"{expected} lines as in {gold}",
            fix=MAKE_AGAIN,
        )


def count_lines(
    data: bytes, gold: Sequence[bytes], allowed: set[bytes]
) -> tuple[float, float] | None:
    """How many lines of a prediction file are right, and how many there are.

    ``None`` unless each is one of ``allowed`` and there are as many as gold has.

    Example:
        >>> count_lines(b"0\\n1\\n", [b"0", b"0"], {b"0", b"1"})
        (1.0, 2.0)
    """
    lines = data.removesuffix(b"\n").split(b"\n")
    if len(lines) != len(gold) or not allowed.issuperset(lines):
        return None
    return float(sum(map(eq, lines, gold))), float(len(gold))
