"""Tags of words: every word of every sentence gets exactly its own prediction, whatever the lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilts_artifact.errors import ConfigError
from stilts_artifact.model.forms.tagging import join_tags, tag_chunks, tag_labels
from stilts_artifact.model.tokenizer import UNK

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

IGNORED = -100
# Words the tokenizer knows, words it must spell, words that vanish in normalisation, any text at
# all.
WORDS = st.sampled_from(["merfa", "sudi", ".", "\u200b", "ﬁ", "x" * 70]) | st.text(
    min_size=1, max_size=12
)
SENTENCES = st.lists(st.lists(WORDS, min_size=1, max_size=60), min_size=1, max_size=5)


@settings(deadline=None)
@given(sentences=SENTENCES, max_length=st.integers(3, 80))
def test_predictions_align_with_gold_words_one_to_one(
    tokenizer: PreTrainedTokenizerFast, sentences: list[list[str]], max_length: int
) -> None:
    # Each word's tag is a number of its own, so a tag read at a wrong place cannot pass.
    numbers = iter(range(10**6))
    tags = [[next(numbers) for _ in words] for words in sentences]
    chunks = tag_chunks(tokenizer, sentences, max_length)
    labels = tag_labels(chunks, tags, IGNORED)
    assert join_tags(chunks, [[*row, 777] for row in labels], len(sentences)) == tags
    for chunk, row in zip(chunks, labels, strict=True):
        assert len(row) == len(chunk.input_ids) <= max_length
        assert sum(label != IGNORED for label in row) == len(chunk.positions) > 0
        assert row[0] == row[-1] == IGNORED
        assert (chunk.input_ids[0], chunk.input_ids[-1]) == (0, 2)


@settings(deadline=None)
@given(words=st.lists(WORDS, min_size=1, max_size=20))
def test_ids_are_the_tokenizers_own(tokenizer: PreTrainedTokenizerFast, words: list[str]) -> None:
    (chunk,) = tag_chunks(tokenizer, [words], 10_000)
    own = tokenizer(words, is_split_into_words=True)
    kept = [
        token
        for token, word in zip(own["input_ids"], own.word_ids(), strict=True)
        if word is not None
    ]
    made = chunk.input_ids[1:-1]
    vanished = sorted(
        set(range(len(words))) - {word for word in own.word_ids() if word is not None}
    )
    for at in reversed(vanished):
        position = chunk.positions[at] - 1
        assert made[position] == UNK, "a word without sub-tokens stands as <unk>"
        del made[position]
    assert made == kept


def test_a_sentence_is_split_between_words(tokenizer: PreTrainedTokenizerFast) -> None:
    words = ["merfa", "sudi", "luzah", "feboh"] * 5
    chunks = tag_chunks(tokenizer, [words], 16)
    assert len(chunks) > 1
    assert sum(len(chunk.positions) for chunk in chunks) == len(words)
    whole = tag_chunks(tokenizer, [words], 512)[0].input_ids[1:-1]
    assert [token for chunk in chunks for token in chunk.input_ids[1:-1]] == whole


def test_a_length_without_room_for_a_token_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(ConfigError, match="no room"):
        tag_chunks(tokenizer, [["merfa"]], 2)
