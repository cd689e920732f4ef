"""Universal Dependencies in CoNLL-U as surface tokens with one tag each, by XTREME's rules.

The rules are those of XTREME at 838c13b: third_party/ud-conversion-tools
(``--replace_subtokens_with_fused_forms``) and utils_preprocess.py:190-289; :func:`conllu` lists
them. The converter itself needs networkx 1.11, of 2016, so they are written anew here. XTREME knows
the part of speech alone; that a tag may also have the word's morphological features is ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from stilts_artifact.data.readers.text import UNCHANGED, numbered_lines, refuse_blinded, shown
from stilts_artifact.documents import whole_number
from stilts_artifact.domain.examples import TaggedSentence
from stilts_artifact.errors import DataError

COLUMNS = 10
UPOS = "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X"
ZERO_WIDTH_NON_JOINER = "\u200c"

# Which of several equally high words gives a fused token its tag; French ``CONJ`` is XTREME's (UD
# v2 has no such tag).
PRECEDENCE = {
    "default": "VERB NOUN PROPN PRON ADJ NUM ADV INTJ AUX ADP DET PART CCONJ SCONJ X PUNCT",
    "es": "VERB AUX PRON ADP DET",
    "fr": "VERB AUX PRON NOUN ADJ ADV ADP DET PART SCONJ CONJ",
    "it": "VERB AUX ADV PRON ADP DET INTJ",
}
_TAGS = frozenset(UPOS.split())
# ``Case=Nom``, ``Number[psor]=Sing``, ``PronType=Int,Rel``
# (universaldependencies.org/format.html#morphological-annotation).
_FEATURE = re.compile(
    r"[A-Z][A-Za-z0-9]*(\[[a-z0-9]+\])?=[A-Z0-9][A-Za-z0-9]*(,[A-Z0-9][A-Za-z0-9]*)*"
)


@dataclass(frozen=True, slots=True)
class _Word:
    """A syntactic word. ``heads``: its head, and those of enhanced dependencies; 0 is the root."""

    form: str
    upos: str
    feats: str
    heads: tuple[int, ...]
    place: str


@dataclass(slots=True)
class _Sentence:
    """``words[i]`` has id ``i + 1``; ``spans`` are multiword tokens: (first id, last id, form)."""

    words: list[_Word]
    spans: list[tuple[int, int, str]]


def conllu(
    data: bytes, where: str, *, language: str = "default", tags: str = "upos"
) -> list[TaggedSentence]:
    """Read one treebank file as XTREME does.

    - A multiword token (``3-4``) stays one token with its surface form. Its tag is that of the word
      in it that has the fewest ancestors (basic and enhanced dependencies together, as the
      converter counts them); ties go to the tag that comes first in :data:`PRECEDENCE` of
      ``language``, and last to the leftmost word.
    - Empty nodes (``8.1``) are skipped.
    - A sentence stays if no word is ``_``, or fewer than its length less one are: treebanks that
      are distributed without their text (FTB, NYUAD, ESL) drop out.
    - Words lose U+200C and spaces.

    Args:
        language: chooses the precedence list (``es``, ``fr``, ``it``; all others share one).
        tags: what a tag is: a key of :data:`TAGS`.

    Raises:
        DataError: a line that does not have ten columns, ids out of order, a tag outside the
            seventeen, features that are none (where tags have them), a last sentence that is cut,
            or a blinded or malformed file.
    """
    tag_of = TAGS[tags]
    precedence = PRECEDENCE.get(language, PRECEDENCE["default"]).split()
    examples = []
    for sentence in _sentences(data, where):
        tokens = _tokens(sentence, precedence)
        unknown = sum(form == "_" for form, _ in tokens)
        if unknown == 0 or unknown < len(tokens) - 1:
            words = tuple(_cleaned(form) for form, _ in tokens)
            examples.append(TaggedSentence(words, tuple(tag_of(word) for _, word in tokens)))
    # One sentence alone may well have one tag only.
    if len(examples) > 1:
        refuse_blinded([tag for example in examples for tag in example.tags], where)
    return examples


def _tokens(sentence: _Sentence, precedence: Sequence[str]) -> list[tuple[str, _Word]]:
    """Return the surface tokens in order: (form, the word that gives the tag)."""
    tokens = []
    after = 0  # id of the last word already covered
    # The last, empty span is a sentinel: words after the last multiword token.
    for first, last, form in [*sentence.spans, (len(sentence.words) + 1, 0, "")]:
        tokens += [(word.form, word) for word in sentence.words[after : first - 1]]
        if last:
            tokens.append((form, _head(sentence, range(first, last + 1), precedence)))
            after = last
    return tokens


def _head(sentence: _Sentence, span: range, precedence: Sequence[str]) -> _Word:
    depths = [_ancestors(sentence, identity) for identity in span]
    least = min(depths)
    highest = [
        sentence.words[identity - 1]
        for identity, depth in zip(span, depths, strict=True)
        if depth == least
    ]
    # A tag that no list names comes last; min() then takes the leftmost word.
    rank = {tag: index for index, tag in enumerate(precedence)}
    return min(highest, key=lambda word: rank.get(word.upos, len(rank)))


def _ancestors(sentence: _Sentence, identity: int) -> int:
    """Number of nodes, the root among them, from which ``identity`` can be reached.

    Example: in *a -> b -> c* with *a* under the root, ``c`` has 3.
    """
    # With memory: enhanced dependencies may run in circles.
    seen, open_nodes = {identity}, [identity]
    while open_nodes:
        node = open_nodes.pop()
        if node:
            new = [head for head in sentence.words[node - 1].heads if head not in seen]
            seen.update(new)
            open_nodes += new
    return len(seen) - 1


def _cleaned(form: str) -> str:
    """Remove what XTREME removes; a form of nothing else is kept, as every tag needs its word."""
    return form.strip().replace(ZERO_WIDTH_NON_JOINER, "").replace(" ", "") or form


def _upos(word: _Word) -> str:
    if word.upos not in _TAGS:
        raise DataError(
            "label outside its set",
            where=word.place,
            got=shown(word.upos),
            expected=f"one of {UPOS}",
        )
    return word.upos


def _upos_and_features(word: _Word) -> str:
    """The part of speech and the features of a word, ``NOUN|Case=Nom|Number=Sing``.

    Sorted as the format wants them, case apart, so that one bundle is one tag; without features the
    part of speech alone.
    """
    upos = _upos(word)
    if word.feats == "_":
        return upos
    features = sorted(word.feats.split("|"), key=str.lower)
    names = [feature.partition("=")[0] for feature in features]
    if not all(map(_FEATURE.fullmatch, features)) or len(set(names)) < len(names):
        raise DataError(
            "FEATS is no bundle of features",
            where=word.place,
            got=shown(word.feats),
            expected="_, or Name=Value pairs between |, each name once",
            fix=UNCHANGED,
        )
    return "|".join((upos, *features))


TAGS: Mapping[str, Callable[[_Word], str]] = {"upos": _upos, "upos|feats": _upos_and_features}
"""What a tag can be: the part of speech, or that and the morphological features."""


def _sentences(data: bytes, where: str) -> Iterator[_Sentence]:
    """Yield the sentences of the file; each must end with a blank line, the last one too."""
    sentence = _Sentence([], [])
    for place, line in numbered_lines(data, where):
        if not line:
            if sentence.words:
                yield _complete(sentence, place)
            sentence = _Sentence([], [])
        elif not line.startswith("#"):
            _add(sentence, line, place)
    if sentence.words:
        got, expected = "the end of the file inside a sentence", "a blank line after every sentence"
        raise DataError(
            "the last sentence is cut", where=place, got=got, expected=expected, fix=UNCHANGED
        )


def _add(sentence: _Sentence, line: str, place: str) -> None:
    cells = line.split("\t")
    if len(cells) != COLUMNS:
        what = "missing columns" if len(cells) < COLUMNS else "extra columns"
        names = "ID FORM LEMMA UPOS XPOS FEATS HEAD DEPREL DEPS MISC"
        expected = f"{COLUMNS} columns separated by tabs ({names})"
        raise DataError(
            what, where=place, got=f"{len(cells)} columns", expected=expected, fix=UNCHANGED
        )
    identity, form = cells[0], cells[1]
    if not form:
        raise DataError(
            "empty FORM", where=place, got=repr(form), expected="a word, or _ where it is withheld"
        )
    # A multiword token stands before the words that it spans.
    if "-" in identity:
        first, last = (_number(part, "ID", place) for part in identity.split("-", 1))
        if first != len(sentence.words) + 1 or last <= first:
            _wrong_id(identity, f"{len(sentence.words) + 1}-...", place)
        if sentence.spans and first <= sentence.spans[-1][1]:
            _wrong_id(identity, "multiword tokens that do not overlap", place)
        sentence.spans.append((first, last, form))
    elif "." not in identity:  # 8.1 is an empty node
        if _number(identity, "ID", place) != len(sentence.words) + 1:
            _wrong_id(identity, str(len(sentence.words) + 1), place)
        heads = _heads(cells[6], cells[8], place)
        sentence.words.append(_Word(form, cells[3], cells[5], heads, place))


def _heads(head: str, deps: str, place: str) -> tuple[int, ...]:
    """Heads of a word: the basic one and those of DEPS (``4:nsubj|7:conj``), no empty nodes."""
    basic = _number(head, "HEAD", place)
    if deps == "_":
        return (basic,)
    enhanced = (pair.split(":", 1)[0] for pair in deps.split("|"))
    return (basic, *(_number(name, "DEPS", place) for name in enhanced if "." not in name))


def _complete(sentence: _Sentence, place: str) -> _Sentence:
    """Check what only the whole sentence can tell: that spans and heads point at words of it."""
    size = len(sentence.words)
    if sentence.spans and sentence.spans[-1][1] > size:
        _wrong_id(
            f"a multiword token up to word {sentence.spans[-1][1]}", f"words up to {size}", place
        )
    for word in sentence.words:
        if max(word.heads) > size:
            raise DataError(
                "unknown head", where=word.place, got=str(max(word.heads)), expected=f"0 to {size}"
            )
    return sentence


def _number(text: str, column: str, place: str) -> int:
    number = whole_number(text)
    if number is None:
        raise DataError(
            f"{column} is not a number", where=place, got=shown(text), expected="a number"
        )
    return number


def _wrong_id(got: str, expected: str, place: str) -> None:
    raise DataError(
        "ID out of order", where=place, got=shown(got), expected=expected, fix=UNCHANGED
    )
