"""Pairs as token ids, and what gives way when they are too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.domain.examples import PairExample
from stilts_artifact.errors import ConfigError, DataError
from stilts_artifact.model.features import pieces, truncate_pair
from stilts_artifact.model.forms.pair import pair_features

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

LABELS = ("contradiction", "entailment", "neutral")
LONG = "merfa sudi luzah feboh gimow " * 30


def test_a_pair_is_what_the_tokenizer_itself_makes_of_it(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    (feature,) = pair_features(
        tokenizer, [PairExample("1", "merfa sudi.", "luzah?", "neutral")], LABELS, 64
    )
    assert feature.input_ids == tokenizer("merfa sudi.", "luzah?")["input_ids"]
    assert feature.label == 2


def test_the_end_of_the_longer_text_is_cut(tokenizer: PreTrainedTokenizerFast) -> None:
    examples = [
        PairExample("1", LONG, "luzah.", "neutral"),
        PairExample("2", "luzah.", LONG, "neutral"),
    ]
    long, short = pieces(tokenizer, [LONG, "luzah."])
    first, second = pair_features(tokenizer, examples, LABELS, 40)
    room = 36 - len(short)
    assert first.input_ids == [0, *long[:room], 2, 2, *short, 2]
    assert second.input_ids == [0, *short, 2, 2, *long[:room], 2]


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 50))
def test_truncation_is_popping_from_the_longer_side(first: int, second: int, room: int) -> None:
    """As jiant tasks/utils.py at 3b33588: shorten the (first) longest, one by one."""
    lengths = [first, second]
    while sum(lengths) > room:
        lengths[lengths.index(max(lengths))] -= 1
    made = truncate_pair(list(range(first)), list(range(second)), room)
    assert made == (list(range(lengths[0])), list(range(lengths[1])))


def test_a_label_outside_the_set_names_its_example(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(DataError, match="outside its set") as caught:
        pair_features(tokenizer, [PairExample("x7", "a", "b", "maybe")], LABELS, 64)
    assert caught.value.where == "x7"


def test_a_length_without_room_for_text_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(ConfigError, match="no room"):
        pair_features(tokenizer, [], LABELS, 5)
