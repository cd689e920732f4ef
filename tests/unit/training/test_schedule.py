"""Order and sampling: a pure function of the seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.errors import ConfigError
from stilts_artifact.training.schedule import Budget, Schedule, Share

CAP = 2**17
"""Size cap K of the paper scale's mixtures."""

SHARES = st.lists(
    st.tuples(
        st.integers(1, 60), st.integers(1, 3), st.integers(1, 9), st.none() | st.integers(1, 40)
    ),
    min_size=1,
    max_size=4,
).map(lambda found: tuple(Share(f"t{at}", *numbers) for at, numbers in enumerate(found)))


def drawn(schedule: Schedule) -> list[tuple[int, list[int]]]:
    return [
        (draw.task, draw.examples.tolist()) for draw in map(schedule.draw, range(schedule.steps))
    ]


@pytest.mark.slow
@given(SHARES, st.integers(0, 5), st.sampled_from([1, 3]))
def test_every_epoch_of_every_task_holds_each_example_once(
    shares: tuple[Share, ...], seed: int, pool: int
) -> None:
    lengths = tuple(np.random.default_rng(9).integers(3, 30, share.examples) for share in shares)
    schedule = Schedule(shares, seed, lengths, pool)
    assert schedule.steps == sum(
        share.epochs * -(-share.counted // share.batch) for share in shares
    )
    for at, share in enumerate(shares):
        stream = [examples for task, examples in drawn(schedule) if task == at]
        flat = [example for examples in stream for example in examples]
        for start in range(0, len(flat), share.examples):
            epoch = flat[start : start + share.examples]
            assert len(set(epoch)) == len(epoch)
            assert len(epoch) == share.examples or start + share.examples > len(flat)
        assert all(0 < len(examples) <= share.batch for examples in stream)
        assert schedule.seen(schedule.steps)[share.name] == len(flat)


@pytest.mark.slow
@given(SHARES, st.integers(0, 5), st.data())
def test_steps_can_be_asked_for_in_any_order(
    shares: tuple[Share, ...], seed: int, data: st.DataObject
) -> None:
    in_order = drawn(Schedule(shares, seed))
    schedule = Schedule(shares, seed)
    for step in data.draw(st.lists(st.integers(0, schedule.steps - 1), max_size=8)):
        draw = schedule.draw(step)
        assert (draw.task, draw.examples.tolist()) == in_order[step]


def test_the_seed_decides() -> None:
    shares = (Share("a", 50, 1, 5), Share("b", 30, 1, 5))
    assert drawn(Schedule(shares, 1)) == drawn(Schedule(shares, 1))
    assert drawn(Schedule(shares, 1)) != drawn(Schedule(shares, 2))
    assert Schedule(shares, 1).tasks.tolist() != Schedule(shares, 2).tasks.tolist()


def test_epochs_have_different_orders_and_a_tasks_order_is_its_own() -> None:
    schedule = Schedule((Share("a", 50, 2, 50),), 1)
    assert schedule.draw(0).examples.tolist() != schedule.draw(1).examples.tolist()
    beside = Schedule((Share("z", 10, 1, 1), Share("a", 50, 2, 50)), 1)
    (first, *_) = [beside.draw(step) for step in range(beside.steps) if beside.draw(step).task == 1]
    assert first.examples.tolist() == schedule.draw(0).examples.tolist()


def test_tasks_are_drawn_in_proportion_to_their_capped_sizes() -> None:
    """K = 131,072: probabilities 2 : 1 where the sizes are 6 : 1.

    This is jiant's size-capped proportional sampling.
    """
    large, small = Share("large", 6 * CAP // 2, 1, 16, CAP), Share("small", CAP // 2, 1, 16, CAP)
    schedule = Schedule((large, small), 7)
    assert schedule.steps == (CAP + CAP // 2) // 16
    share = float((schedule.tasks == 0).mean())
    assert abs(share - 2 / 3) < 4 * (2 / 9 / schedule.steps) ** 0.5
    # The cap limits how often, not which: all of a large task's examples have their turn.
    assert schedule.draw(int(np.flatnonzero(schedule.tasks == 0)[0])).examples.max() > CAP


def test_a_pool_puts_like_lengths_together_and_keeps_the_order_random() -> None:
    lengths = np.random.default_rng(3).integers(5, 60, 320)
    plain, pooled = (
        Schedule((Share("a", 320, 1, 8),), 1),
        Schedule((Share("a", 320, 1, 8),), 1, (lengths,), 10),
    )

    def padding(schedule: Schedule) -> int:
        return sum(
            int((lengths[found].max() - lengths[found]).sum()) for _, found in drawn(schedule)
        )

    assert padding(pooled) < padding(plain) / 4
    means = [lengths[found].mean() for _, found in drawn(pooled)]
    assert means[:10] != sorted(means[:10])


@pytest.mark.parametrize(
    "shares",
    [
        (),
        (Share("a", 0, 1, 1),),
        (Share("a", 1, 0, 1),),
        (Share("a", 1, 1, 0),),
        (Share("a", 1, 1, 1, 0),),
        (Share("a", 1, 1, 1), Share("a", 2, 1, 1)),
    ],
)
def test_a_schedule_without_sense_is_refused(shares: tuple[Share, ...]) -> None:
    with pytest.raises(ConfigError):
        Schedule(shares, 1)


@pytest.mark.slow
@given(
    st.lists(st.integers(3, 30), min_size=1, max_size=40),
    st.integers(1, 25),
    st.integers(1, 30),
    st.sampled_from([1, 3]),
)
def test_a_budget_has_the_steps_of_another_run_and_its_tokens(
    lengths: list[int], steps: int, mean: int, pool: int
) -> None:
    """Where there is too little, it repeats; nothing is repeated before all of it was seen."""
    every = np.array(lengths, dtype=np.int64)
    budget = Budget(steps, tokens=steps * (30 + mean))
    share = Share("text", len(lengths), epochs=1, batch=2, budget=budget)
    schedule = Schedule((share,), 1, (every,), pool)
    assert schedule.budgeted is not None
    stream = [examples for _, examples in drawn(schedule)]
    assert len(stream) == schedule.steps == steps
    flat = [example for examples in stream for example in examples]
    counts = np.bincount(flat, minlength=len(lengths))
    assert counts.max() - counts.min() <= 1
    assert {len(examples) for examples in stream} <= {len(flat) // steps, len(flat) // steps + 1}
    tokens = int(every[flat].sum())
    assert abs(tokens - budget.tokens) <= max(lengths) / 2
    assert (schedule.budgeted.examples, schedule.budgeted.tokens) == (len(flat), tokens)
    assert schedule.seen(steps) == {"text": len(flat)}


def test_a_budget_needs_an_example_for_each_step_and_a_run_of_its_own() -> None:
    text = Share("text", 9, epochs=1, batch=2, budget=Budget(steps=10, tokens=300))
    with pytest.raises(ConfigError, match="too long for its budget"):
        Schedule((text,), 1, (np.full(9, 100),))
    with pytest.raises(ConfigError, match="a budget within a mixture"):
        Schedule((text, Share("b", 10, 1, 1)), 1, (np.full(9, 10), np.full(10, 10)))
