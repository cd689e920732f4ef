"""Masking: the shares, and what is never touched."""

from __future__ import annotations

import pytest
import torch

from stilts_artifact.errors import ConfigError
from stilts_artifact.model.masking import Masked, Vocabulary, mask_tokens

MASK = 999


def masked(seed: int, ids: torch.Tensor) -> Masked:
    return mask_tokens(
        ids,
        rate=0.2,
        vocabulary=Vocabulary(MASK + 1, (0, 1, 2, 3, MASK), MASK),
        generator=torch.Generator().manual_seed(seed),
    )


def test_shares_are_those_of_the_definition() -> None:
    ids = torch.randint(4, MASK, (200, 500), generator=torch.Generator().manual_seed(0))
    made = masked(1, ids)
    seen, before = made.input_ids[made.chosen], ids[made.chosen]
    total = made.chosen.sum().item()
    assert abs(total / ids.numel() - 0.2) < 0.01
    assert abs((seen == MASK).sum().item() / total - 0.8) < 0.01
    assert abs((seen == before).sum().item() / total - 0.1) < 0.01
    assert torch.equal(made.targets, before)
    assert torch.equal(made.input_ids[~made.chosen], ids[~made.chosen])


def test_special_tokens_are_neither_chosen_nor_drawn() -> None:
    ids = torch.tensor([[0, 3, 2, 2, MASK, 1] * 500])
    assert not masked(2, ids).chosen.any()
    ordinary = torch.full((200, 200), 50)
    assert masked(3, ordinary).input_ids.min().item() >= 4


def test_specials_may_lie_anywhere_as_berts_do() -> None:
    vocabulary = Vocabulary(1200, (0, 100, 101, 102, 103), 103)
    ids = torch.arange(1200).repeat(60, 1)
    made = mask_tokens(
        ids, rate=0.9, vocabulary=vocabulary, generator=torch.Generator().manual_seed(1)
    )
    assert set(range(1200)) - set(made.targets.tolist()) == {0, 100, 101, 102, 103}
    replaced = made.input_ids[made.chosen & (made.input_ids != ids)].tolist()
    drawn = set(replaced) - {103}
    assert not drawn & {0, 100, 101, 102}
    assert {min(drawn), max(drawn)} == {1, 1199}


def test_a_tokenizer_without_a_mask_is_told() -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"a": 0})))
    with pytest.raises(ConfigError, match="needs a mask_token"):
        Vocabulary.of(tokenizer)


def test_the_words_of_xlm_r_are_drawn_as_by_a_range_of_ids() -> None:
    """Predictions of the mini world were recorded with weights that were masked so."""
    ids = torch.full((50, 60), 50)
    generator = torch.Generator().manual_seed(4)
    torch.rand(ids.shape, generator=generator)
    fate = torch.rand(ids.shape, generator=generator)
    drawn = torch.randint(4, MASK, ids.shape, generator=generator)
    made = masked(4, ids)
    replaced = made.chosen & (fate >= 0.9)
    assert replaced.any()
    assert torch.equal(made.input_ids[replaced], drawn[replaced])


def test_the_seed_decides() -> None:
    ids = torch.full((20, 50), 50)
    assert torch.equal(masked(1, ids).input_ids, masked(1, ids).input_ids)
    assert not torch.equal(masked(1, ids).chosen, masked(2, ids).chosen)
