"""Corpora of single sentences: BUCC 2018 (text and gold), Tatoeba, NTREX-128; anyone's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from stilts_artifact.data.readers.text import numbered_lines, refuse_empty, rows, shown
from stilts_artifact.documents import whole_number
from stilts_artifact.domain.examples import GoldPair, Sentence
from stilts_artifact.errors import DataError

SIDES = ("source", "target")
_DOCUMENT = re.compile(r"[A-Za-z0-9_.-]+")


def bucc_text(data: bytes, where: str) -> list[Sentence]:
    """Read one side of a BUCC corpus: ``id<TAB>text``, as ``de-000000001<TAB>Ein Satz.``

    Raises:
        DataError: an id that comes twice, an empty id or text, or a malformed file.
    """
    sentences, lines = [], dict[str, str]()
    for place, (identity, text) in rows(data, where, ("id", "text")):
        if not identity or not text:
            raise DataError(
                "empty id or text",
                where=place,
                got=shown(f"{identity}\t{text}"),
                expected="id<TAB>text",
            )
        # Gold names ids: of two sentences with one id, either would be right.
        if identity in lines:
            got = f"{shown(identity)}, as in {lines[identity]}"
            raise DataError(
                "two sentences have one id", where=place, got=got, expected="unique ids"
            )
        lines[identity] = place
        sentences.append(Sentence(identity, text))
    return sentences


def bucc_gold(data: bytes, where: str) -> list[GoldPair]:
    """Read BUCC's gold file: ``source id<TAB>English id``; that they exist, the corpus checks.

    Raises:
        DataError: a pair that comes twice, an empty id, or a malformed file.
    """
    return _gold(data, where, ("source id", "target id"), lambda pair, place: GoldPair(*pair))


def gold_lines(data: bytes, where: str, *, source: str, target: str) -> list[GoldPair]:
    """Read somebody's own gold: the lines of two sentences, counted from 0, with a tab between.

    Args:
        data: the bytes of the file.
        where: its name, for errors.
        source, target: the languages, with which the ids of :func:`lines` begin.

    Raises:
        DataError: no line number, or as :func:`bucc_gold`.
    """

    def named(pair: Sequence[str], place: str) -> GoldPair:
        for text in pair:
            if whole_number(text) is None:
                expected = "the line of a sentence, counted from 0"
                raise DataError(
                    "not a line number", where=place, got=shown(text), expected=expected
                )
        return GoldPair(f"{source}-{pair[0]}", f"{target}-{pair[1]}")

    return _gold(data, where, ("source line", "target line"), named)


def _gold(
    data: bytes,
    where: str,
    columns: tuple[str, str],
    named: Callable[[Sequence[str], str], GoldPair],
) -> list[GoldPair]:
    """Read pairs, each once; ``named`` makes one of two cells and their ``file:line``."""
    lines: dict[GoldPair, str] = {}
    for place, (source, target) in rows(data, where, columns):
        if not source or not target:
            raise DataError(
                "empty id",
                where=place,
                got=shown(f"{source}\t{target}"),
                expected="source<TAB>target",
            )
        pair = named((source, target), place)
        if pair in lines:
            got = f"{shown(source)}, {shown(target)}, as in {lines[pair]}"
            raise DataError("one gold pair twice", where=place, got=got, expected="unique pairs")
        lines[pair] = place
    return list(lines)


def lines(data: bytes, where: str, *, language: str = "") -> list[Sentence]:
    """Read Tatoeba: one sentence a line; the id is the 0-based line number, as predictions count.

    Args:
        data: the bytes of the file.
        where: its name, for errors.
        language: put before the number, as ``de-0``, where predictions name sentences of a corpus.

    Raises:
        DataError: an empty line, which would shift the two sides of a pair against each other, or a
            malformed file.
    """
    return _sentences(numbered_lines(data, where), language)


def ntrex(data: bytes, where: str) -> list[Sentence]:
    r"""Read NTREX-128: the same, with lines that end in ``\r\n``, as all of its texts have them.

    Raises:
        DataError: as :func:`lines`.
    """
    return _sentences(numbered_lines(data, where, crlf=True), "")


def _sentences(numbered: Iterable[tuple[str, str]], language: str) -> list[Sentence]:
    sentences = []
    for number, (place, text) in enumerate(numbered):
        # One empty line too many, and every pair after it is wrong.
        if not text.strip():
            raise DataError(
                "empty line", where=place, got=repr(text), expected="one sentence on every line"
            )
        sentences.append(Sentence(f"{language}-{number}" if language else str(number), text))
    return sentences


def require_document(text: str, place: str) -> None:
    """Refuse what is no id of a document.

    Raises:
        DataError: naming the place.
    """
    if _DOCUMENT.fullmatch(text) is None:
        raise DataError(
            "not the id of a document",
            where=place,
            got=shown(text),
            expected="letters, digits, points and hyphens, such as bbc.381790",
        )


def document_ids(data: bytes, where: str) -> list[str]:
    """Read NTREX's DOCUMENT_IDS.tsv: of each line of the texts, the document it stands in.

    Raises:
        DataError: a line that is no id, or one of a document that had ended; or a malformed file.
    """
    ids: list[str] = []
    ended: dict[str, str] = {}
    for place, text in numbered_lines(data, where):
        require_document(text, place)
        # What is drawn together must stand together: two documents of one id would be one.
        if text in ended:
            raise DataError(
                "a document goes on after its end",
                where=place,
                got=f"{shown(text)}, which ended at {ended[text]}",
                expected="the sentences of a document next to each other",
            )
        if ids and ids[-1] != text:
            ended[ids[-1]] = f"{where}:{len(ids)}"
        ids.append(text)
    return ids


def parallel(data: bytes, where: str, *, side: str) -> list[Sentence]:
    """Read one side of somebody's own parallel text: ``sentence<TAB>its English translation``.

    Args:
        data: the bytes of the file.
        where: its name, for errors.
        side: ``source`` or ``target``, which is English.

    Raises:
        DataError: an empty sentence, or a malformed file.
    """
    sentences = []
    for number, (place, cells) in enumerate(rows(data, where, SIDES)):
        refuse_empty(cells, SIDES, place)
        sentences.append(Sentence(str(number), cells[SIDES.index(side)]))
    return sentences
