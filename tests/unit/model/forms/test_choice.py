"""Prompts and choices as token ids, and what gives way when they are too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stilts_artifact.domain.examples import ChoiceExample
from stilts_artifact.errors import ConfigError
from stilts_artifact.model.features import pieces
from stilts_artifact.model.forms.choice import choice_features

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

LONG = "merfa sudi luzah feboh gimow " * 30


@pytest.mark.slow
def test_choices_share_their_prompt_and_keep_their_order(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    example = ChoiceExample("1", "merfa sudi", ("luzah.", "feboh gimow.", "sudi."), 1)
    (feature,) = choice_features(tokenizer, [example], 64)
    assert feature.label == 1
    assert list(feature.choices) == [
        tokenizer("merfa sudi", choice)["input_ids"] for choice in example.choices
    ]


@pytest.mark.slow
def test_a_long_prompt_loses_its_beginning(tokenizer: PreTrainedTokenizerFast) -> None:
    (feature,) = choice_features(
        tokenizer, [ChoiceExample("1", LONG, ("luzah.", "feboh gimow sudi."), 0)], 40
    )
    prompt, *choices = pieces(tokenizer, [LONG, "luzah.", "feboh gimow sudi."])
    for made, choice in zip(feature.choices, choices, strict=True):
        assert made == [0, *prompt[-(36 - len(choice)) :], 2, 2, *choice, 2]
        assert len(made) == 40


def test_a_choice_longer_than_everything_keeps_its_beginning(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    (feature,) = choice_features(tokenizer, [ChoiceExample("1", "merfa", (LONG, "luzah."), 0)], 40)
    (long,) = pieces(tokenizer, [LONG])
    assert feature.choices[0] == [0, 2, 2, *long[:36], 2]


def test_a_length_without_room_for_text_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(ConfigError, match="no room"):
        choice_features(tokenizer, [], 5)
