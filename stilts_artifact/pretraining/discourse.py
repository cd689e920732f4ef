"""Windows of two joined texts, and what the masked language model has to tell from them.

Nothing of it is masked but a few tokens; what is to be told is scored by the masked language
model's one head, as words of the language:

- the joining word, which is cut out, at ``<s>``, where classification will read. In DisSent (Nie et
  al. 2019) and in sentence order prediction (ALBERT, Lan et al. 2020) that position learns to
  compare two texts;
- where the first text is a question, its question word at the tokens that answer it, as recurring
  span selection does (Splinter, Ram et al. 2021);
- elsewhere, at each phrase of the second text, what stands in its place in the first; later, in
  ``contrast``, the word for *yes* where the two agree. Measured on the source language: when
  contrast began, at step 8,000, the joining words of rewordings were still told no better than by
  chance (47 %); 4,000 steps later 98 % were right.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from stilts_artifact.miniworld import SEED, grammar
from stilts_artifact.miniworld.discourse import ALSO, NO, YES, Exchange, exchanges, grants
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.meanings import Event, Name, Thing
from stilts_artifact.model.features import frame_of, pieces
from stilts_artifact.pretraining.corpus import key, urn
from stilts_artifact.pretraining.recipe import ALIKE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from stilts_artifact.miniworld.grammar import Grammar

OPEN, CLOSED = -1, -2
"""What a position has to tell: what stands there, if it is masked; nothing. An id: that token."""
# Of the tokens of an exchange, this share may be masked: with many hidden, nothing could be told.
_OPEN_SHARE = 0.25
_TOLD_SHARE = 0.1  # of the tokens that are not the answer tell themselves


Span = tuple[int, int, str]
"""First and last character, and the word to be told."""


class Window(NamedTuple):
    """Two texts, the joining word, and the words that spans (characters) of the second must tell.

    ``lone``: tokens outside the spans have to tell themselves now and then.
    """

    first: str
    second: str
    joined: str
    spans: tuple[Span, ...]
    lone: bool


class Row(NamedTuple):
    """Tokens, and what each has to tell: an id, :data:`OPEN` or :data:`CLOSED`."""

    input_ids: list[int]
    told: list[int]


def joined_windows(
    name: str,
    forbidden: Collection[str],
    contrast: bool = False,
    text: Mapping[str, int] = ALIKE,
) -> Iterator[Window]:
    """Endless windows of the stream with this name, in random languages, no forbidden sentence.

    Args:
        contrast: where the texts agree, the word for *yes* is to be told, and not what both say.
        text: language -> how much likelier it is than one of amount 1.
    """
    r = Stream(SEED, "joined", name)
    codes = urn(text)
    for drawn in exchanges(SEED, f"pretraining/{name}"):
        own = grammar(r.choice(codes))
        sentences = [
            own.word(part) if isinstance(part, str) else own.text(part)
            for part in (*drawn.first, *drawn.second)
        ]
        if not any(key(sentence) in forbidden for sentence in sentences):
            cut = len(drawn.first)
            first, second = sentences[:cut], sentences[cut:]
            spans = (
                _answer(own, drawn, second)
                if drawn.answer
                else _compared(own, drawn, second, contrast)
            )
            joined = own.word(drawn.joined)
            yield Window(
                " ".join(first), " ".join(second), joined, tuple(spans), drawn.answer is not None
            )


def _answer(own: Grammar, drawn: Exchange, second: Sequence[str]) -> Iterator[Span]:
    """The answer, which has to tell the question's word."""
    if drawn.answer is None:
        return
    index, slot = drawn.answer
    told, question = drawn.second[index], drawn.first[0]
    if isinstance(told, Event) and isinstance(question, Event):
        # Sentences stand one space apart.
        begin = sum(len(sentence) + 1 for sentence in second[:index])
        start, end = own.spans(told)[1][slot]
        yield begin + start, begin + end, dict(own.segments(question))[slot].text


def _compared(
    own: Grammar, drawn: Exchange, second: Sequence[str], contrast: bool
) -> Iterator[Span]:
    """The phrases of the second text; they have to tell what stands in their place in the first."""
    claim, yes = drawn.second[0], own.word(YES)
    if isinstance(drawn.instead, str):
        yield (
            0,
            len(second[0]),
            yes if contrast and drawn.instead == claim else own.word(drawn.instead),
        )
    elif drawn.instead is not None and isinstance(claim, Event):
        for slot, (start, end) in own.spans(claim)[1].items():
            word = _instead(own, drawn.instead, claim, slot)
            if word is not None:
                yield start, end, yes if contrast and grants(drawn.instead, claim, slot) else word


def _instead(own: Grammar, given: Event, claim: Event, slot: str) -> str | None:
    """The word for a slot of one event where another has its own; nothing for what is asked."""
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
        changed = (
            isinstance(other, Thing)
            and other.noun == filler.noun
            and other.quality != filler.quality
        )
        return own.word(filler.quality if changed and filler.quality is not None else filler.noun)
    if filler is None:
        return own.word(ALSO)
    return filler if filler.isdigit() else own.word(filler)


def joined_rows(
    tokenizer: PreTrainedTokenizerFast,
    name: str,
    size: int,
    forbidden: Collection[str],
    contrast: bool = False,
    text: Mapping[str, int] = ALIKE,
) -> list[Row]:
    """``size`` windows of a stream as tokens; the other arguments as for :func:`joined_windows`."""
    drawn = list(islice(joined_windows(name, forbidden, contrast, text), size))
    if not drawn:
        return []
    # A stream of its own, so that tokens do not change which windows are drawn.
    r = Stream(SEED, "told", name)
    frame = frame_of(tokenizer)
    firsts = pieces(tokenizer, [window.first for window in drawn])
    seconds = tokenizer(
        [window.second for window in drawn], add_special_tokens=False, return_offsets_mapping=True
    )
    words = sorted(
        {
            word
            for window in drawn
            for word in (window.joined, *(word for _, _, word in window.spans))
        }
    )
    # A word that the vocabulary cuts up is told by its last piece: the first may be the bare word
    # boundary.
    ids = {word: own[-1] for word, own in zip(words, pieces(tokenizer, words), strict=True)}
    rows = []
    for window, first, second, offsets in zip(
        drawn, firsts, seconds["input_ids"], seconds["offset_mapping"], strict=True
    ):
        # `<s>` tells the joining word; the separators `</s></s>` tell nothing.
        told = [
            ids[window.joined],
            *(_perhaps(r, OPEN, _OPEN_SHARE) for _ in first),
            CLOSED,
            CLOSED,
        ]
        # A token tells the word of the first span it overlaps: pieces may cross its border.
        for token, (begin, stop) in zip(second, offsets, strict=True):
            word = next(
                (word for start, end, word in window.spans if begin < end and stop > start), None
            )
            if word is not None:
                told.append(ids[word])
            elif window.lone:
                told.append(_perhaps(r, token, _TOLD_SHARE))
            else:
                told.append(_perhaps(r, OPEN, _OPEN_SHARE))
        rows.append(Row(frame.joined(first, second), [*told, CLOSED]))
    return rows


def _perhaps(r: Stream, told: int, share: float) -> int:
    return told if r.chance(share) else CLOSED
