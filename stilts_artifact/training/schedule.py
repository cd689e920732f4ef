"""Which examples each step trains on, and how fast: a pure function of the seed, open at any step.

Sampling and step counts as in jiant (components/task_sampler.py, configurator.py:355-411 at
daa5a25): a task is drawn with probability proportional to min(examples, cap), and there are as many
steps as all tasks' epochs together need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.errors import ConfigError
from stilts_artifact.training.determinism import derived_seed


def linear_rate(step: int, steps: int, warmup: float) -> float:
    """Share of the peak learning rate: linear up over the first ``warmup`` of the steps, then down.

    The last step's rate is the last above zero; no step is wasted on a rate of zero.

    Args:
        step: 0-based.

    Example:
        >>> [round(linear_rate(step, 10, 0.2), 2) for step in (0, 1, 2, 6, 9)]
        [0.5, 1.0, 1.0, 0.5, 0.12]
    """
    rising = max(1, round(warmup * steps))
    return min((step + 1) / rising, (steps - step) / max(1, steps - rising))


@dataclass(frozen=True, slots=True)
class Budget:
    """What the run of another task takes, and this one is to take, too.

    Args:
        steps: optimiser steps.
        tokens: of all examples in them, repetitions included and padding not.
    """

    steps: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Share:
    """One task of a run.

    Args:
        examples: it has.
        epochs, batch: it is trained for, and examples of an optimiser step.
        cap: most examples that count; ``None`` for all.
        budget: decides in place of epochs how many steps there are, and how many examples in each;
            ``batch`` is then about that many.
    """

    name: str
    examples: int
    epochs: int
    batch: int
    cap: int | None = None
    budget: Budget | None = None

    @property
    def counted(self) -> int:
        """Examples that count for probability and steps."""
        return self.examples if self.cap is None else min(self.examples, self.cap)

    @property
    def steps(self) -> int:
        """Optimiser steps that it brings into the mixture."""
        if self.budget is not None:
            return self.budget.steps
        return self.epochs * -(-self.counted // self.batch)


@dataclass(frozen=True, slots=True)
class Budgeted:
    """A budget, and what is taken of a task to meet it.

    Args:
        examples, tokens: that are taken, in all steps.
    """

    due: Budget
    examples: int
    tokens: int

    def stretch(self, step: int) -> tuple[int, int]:
        """First example of a step and of the next one, counted through all epochs."""
        steps = self.due.steps
        return step * self.examples // steps, (step + 1) * self.examples // steps


class Draw(NamedTuple):
    """The examples of one optimiser step, all of one task."""

    step: int
    task: int
    examples: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Schedule:
    """Every step of a run.

    Every task goes through its examples in an order of its own, shuffled anew each epoch; an
    epoch's last batch holds what is left. A task with a budget goes on from epoch to epoch until
    its tokens are used up, as evenly over its steps as whole examples allow.

    Args:
        lengths: tokens of each example of each task; needed if ``pool`` > 1, and for a budget.
        pool: batches whose examples are sorted by length before they are cut into batches, whose
            order is shuffled again. 1 is jiant's plain random order; more put examples of like
            length together, and save padding.

    Raises:
        ConfigError: no task, two of one name, or a number below one; a budget that has not an
            example for each step, or of one task among several.

    Example:
        >>> schedule = Schedule((Share("a", 5, epochs=2, batch=2),), seed=1)
        >>> schedule.steps, [len(schedule.draw(step).examples) for step in range(6)]
        (6, [2, 2, 1, 2, 2, 1])
    """

    shares: tuple[Share, ...]
    seed: int
    lengths: tuple[NDArray[np.int64], ...] = ()
    pool: int = 1
    tasks: NDArray[np.int64] = field(init=False)
    turns: NDArray[np.int64] = field(init=False)
    budgeted: Budgeted | None = field(init=False, default=None)
    _orders: dict[int, tuple[int, NDArray[np.int64]]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        _check(self.shares)
        steps = sum(share.steps for share in self.shares)
        weights = np.array([share.counted for share in self.shares], dtype=np.float64)
        if len(self.shares) == 1:
            tasks = np.zeros(steps, dtype=np.int64)
        else:
            generator = np.random.default_rng(derived_seed(self.seed, "mixture"))
            tasks = generator.choice(len(self.shares), size=steps, p=weights / weights.sum())
        turns = np.zeros(steps, dtype=np.int64)
        for task in range(len(self.shares)):
            # A step's turn is how many steps its task had before: draw() finds its examples by it.
            own = tasks == task
            turns[own] = np.arange(own.sum())
        object.__setattr__(self, "tasks", tasks)
        object.__setattr__(self, "turns", turns)
        budget = self.shares[0].budget
        if budget is not None:
            object.__setattr__(self, "budgeted", self._budgeted(budget))

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return len(self.tasks)

    def draw(self, step: int) -> Draw:
        """The examples of a step, 0-based."""
        task, turn = int(self.tasks[step]), int(self.turns[step])
        share = self.shares[task]
        if self.budgeted is not None:
            return Draw(step, task, self._stretch(*self.budgeted.stretch(turn)))
        # By all examples: the cap limits how often a task is drawn, not what it draws from.
        epoch, at = divmod(turn, -(-share.examples // share.batch))
        return Draw(step, task, self._order(task, epoch)[at * share.batch : (at + 1) * share.batch])

    def seen(self, steps: int) -> dict[str, int]:
        """Examples of each task in the first ``steps`` steps, repetitions included."""
        found = {}
        for task, share in enumerate(self.shares):
            turns = int((self.tasks[:steps] == task).sum())
            if self.budgeted is not None:
                found[share.name] = self.budgeted.stretch(turns)[0]
                continue
            epochs, rest = divmod(turns, -(-share.examples // share.batch))
            # Only the last batch of an epoch may be short, and the rest never reaches that one.
            found[share.name] = epochs * share.examples + rest * share.batch
        return found

    def _budgeted(self, budget: Budget) -> Budgeted:
        """As many examples as come nearest to the tokens of a budget."""
        lengths = self.lengths[0]
        epochs, rest = divmod(budget.tokens, int(lengths.sum()))
        upto = np.concatenate([[0], np.cumsum(lengths[self._order(0, epochs)])])
        nearest = int(np.abs(upto - rest).argmin())
        examples = epochs * len(lengths) + nearest
        if examples < budget.steps:
            raise ConfigError(
                f"{self.shares[0].name} has examples too long for its budget",
                got=f"{examples} of them have {budget.tokens} tokens",
                expected=f"at least one for each of {budget.steps} steps",
                fix="lower mlm.max_length in the scale file",
            )
        tokens = epochs * int(lengths.sum()) + int(upto[nearest])
        return Budgeted(budget, examples, tokens)

    def _stretch(self, start: int, end: int) -> NDArray[np.int64]:
        """Examples of the first task from a place on, counted through all epochs."""
        parts = []
        while start < end:
            epoch, at = divmod(start, self.shares[0].examples)
            parts.append(self._order(0, epoch)[at : at + end - start])
            start += len(parts[-1])
        return np.concatenate(parts)

    def _order(self, task: int, epoch: int) -> NDArray[np.int64]:
        """The task's examples in the order of an epoch; only the latest one is kept."""
        known = self._orders.get(task)
        if known is None or known[0] != epoch:
            share = self.shares[task]
            generator = np.random.default_rng(derived_seed(self.seed, "order", share.name, epoch))
            order = generator.permutation(share.examples)
            if self.pool > 1:
                order = _pooled(order, self.lengths[task], share.batch, self.pool, generator)
            known = self._orders[task] = epoch, order
        return known[1]


def _pooled(
    order: NDArray[np.int64],
    lengths: NDArray[np.int64],
    batch: int,
    pool: int,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """The order with examples of like length in each batch; what fills no batch stays last."""
    full = len(order) // batch * batch
    parts = []
    for start in range(0, full, pool * batch):
        part = order[start : min(start + pool * batch, full)]
        # [batches x batch] -> [batches, batch]
        batches = part[np.argsort(lengths[part], kind="stable")].reshape(-1, batch)
        # permutation() moves whole rows: the examples of a batch stay together.
        parts.append(generator.permutation(batches).ravel())
    return np.concatenate([*parts, order[full:]])


def _check(shares: Sequence[Share]) -> None:
    if not shares:
        raise ConfigError("nothing to train on", expected="at least one task, or text")
    names = [share.name for share in shares]
    if len(set(names)) < len(names):
        raise ConfigError("two tasks of one name in a mixture", got=", ".join(names))
    if len(shares) > 1 and any(share.budget is not None for share in shares):
        raise ConfigError("a budget within a mixture", got=", ".join(names), expected="one task")
    for share in shares:
        for what in ("examples", "epochs", "batch", "cap"):
            number = getattr(share, what)
            if number is not None and number < 1:
                raise ConfigError(f"{what} of {share.name}", got=str(number), expected="at least 1")
