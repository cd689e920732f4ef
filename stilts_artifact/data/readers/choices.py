"""Multiple choice: HellaSwag, Cosmos QA, CommonsenseQA, put together as jiant does; own rows."""

from __future__ import annotations

from collections.abc import Iterator

from stilts_artifact.data.readers.records import Record, field, parse_lines
from stilts_artifact.data.readers.text import (
    decode,
    label,
    refuse_blinded,
    refuse_empty,
    rows,
    shown,
)
from stilts_artifact.documents import parse_csv
from stilts_artifact.domain.examples import ChoiceExample
from stilts_artifact.errors import DataError

COSMOSQA_COLUMNS = [
    "id",
    "context",
    "question",
    "answer0",
    "answer1",
    "answer2",
    "answer3",
    "label",
]
FOUR = {str(index): index for index in range(4)}
LETTERS = "ABCDE"


def hellaswag(data: bytes, where: str) -> list[ChoiceExample]:
    """Read ``hellaswag_train.jsonl`` or ``hellaswag_val.jsonl``.

    The prompt is ``ctx_a``; a choice is ``ctx_b``, a space and the ending. ``ctx_b`` may be empty,
    and the choice then begins with the space, as in jiant (tasks/lib/hellaswag.py at daa5a25).

    Raises:
        DataError: not four endings, a label outside 0-3, or a blinded or malformed file.
    """
    examples = []
    for place, record in parse_lines(data, where):
        start = field(record, "ctx_b", str, place)
        endings = field(record, "endings", list, place)
        choices = tuple(f"{start} {ending}" for ending in _texts(endings, 4, "endings", place))
        gold = field(record, "label", int, place)
        identity, prompt = field(record, "ind", int, place), field(record, "ctx_a", str, place)
        examples.append(ChoiceExample(str(identity), prompt, choices, _index(str(gold), place)))
    return _checked(examples, where)


def cosmosqa(data: bytes, where: str) -> list[ChoiceExample]:
    """Read Cosmos QA's ``train.csv`` or ``valid.csv``; the prompt is context, a space, question.

    The one quoted csv among the formats, and the one with CRLF line ends upstream.

    Raises:
        DataError: other columns, a label outside 0-3, or a blinded or malformed file.
    """
    decode(data, where, crlf=True)  # for what is no fault of CSV: a mark at its start, a NUL
    examples = []
    for row in parse_csv(data, where, COSMOSQA_COLUMNS):
        identity, context, question, *choices, gold = (row.cells[name] for name in COSMOSQA_COLUMNS)
        prompt = f"{context} {question}"
        examples.append(ChoiceExample(identity, prompt, tuple(choices), _index(gold, row.where)))
    if not examples:
        raise DataError(
            "the table has no rows", where=f"{where}:1", got="0 rows", expected="at least one row"
        )
    return _checked(examples, where)


def commonsenseqa(data: bytes, where: str) -> list[ChoiceExample]:
    """Read CommonsenseQA v1.11 ``train_rand_split.jsonl`` or ``dev_rand_split.jsonl``.

    The first release (v1.0) had three choices; its questions are others, so it is refused.

    Raises:
        DataError: not five choices labelled A to E in order, an answer outside them, or a blinded
            or malformed file.
    """
    examples = []
    for place, record in parse_lines(data, where):
        question = field(record, "question", dict, place)
        listed = field(question, "choices", list, place)
        choices = tuple(
            _choice(choice, letter, place) for choice, letter in _lettered(listed, place)
        )
        answer = label(
            field(record, "answerKey", str, place), {letter: letter for letter in LETTERS}, place
        )
        identity, stem = field(record, "id", str, place), field(question, "stem", str, place)
        examples.append(ChoiceExample(identity, stem, choices, LETTERS.index(answer)))
    return _checked(examples, where)


def choice_rows(data: bytes, where: str) -> list[ChoiceExample]:
    r"""Read somebody's own: ``prompt<TAB>choice<TAB>...<TAB>index``, without a header.

    The index of the right choice counts from 0. Two choices or more, as many in every row.

    Example:
        >>> choice_rows(b"The sun\tsets\tsings\t0\n", "f")[0].choices
        ('sets', 'sings')

    Raises:
        DataError: another number of choices than in the first row, an empty cell, no such index, or
            a blinded or malformed file.
    """
    count = max(2, data.partition(b"\n")[0].count(b"\t") - 1)
    columns = ("prompt", *(f"choice {index}" for index in range(count)), "index")
    indices = {str(index): str(index) for index in range(count)}
    examples = []
    for number, (place, cells) in enumerate(rows(data, where, columns)):
        refuse_empty(cells, columns, place)
        prompt, *choices, gold = cells
        right = int(label(gold, indices, place))
        examples.append(ChoiceExample(str(number), prompt, tuple(choices), right))
    return _checked(examples, where)


def _lettered(choices: list[Record], place: str) -> Iterator[tuple[Record, str]]:
    if len(choices) != len(LETTERS):
        got, expected = f"{len(choices)} choices", "5 choices, A to E (release v1.11; v1.0 has 3)"
        raise DataError(
            "not the number of choices of CommonsenseQA", where=place, got=got, expected=expected
        )
    return zip(choices, LETTERS, strict=True)


def _choice(choice: Record, letter: str, place: str) -> str:
    found = field(choice, "label", str, place)
    if found != letter:
        raise DataError(
            "choices are not in the order A to E",
            where=place,
            got=shown(found),
            expected=repr(letter),
        )
    return field(choice, "text", str, place)


def _texts(values: list[object], count: int, name: str, place: str) -> list[str]:
    if len(values) != count:
        raise DataError(
            f"wrong number of {name}", where=place, got=str(len(values)), expected=str(count)
        )
    return [field({name: value}, name, str, place) for value in values]


def _index(gold: str, place: str) -> int:
    label(gold, {name: name for name in FOUR}, place)
    return FOUR[gold]


def _checked(examples: list[ChoiceExample], where: str) -> list[ChoiceExample]:
    refuse_blinded([example.label for example in examples], where)
    return examples
