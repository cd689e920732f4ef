"""Tagged sentences: Universal Dependencies (CoNLL-U), PAN-X and CCGbank; anyone's own words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from stilts_artifact.data.readers.conllu import conllu
from stilts_artifact.data.readers.text import (
    UNCHANGED,
    label,
    numbered_lines,
    refuse_blinded,
    refuse_empty,
    shown,
)
from stilts_artifact.domain.examples import Sentence, TaggedSentence
from stilts_artifact.errors import DataError

__all__ = ["bare_text", "ccg", "conllu", "panx", "tagged_words"]

PANX_TAGS = {tag: tag for tag in ("O", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER")}
_CCG_HEADER = re.compile(r"ID=\S+ PARSER=GOLD NUMPARSE=1")
# Categories have brackets of their own, as (S\NP)/NP has: only spaces tell fields apart.
_CCG_LEAF = re.compile(r"\(<L (\S+) \S+ \S+ (\S+) \S+>\)")
_CCG_BRANCH = re.compile(r"\(<T \S+ \d+ \d+>")


def bare_text(example: Sentence | TaggedSentence) -> str:
    """A sentence as running text: of a tagged one the words alone, apart by spaces.

    Example:
        >>> bare_text(TaggedSentence(("New", "York", "."), ("B-LOC", "I-LOC", "O")))
        'New York .'
    """
    return example.text if isinstance(example, Sentence) else " ".join(example.words)


def panx(data: bytes, where: str) -> list[TaggedSentence]:
    """Read one split and language of PAN-X: ``af:Sy<TAB>O``, a blank line after a sentence.

    The word is what follows the first colon (XTREME utils_preprocess.py:110-127 at 838c13b). A line
    without a colon, which XTREME drops without a word, is an error here.

    Raises:
        DataError: a word without its language prefix, a tag outside the seven, or a blinded or
            malformed file.
    """
    return _tagged(data, where, "language:word", _without_prefix, PANX_TAGS)


def tagged_words(data: bytes, where: str, *, labels: str = "") -> list[TaggedSentence]:
    """Read somebody's own: ``word<TAB>tag``, a blank line after a sentence.

    Args:
        data: the bytes of the file.
        where: its name, for errors.
        labels: those that the task has, apart by spaces; none where the data define them.

    Raises:
        DataError: an empty word or tag, a tag outside the set, or a blinded or malformed file.
    """
    return _tagged(data, where, "word", _plain, {tag: tag for tag in labels.split()})


def _tagged(
    data: bytes,
    where: str,
    column: str,
    read_word: Callable[[str, str], str],
    allowed: Mapping[str, str],
) -> list[TaggedSentence]:
    """Read a word and its tag a line.

    Args:
        column: what the first column is called.
        read_word: from its cell and ``file:line``.
        allowed: the tags; none for any.
    """
    sentences = []
    for block in _blocks(data, where):
        words, tags = [], []
        for place, line in block:
            word, tag = _two_cells(line, column, place)
            words.append(read_word(word, place))
            tags.append(label(tag, allowed, place) if allowed else _named(tag, place))
        sentences.append(TaggedSentence(tuple(words), tuple(tags)))
    # One sentence alone may well be all O.
    if len(sentences) > 1:
        refuse_blinded([tag for sentence in sentences for tag in sentence.tags], where)
    return sentences


def _two_cells(line: str, column: str, place: str) -> list[str]:
    cells = line.split("\t")
    if len(cells) != 2:
        what = (
            "missing columns: tag"
            if len(cells) < 2
            else f"{len(cells) - 2} extra columns after 'tag'"
        )
        expected = f"2 columns separated by a tab: {column}, tag"
        raise DataError(what, where=place, got=shown(line), expected=expected, fix=UNCHANGED)
    return cells


def _without_prefix(cell: str, place: str) -> str:
    prefix, colon, word = cell.partition(":")
    if not colon or not prefix:
        raise DataError(
            "word without language prefix",
            where=place,
            got=shown(cell),
            expected="language:word",
            fix=UNCHANGED,
        )
    return word.strip()


def _plain(cell: str, place: str) -> str:
    refuse_empty([cell], ["word"], place)
    return cell.strip()


def _named(tag: str, place: str) -> str:
    """A tag of an open set: one word, as label files have it."""
    if tag.split() != [tag]:
        raise DataError("not a tag", where=place, got=shown(tag), expected="a word without spaces")
    return tag


def _blocks(data: bytes, where: str) -> Iterator[list[tuple[str, str]]]:
    """Yield the non-empty stretches between blank lines as lists of (``file:line``, line)."""
    block: list[tuple[str, str]] = []
    found = False
    for place, line in numbered_lines(data, where):
        if line:
            block.append((place, line))
            found = True
        elif block:
            yield block
            block = []
    if block:
        yield block
    if not found:
        raise DataError(
            "the file has no sentences",
            where=f"{where}:1",
            got="blank lines",
            expected="tagged words",
        )


def ccg(data: bytes, where: str) -> list[TaggedSentence]:
    """Read a CCGbank AUTO file: a header line, then one derivation, whose leaves are the words.

    A leaf is ``(<L category modified-POS POS word predicate>)`` (jiant v1.3.0
    scripts/ccg/ccg_proc.py takes the same fields). Categories are an open set: the corpus defines
    them.

    Raises:
        DataError: a line out of turn, or a derivation that is cut or malformed.
    """
    sentences = []
    header = True
    for place, line in numbered_lines(data, where):
        if header:
            if not _CCG_HEADER.fullmatch(line):
                expected = "ID=... PARSER=GOLD NUMPARSE=1"
                raise DataError(
                    "not the header of a derivation",
                    where=place,
                    got=shown(line),
                    expected=expected,
                )
        else:
            sentences.append(_derivation(line, place))
        header = not header
    if not header:
        raise DataError(
            "the last derivation is missing",
            where=place,
            got="its header only",
            expected="a derivation",
        )
    return sentences


def _derivation(line: str, place: str) -> TaggedSentence:
    """``(<T NP 0 2> (<L NP/N DT DT a NP_1/N_1>) (<L N NN NN cat N>) )``: a/``NP/N`` cat/``N``."""
    leaves = _CCG_LEAF.findall(line)
    branches = len(_CCG_BRANCH.findall(line))
    # What is left when leaves and branches are gone must be one closing bracket a branch.
    rest = _CCG_BRANCH.sub("", _CCG_LEAF.sub("", line)).replace(" ", "")
    if not leaves or rest != ")" * branches:
        got = f"{len(leaves)} leaves, {branches} branches, {shown(rest)} besides"
        expected = "balanced (<T ...> ... ) and (<L category modified-POS POS word predicate>)"
        raise DataError(
            "malformed derivation", where=place, got=got, expected=expected, fix=UNCHANGED
        )
    return TaggedSentence(
        tuple(word for _, word in leaves), tuple(category for category, _ in leaves)
    )
