"""What the family of languages showed, as a Markdown table: on the console and in documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stilts_artifact.reporting.findings import interval, p_value
from stilts_artifact.studies.family import Answer

_HEADER = ("encoder", "question", "task", "estimate [95 %]", "p", "must be", "holds")


def family_table(answers: Sequence[Answer]) -> Iterator[str]:
    """Lines of a table, one an answer.

    Example:
        >>> from stilts_artifact.studies.family import Known
        >>> answer = Answer("4x96-1", "slope", "panx", Known.POSITIVE, 2.5, 1.5, 3.5, 0.002)
        >>> list(family_table([answer]))[-1]
        '| 4x96-1 | slope | panx | +2.50 [+1.50, +3.50] | 0.002 | > 0, p < 0.01 |  |'
    """
    yield _line(_HEADER)
    yield _line(["---"] * len(_HEADER))
    for one in answers:
        said = one.missing or interval(one.estimate, one.low, one.high)
        held = "" if one.held is None else "yes" if one.held else "NO"
        own = (one.encoder, one.question, one.task, said, p_value(one.p), one.known, held)
        yield _line(own)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
