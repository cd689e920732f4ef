"""Windows of two joined texts, as the masked language model reads them, and what it has to tell from them.

The joining word is cut out, and is to be told from ``<s>``, where classification will read; in DisSent (Nie et al.
2019) and in sentence order prediction (ALBERT, Lan et al. 2020) the same position learns to compare. Where the first
text is a question, the tokens that answer it are to be told by the question's word, and others by themselves: what
recurring span selection (Splinter, Ram et al. 2021) learns. Both are words of the language, scored by the one head of
the masked language model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from stilts_artifact.miniworld import SEED, grammar, languages
from stilts_artifact.miniworld.discourse import ALSO, NO, Exchange, exchanges
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.meanings import Event, Name, Thing
from stilts_artifact.model.features import join, pieces
from stilts_artifact.phases.corpus import key

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from stilts_artifact.miniworld.grammar import Grammar

OPEN, CLOSED = -1, -2
"""What a position has to tell: whatever stands there if it is masked; nothing. A token id: that token."""
_OPEN_SHARE = 0.25  # of the tokens of an exchange may be masked: with many hidden, nothing could be told
_TOLD_SHARE = 0.1  # of the tokens that are not the answer tell themselves


class Window(NamedTuple):
    """Two texts, the joining word, and the words that spans of the second text (characters) have to tell.

    ``lone``: tokens outside the spans have to tell themselves now and then.
    """

    first: str
    second: str
    joined: str
    spans: tuple[tuple[int, int, str], ...]
    lone: bool


class Row(NamedTuple):
    """Tokens, and what each has to tell: an id, :data:`OPEN` or :data:`CLOSED`."""

    input_ids: list[int]
    told: list[int]


def joined_windows(name: str, forbidden: Collection[str]) -> Iterator[Window]:
    """Endless windows of the stream with this name, in random languages; no forbidden sentence is in them."""
    r = Stream(SEED, "joined", name)
    codes = tuple(languages)
    for drawn in exchanges(SEED, f"pretraining/{name}"):
        own = grammar(r.choice(codes))
        sentences = [own.word(part) if isinstance(part, str) else own.text(part) for part in (*drawn.first, *drawn.second)]
        if not any(key(sentence) in forbidden for sentence in sentences):
            yield _window(own, drawn, sentences)


def _window(own: Grammar, drawn: Exchange, sentences: Sequence[str]) -> Window:
    cut = len(drawn.first)
    second = sentences[cut:]
    spans: list[tuple[int, int, str]] = []
    if drawn.answer is not None:
        index, slot = drawn.answer
        told, question = drawn.second[index], drawn.first[0]
        if isinstance(told, Event) and isinstance(question, Event):
            begin = sum(len(sentence) + 1 for sentence in second[:index])
            start, end = own.spans(told)[1][slot]
            spans = [(begin + start, begin + end, dict(own.segments(question))[slot].text)]
    elif isinstance(drawn.instead, str):
        spans = [(0, len(second[0]), own.word(drawn.instead))]
    elif drawn.instead is not None and isinstance(drawn.second[0], Event):
        for slot, (start, end) in own.spans(drawn.second[0])[1].items():
            word = _instead(own, drawn.instead, drawn.second[0], slot)
            if word is not None:
                spans.append((start, end, word))
    joined = own.word(drawn.joined)
    return Window(" ".join(sentences[:cut]), " ".join(second), joined, tuple(spans), drawn.answer is not None)


def _instead(own: Grammar, given: Event, claim: Event, slot: str) -> str | None:
    """The word that stands for a slot of one event where another has its own; nothing for what is asked."""
    if slot in (given.asks, claim.asks):
        return None
    if slot == "verb":
        return own.word(given.verb if given.negated == claim.negated else NO)
    filler = getattr(given, slot)
    if slot == "place" and filler is not None:
        filler = filler.ground
    if isinstance(filler, Name):
        return own.name(filler)
    if isinstance(filler, Thing):
        other = getattr(claim, slot)
        changed = isinstance(other, Thing) and other.noun == filler.noun and other.quality != filler.quality
        return own.word(filler.quality if changed and filler.quality is not None else filler.noun)
    if filler is None:
        return own.word(ALSO)
    return filler if filler.isdigit() else own.word(filler)


def joined_rows(tokenizer: PreTrainedTokenizerFast, name: str, size: int, forbidden: Collection[str]) -> list[Row]:
    """``size`` windows of a stream as tokens."""
    drawn = list(islice(joined_windows(name, forbidden), size))
    if not drawn:
        return []
    r = Stream(SEED, "told", name)
    firsts = pieces(tokenizer, [window.first for window in drawn])
    seconds = tokenizer([window.second for window in drawn], add_special_tokens=False, return_offsets_mapping=True)
    words = sorted({word for window in drawn for word in (window.joined, *(word for _, _, word in window.spans))})
    # A word that the vocabulary cuts up is told by its last piece: the first may be the bare word boundary.
    ids = {word: own[-1] for word, own in zip(words, pieces(tokenizer, words), strict=True)}
    rows = []
    for window, first, second, offsets in zip(
        drawn, firsts, seconds["input_ids"], seconds["offset_mapping"], strict=True
    ):
        told = [ids[window.joined], *(_perhaps(r, OPEN, _OPEN_SHARE) for _ in first), CLOSED, CLOSED]
        for token, (begin, stop) in zip(second, offsets, strict=True):
            word = next((word for start, end, word in window.spans if begin < end and stop > start), None)
            if word is not None:
                told.append(ids[word])
            elif window.lone:
                told.append(_perhaps(r, token, _TOLD_SHARE))
            else:
                told.append(_perhaps(r, OPEN, _OPEN_SHARE))
        rows.append(Row(join(first, second), [*told, CLOSED]))
    return rows


def _perhaps(r: Stream, told: int, share: float) -> int:
    return told if r.chance(share) else CLOSED
