"""The stream of pretraining batches: a function of the recipe and a place in it, so that resuming needs no state."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from stilts_artifact.model.batching import pad, token_batches
from stilts_artifact.model.tokenizer import PAD
from stilts_artifact.phases.corpus import windows
from stilts_artifact.phases.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

POOL_BATCHES = 64
"""About so many batches are drawn at a time and sorted by length together."""
_TYPICAL_TOKENS = 32  # of a window; decides only how many are drawn for a pool


class Place(NamedTuple):
    """Where in the stream a run is: the pool, and how many of its batches are done."""

    pool: int
    done: int


START = Place(0, 0)


def batches(
    recipe: Recipe, tokenizer: PreTrainedTokenizerFast, forbidden: Collection[str], start: Place = START
) -> Iterator[tuple[Place, torch.Tensor]]:
    """Endless batches from a place on, each with the place after it; int64 [rows, padded length]."""
    pool, done = start
    while True:
        made = _pool(recipe, tokenizer, forbidden, pool)
        for index in range(done, len(made)):
            yield Place(pool, index + 1), made[index]
        pool, done = pool + 1, 0


def _pool(
    recipe: Recipe, tokenizer: PreTrainedTokenizerFast, forbidden: Collection[str], number: int
) -> list[torch.Tensor]:
    size = POOL_BATCHES * recipe.batch_tokens // _TYPICAL_TOKENS
    drawn = list(islice(windows(f"{recipe.seed}/{number}", recipe.parallel_share, forbidden), size))
    single = [window.first for window in drawn if window.second is None]
    paired = [(window.first, window.second) for window in drawn if window.second is not None]
    ids: list[list[int]] = []
    if single:
        ids += tokenizer(single, truncation=True)["input_ids"]
    if paired:
        firsts, seconds = zip(*paired, strict=True)
        ids += tokenizer(list(firsts), list(seconds), truncation=True)["input_ids"]
    order = token_batches([len(row) for row in ids], recipe.batch_tokens, seed=number)
    return [pad([ids[index] for index in batch], PAD) for batch in order]
