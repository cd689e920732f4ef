"""Corpora of single sentences: BUCC 2018 (text and gold) and Tatoeba."""

from __future__ import annotations

from stilts_artifact.data.readers.text import numbered_lines, rows, shown
from stilts_artifact.domain.examples import GoldPair, Sentence
from stilts_artifact.errors import DataError


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
    lines: dict[GoldPair, str] = {}
    for place, (source, target) in rows(data, where, ("source id", "target id")):
        pair = GoldPair(source, target)
        if not source or not target:
            raise DataError(
                "empty id",
                where=place,
                got=shown(f"{source}\t{target}"),
                expected="source<TAB>target",
            )
        if pair in lines:
            got = f"{shown(source)}, {shown(target)}, as in {lines[pair]}"
            raise DataError("one gold pair twice", where=place, got=got, expected="unique pairs")
        lines[pair] = place
    return list(lines)


def lines(data: bytes, where: str) -> list[Sentence]:
    """Read Tatoeba: one sentence a line; the id is the 0-based line number, as predictions count.

    Raises:
        DataError: an empty line, which would shift the two sides of a pair against each other, or a
            malformed file.
    """
    sentences = []
    for number, (place, text) in enumerate(numbered_lines(data, where)):
        # One empty line too many, and every pair after it is wrong.
        if not text.strip():
            raise DataError(
                "empty line", where=place, got=repr(text), expected="one sentence on every line"
            )
        sentences.append(Sentence(str(number), text))
    return sentences
