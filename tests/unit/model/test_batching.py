"""Token-budget batches: nothing lost, nothing over budget, nothing random without a seed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.errors import ConfigError
from stilts_artifact.model.batching import pad, padded, token_batches

LENGTHS = st.lists(st.integers(1, 600), max_size=200)
SEEDS = st.none() | st.integers(0, 5)


@given(LENGTHS, st.integers(1, 5000), SEEDS)
def test_every_example_is_in_exactly_one_batch(
    lengths: list[int], budget: int, seed: int | None
) -> None:
    batches = token_batches(lengths, budget, seed=seed)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(batches)


@given(LENGTHS, st.integers(1, 5000), SEEDS)
def test_no_batch_exceeds_the_budget_but_a_single_long_example(
    lengths: list[int], budget: int, seed: int | None
) -> None:
    for batch in token_batches(lengths, budget, seed=seed):
        cost = len(batch) * padded(max(lengths[index] for index in batch))
        assert cost <= budget or len(batch) == 1


@pytest.mark.slow
@given(LENGTHS, st.integers(1, 5000))
def test_no_batch_could_have_taken_the_next_example(lengths: list[int], budget: int) -> None:
    for batch, following in pairwise(token_batches(lengths, budget)):
        assert (len(batch) + 1) * padded(lengths[following[0]]) > budget


def test_a_seed_changes_the_order_and_nothing_else_does() -> None:
    lengths = [1 + index % 40 for index in range(300)]
    assert token_batches(lengths, 256, seed=1) == token_batches(lengths, 256, seed=1)
    assert token_batches(lengths, 256, seed=1) != token_batches(lengths, 256, seed=2)
    unseeded = [padded(lengths[batch[-1]]) for batch in token_batches(lengths, 256)]
    assert unseeded == sorted(unseeded), "inference goes from short to long"


def test_a_batch_without_room_is_refused() -> None:
    with pytest.raises(ConfigError, match="token budget"):
        token_batches([1, 2], 0)


def test_rows_are_padded_on_the_right_to_a_multiple_of_eight() -> None:
    made = pad([[5, 6], [7] * 9], 1)
    assert made.shape == (2, 16)
    assert made[0].tolist() == [5, 6] + [1] * 14
    assert made[1].tolist() == [7] * 9 + [1] * 7
