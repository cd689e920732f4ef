"""From text to tensors: the tokenizer, and the stream of batches.

The stream is a function of the recipe and a place in it, so that resuming needs no state.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stilts_artifact.model.batching import pad, token_batches
from stilts_artifact.model.masking import Vocabulary
from stilts_artifact.pretraining.corpus import documents, windows
from stilts_artifact.pretraining.discourse import CLOSED, OPEN, joined_rows
from stilts_artifact.pretraining.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

BOS, PAD, EOS = 0, 1, 2
"""Ids of ``<s>``, ``<pad>`` and ``</s>``: fairseq's, the same in every XLM-R; ``<unk>`` is 3."""
SPECIALS = 4
"""Ids below this number are special; ``<mask>`` is the last id."""
MAX_TOKENS = 512
"""Longest input: XLM-R has 514 positions, and fairseq numbers them from 2."""
POOL_BATCHES = 64
"""About so many batches are drawn at a time and sorted by length together."""
_TYPICAL_TOKENS = 32  # of a window; decides only how many are drawn for a pool


def words_and_specials(size: int) -> Vocabulary:
    """The layout of XLM-R's ids: the first ones and the last, ``<mask>``, are no words."""
    return Vocabulary(size, (*range(SPECIALS), size - 1), size - 1)


class StreamPosition(NamedTuple):
    """Where in the stream a run is: the pool, and how many of its batches are done."""

    pool: int
    done: int


START = StreamPosition(0, 0)


class Batch(NamedTuple):
    """Both int64 [rows, padded length]; ``told`` as in :class:`discourse.Row`."""

    input_ids: torch.Tensor
    told: torch.Tensor


def make_tokenizer(recipe: Recipe, forbidden: Collection[str]) -> PreTrainedTokenizerFast:
    """The tokenizer of a recipe, from stories in all its languages."""
    name = f"{recipe.seed}/vocabulary"
    told = (
        islice(documents(code, name, forbidden), amount * recipe.vocabulary_documents)
        for code, amount in recipe.text.items()
    )
    return train_tokenizer([text for own in told for text in own], recipe.pieces)


def train_tokenizer(texts: Iterable[str], pieces: int) -> PreTrainedTokenizerFast:
    """A SentencePiece model trained on the texts, as the tokenizer class of XLM-R.

    Ids follow fairseq: ``<s>`` 0, ``<pad>`` 1, ``</s>`` 2, ``<unk>`` 3, piece n of SentencePiece at
    n + 1, ``<mask>`` last; so there are ``pieces + 2`` ids. One thread, so that the result is the
    same on every machine.
    """
    import sentencepiece
    from transformers import XLMRobertaTokenizer

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        vocab_size=pieces,
        model_type="unigram",
        character_coverage=1.0,
        # The ids of <unk>, <s>, </s> inside SentencePiece, before fairseq's layout is put on top.
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    with tempfile.TemporaryDirectory() as folder:
        # XLMRobertaTokenizer(vocab_file=...) ignores the file (transformers 5.23); a folder with
        # this name it reads.
        (Path(folder) / "sentencepiece.bpe.model").write_bytes(model.getvalue())
        tokenizer: PreTrainedTokenizerFast = XLMRobertaTokenizer.from_pretrained(
            folder, local_files_only=True
        )
    tokenizer.model_max_length = MAX_TOKENS
    return tokenizer


def batches(
    recipe: Recipe,
    tokenizer: PreTrainedTokenizerFast,
    forbidden: Collection[str],
    start: StreamPosition = START,
) -> Iterator[tuple[StreamPosition, Batch]]:
    """Endless batches from a place on, each with the place after it."""
    pool, done = start
    while True:
        made = _pool(recipe, tokenizer, forbidden, pool)
        for index in range(done, len(made)):
            yield StreamPosition(pool, index + 1), made[index]
        pool, done = pool + 1, 0


def _pool(
    recipe: Recipe, tokenizer: PreTrainedTokenizerFast, forbidden: Collection[str], number: int
) -> list[Batch]:
    # A pool is made anew from its number alone, so a resumed run needs no state but that.
    size = POOL_BATCHES * recipe.batch_tokens // _TYPICAL_TOKENS
    name = f"{recipe.seed}/{number}"
    joined = joined_rows(
        tokenizer,
        name,
        round(size * recipe.joined_share),
        forbidden,
        number >= recipe.contrast_from,
        recipe.text,
    )
    plain = windows(name, recipe.parallel_share, forbidden, recipe.text)
    drawn = list(islice(plain, size - len(joined)))
    single = [window.first for window in drawn if window.second is None]
    paired = [(window.first, window.second) for window in drawn if window.second is not None]
    ids: list[list[int]] = []
    if single:
        ids += tokenizer(single, truncation=True)["input_ids"]
    if paired:
        firsts, seconds = zip(*paired, strict=True)
        ids += tokenizer(list(firsts), list(seconds), truncation=True)["input_ids"]
    # Windows of plain text tell what is masked, whatever is; joined ones know better.
    told = [[OPEN] * len(row) for row in ids] + [row.told for row in joined]
    ids += [row.input_ids for row in joined]
    order = token_batches([len(row) for row in ids], recipe.batch_tokens, seed=number)
    return [
        Batch(
            pad([ids[index] for index in batch], PAD), pad([told[index] for index in batch], CLOSED)
        )
        for batch in order
    ]
