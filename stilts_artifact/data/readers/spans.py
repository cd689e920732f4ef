"""Extractive question answering in SQuAD's JSON: SQuAD v1.1 and v2.0, XQuAD, MLQA, TyDiQA-GoldP."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stilts_artifact.data.readers.records import Record, field, parse_document
from stilts_artifact.data.readers.text import shown
from stilts_artifact.domain.examples import Answer, SpanExample
from stilts_artifact.errors import ConfigError, DataError

VERSIONS = ("1.1", "2.0")


def squad(data: bytes, where: str, *, version: str = "1.1") -> list[SpanExample]:
    """Read SQuAD's format; with ``version="2.0"`` a question may have no answer.

    The context is never stripped: an answer's offset counts from its very first character (some
    contexts of XQuAD begin with U+FEFF).

    Raises:
        DataError: an answer that does not stand at its offset, a question without answer (v1.1) or
            whose answers contradict ``is_impossible`` (v2.0), an id used twice, or a malformed
            file.
        ConfigError: an unknown version.
    """
    if version not in VERSIONS:
        raise ConfigError(
            "unknown version of the SQuAD format",
            got=shown(version),
            expected=" or ".join(VERSIONS),
        )
    return _read(data, where, impossible=version == "2.0", wanted=lambda identity: True)


def tydiqa(data: bytes, where: str, *, language: str) -> list[SpanExample]:
    """Read one language of TyDiQA-GoldP: ids begin with its English name (``english-123-0``).

    jiant's script writes the whole multilingual file as every language's training set, English
    included (xtreme.py:427-434 at daa5a25), which is no zero-shot transfer; this does not.

    Raises:
        DataError: no question in ``language``, or as :func:`squad` for the questions in it.
    """
    examples = _read(
        data, where, impossible=False, wanted=lambda identity: identity.split("-", 1)[0] == language
    )
    if not examples:
        expected = f"ids that begin with '{language}-'"
        raise DataError(
            f"no question in language '{language}'",
            where=where,
            got="0 questions",
            expected=expected,
        )
    return examples


def _read(
    data: bytes, where: str, *, impossible: bool, wanted: Callable[[str], bool]
) -> list[SpanExample]:
    document, text = parse_document(data, where)
    lines, seen, examples = QuestionLines(text, where), set[str](), []
    for context, qa in _questions(document, f"{where}:1"):
        identity = field(qa, "id", str, lines.last)
        place = lines.of(identity)
        if not wanted(identity):
            continue
        if identity in seen:
            raise DataError(
                "two questions have one id", where=place, got=repr(identity), expected="unique ids"
            )
        seen.add(identity)
        answers = _answers(context, qa, impossible=impossible, place=place)
        examples.append(SpanExample(identity, field(qa, "question", str, place), context, answers))
    # A file of other languages' questions is not empty; tydiqa says what it lacks.
    if not seen and not lines.found:
        raise DataError(
            "the file has no questions",
            where=f"{where}:1",
            got="0 questions",
            expected="at least one",
        )
    return examples


class QuestionLines:
    """Finds the line of each question while the parsed document is walked in its own order.

    The file may be one line of 30 MB or pretty-printed; one pass over its text serves all
    questions.
    """

    def __init__(self, text: str, where: str) -> None:
        self._text, self._where, self._offset, self._line = text, where, 0, 1
        self.found = False

    @property
    def last(self) -> str:
        """``file:line`` of the question found last; of the first line before there is one."""
        return f"{self._where}:{self._line}"

    def of(self, identity: str) -> str:
        """``file:line`` of the next occurrence of ``identity``, or of the last one (if escaped)."""
        offset = self._text.find(f'"{identity}"', self._offset)
        if offset >= 0:
            self._line += self._text.count("\n", self._offset, offset)
            # Behind it, so that a second question of the same id has its own line.
            self._offset, self.found = offset + len(identity), True
        return self.last


def _questions(document: Record, place: str) -> Iterator[tuple[str, Record]]:
    """Yield (context, question) in the order of the document."""
    for article in field(document, "data", list, place):
        for paragraph in field(article, "paragraphs", list, place):
            context = field(paragraph, "context", str, place)
            for qa in field(paragraph, "qas", list, place):
                yield context, qa


def _answers(context: str, qa: Record, *, impossible: bool, place: str) -> tuple[Answer, ...]:
    answers = tuple(
        _answer(context, answer, qa["id"], place) for answer in field(qa, "answers", list, place)
    )
    # In SQuAD 2.0 an empty list and the flag say the same; where they differ, one is wrong.
    unanswerable = impossible and field(qa, "is_impossible", bool, place)
    if unanswerable == bool(answers):
        raise DataError(
            f"the answers of question '{qa['id']}' contradict is_impossible"
            if impossible
            else _no_answer(qa["id"]),
            where=place,
            got=f"{len(answers)} answers",
            expected="no answer" if unanswerable else "at least one answer",
        )
    return answers


def _no_answer(identity: str) -> str:
    return f"question '{identity}' has no answer (only SQuAD v2.0 has unanswerable questions)"


def _answer(context: str, answer: Record, identity: str, place: str) -> Answer:
    """Read one answer and hold it against the context, in code points.

    Example:
        >>> _answer("a cat", {"text": "cat", "answer_start": 2}, "q", "f:1")
        Answer(text='cat', start=2)
    """
    text, start = field(answer, "text", str, place), field(answer, "answer_start", int, place)
    # A negative start would count from the end.
    found = context[start : start + len(text)] if start >= 0 else ""
    if not text or found != text:
        raise DataError(
            f"an answer of question '{identity}' does not stand in its context at its offset",
            where=place,
            got=f"{shown(found)} at offset {start}",
            expected=f"{shown(text)}" if text else "an answer that is not empty",
            fix="offsets count code points of the unstripped context; "
            "take the publisher's own file",
        )
    return Answer(text, start)
