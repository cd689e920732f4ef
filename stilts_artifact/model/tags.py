"""Word-level tagging: the tag of a word is read at its first sub-token.

A sentence longer than the model reads is split between words, never cut off: every word of every
sentence gets a prediction, so predictions align with gold one to one. (XTREME drops what exceeds
the limit and splits the files beforehand instead, which moves sentence borders.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from stilts_artifact.errors import ConfigError
from stilts_artifact.model.features import Ids, pieces
from stilts_artifact.model.tokenizer import BOS, EOS, UNK

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SINGLE_SPECIALS = 2
"""``<s>`` and ``</s>``."""


class TagChunk(NamedTuple):
    """Consecutive words of one sentence that fit into one input.

    Args:
        sentence: index of the sentence.
        input_ids: its tokens.
        positions: for each word of the chunk, in order, the position of its first sub-token.
    """

    sentence: int
    input_ids: Ids
    positions: list[int]


def tag_chunks(
    tokenizer: PreTrainedTokenizerFast, sentences: Sequence[Sequence[str]], max_length: int
) -> list[TagChunk]:
    """Chunks of all sentences, in order; together they hold every word exactly once.

    A word that the tokenizer makes nothing of (a zero-width space, say) stands as ``<unk>``. A word
    with more sub-tokens than an input can hold keeps its first ones.

    Raises:
        ConfigError: no room for a single token.
    """
    room = max_length - SINGLE_SPECIALS
    if room < 1:
        raise ConfigError(
            "maximum length leaves no room for a word", got=str(max_length), expected=">= 3"
        )
    words = sorted({word for sentence in sentences for word in sentence})
    # Words are tokenised by themselves, as the tokenizer itself does with text that comes split
    # into words.
    ids = {
        word: (own or [UNK])[:room]
        for word, own in zip(words, pieces(tokenizer, words), strict=True)
    }
    return [
        chunk
        for index, sentence in enumerate(sentences)
        for chunk in _chunks(index, [ids[word] for word in sentence], room)
    ]


def _chunks(sentence: int, words: Sequence[Ids], room: int) -> Iterator[TagChunk]:
    tokens: Ids = []
    positions: list[int] = []
    for word in words:
        if len(tokens) + len(word) > room:
            yield TagChunk(sentence, [BOS, *tokens, EOS], positions)
            tokens, positions = [], []
        positions.append(1 + len(tokens))
        tokens.extend(word)
    if positions:
        yield TagChunk(sentence, [BOS, *tokens, EOS], positions)


def tag_labels(
    chunks: Sequence[TagChunk], tags: Sequence[Sequence[int]], ignored: int
) -> list[list[int]]:
    """Labels of every token of every chunk: a word's tag at its first sub-token, ``ignored`` elsewhere.

    Args:
        tags: of each sentence, one for each word.
    """
    labels = []
    rests = [iter(sentence) for sentence in tags]
    for chunk in chunks:
        row = [ignored] * len(chunk.input_ids)
        for position in chunk.positions:
            row[position] = next(rests[chunk.sentence])
        labels.append(row)
    return labels


def join_tags(
    chunks: Sequence[TagChunk], predicted: Sequence[Sequence[int]], sentences: int
) -> list[list[int]]:
    """Tags of whole sentences from tags of every token of every chunk.

    Args:
        predicted: for each chunk, a tag for each of its tokens (or more: padding is not looked at).
        sentences: how many there are.
    """
    tags: list[list[int]] = [[] for _ in range(sentences)]
    for chunk, row in zip(chunks, predicted, strict=True):
        tags[chunk.sentence].extend(row[position] for position in chunk.positions)
    return tags
