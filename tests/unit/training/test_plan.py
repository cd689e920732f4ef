"""Order and sampling: a pure function of the seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.errors import ConfigError
from stilts_artifact.training.plan import CAP, Plan, Share

SHARES = st.lists(
    st.tuples(
        st.integers(1, 60), st.integers(1, 3), st.integers(1, 9), st.none() | st.integers(1, 40)
    ),
    min_size=1,
    max_size=4,
).map(lambda found: tuple(Share(f"t{at}", *numbers) for at, numbers in enumerate(found)))


def drawn(plan: Plan) -> list[tuple[int, list[int]]]:
    return [(draw.task, draw.examples.tolist()) for draw in map(plan.draw, range(plan.steps))]


@given(SHARES, st.integers(0, 5), st.sampled_from([1, 3]))
def test_every_epoch_of_every_task_holds_each_example_once(
    shares: tuple[Share, ...], seed: int, pool: int
) -> None:
    lengths = tuple(np.random.default_rng(9).integers(3, 30, share.examples) for share in shares)
    plan = Plan(shares, seed, lengths, pool)
    assert plan.steps == sum(share.epochs * -(-share.counted // share.batch) for share in shares)
    for at, share in enumerate(shares):
        stream = [examples for task, examples in drawn(plan) if task == at]
        flat = [example for examples in stream for example in examples]
        for start in range(0, len(flat), share.examples):
            epoch = flat[start : start + share.examples]
            assert len(set(epoch)) == len(epoch)
            assert len(epoch) == share.examples or start + share.examples > len(flat)
        assert all(0 < len(examples) <= share.batch for examples in stream)
        assert plan.seen(plan.steps)[share.name] == len(flat)


@given(SHARES, st.integers(0, 5), st.data())
def test_steps_can_be_asked_for_in_any_order(
    shares: tuple[Share, ...], seed: int, data: st.DataObject
) -> None:
    in_order = drawn(Plan(shares, seed))
    plan = Plan(shares, seed)
    for step in data.draw(st.lists(st.integers(0, plan.steps - 1), max_size=8)):
        draw = plan.draw(step)
        assert (draw.task, draw.examples.tolist()) == in_order[step]


def test_the_seed_decides() -> None:
    shares = (Share("a", 50, 1, 5), Share("b", 30, 1, 5))
    assert drawn(Plan(shares, 1)) == drawn(Plan(shares, 1))
    assert drawn(Plan(shares, 1)) != drawn(Plan(shares, 2))
    assert Plan(shares, 1).tasks.tolist() != Plan(shares, 2).tasks.tolist()


def test_epochs_have_different_orders_and_a_tasks_order_is_its_own() -> None:
    plan = Plan((Share("a", 50, 2, 50),), 1)
    assert plan.draw(0).examples.tolist() != plan.draw(1).examples.tolist()
    beside = Plan((Share("z", 10, 1, 1), Share("a", 50, 2, 50)), 1)
    (first, *_) = [beside.draw(step) for step in range(beside.steps) if beside.draw(step).task == 1]
    assert first.examples.tolist() == plan.draw(0).examples.tolist()


def test_tasks_are_drawn_in_proportion_to_their_capped_sizes() -> None:
    """K = 131,072: probabilities 2 : 1 where the sizes are 6 : 1 (jiant's size-capped proportional sampling)."""
    large, small = Share("large", 6 * CAP // 2, 1, 16, CAP), Share("small", CAP // 2, 1, 16, CAP)
    plan = Plan((large, small), 7)
    assert plan.steps == (CAP + CAP // 2) // 16
    share = float((plan.tasks == 0).mean())
    assert abs(share - 2 / 3) < 4 * (2 / 9 / plan.steps) ** 0.5
    # The cap limits how often, not which: all of a large task's examples have their turn.
    assert plan.draw(int(np.flatnonzero(plan.tasks == 0)[0])).examples.max() > CAP


def test_a_pool_puts_like_lengths_together_and_keeps_the_order_random() -> None:
    lengths = np.random.default_rng(3).integers(5, 60, 320)
    plain, pooled = (
        Plan((Share("a", 320, 1, 8),), 1),
        Plan((Share("a", 320, 1, 8),), 1, (lengths,), 10),
    )

    def padding(plan: Plan) -> int:
        return sum(int((lengths[found].max() - lengths[found]).sum()) for _, found in drawn(plan))

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
def test_a_plan_without_sense_is_refused(shares: tuple[Share, ...]) -> None:
    with pytest.raises(ConfigError):
        Plan(shares, 1)
