"""The time left of a run: it must not promise minutes and take hours."""

from __future__ import annotations

import csv
import heapq
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from stilts_artifact.pipeline.progress import Pace, Slots
from stilts_artifact.pipeline.scheduler import Scheduler
from stilts_artifact.pipeline.step import Graph, KindSpec, Step

# Table 2 at scale mini, three rows, two processes, on a machine with a load of 12 to 16: what each
# step took from its start to its end, what the plan says, and by line number which steps it reads.
RECORDED = Path(__file__).with_name("recorded_run.csv")
KINDS = {name: KindSpec(1, "a:b") for name in ("prepare", "train", "predict")}


def step(kind: str, number: int, **inputs: Step) -> Step:
    return Step(kind, {"number": number}, inputs)


def test_before_enough_has_run_nobody_is_told_anything() -> None:
    """A twentieth of the work, of kinds that are half of it; or five minutes, whichever is sooner.

    Short steps run first, and say little of how long the others take.
    """
    steps = [step("train", number) for number in range(30)]
    graph = Graph(steps, KINDS)
    addresses = list(graph.steps)
    pace = Pace(graph, dict.fromkeys(addresses, 10.0), addresses)
    assert pace.left({}, addresses, Slots(1)) is None
    pace.finish(addresses[0], 20.0)
    assert pace.left({}, addresses[1:], Slots(1)) is None
    pace.finish(addresses[1], 20.0)
    assert pace.left({}, addresses[2:], Slots(1)) == pytest.approx(28 * 20.0)
    data = [step("prepare", number) for number in range(60)]
    both = Graph([*steps, *data], KINDS)
    early = Pace(
        both, {one: 1.0 if one.startswith("prepare") else 10.0 for one in both.steps}, both.steps
    )
    for one in data:
        early.finish(both.address(one), 2.0)
    assert early.left({}, addresses, Slots(1)) is None
    early.finish(addresses[0], 20.0)
    assert early.left({}, addresses[1:], Slots(1)) == pytest.approx(29 * 20.0)
    slow = Pace(graph, dict.fromkeys(addresses, 1000.0), addresses)
    slow.finish(addresses[0], 301.0)
    assert slow.left({}, addresses[1:], Slots(1)) == pytest.approx(29 * 301.0)


def test_the_longest_of_three_bounds_counts() -> None:
    data = step("train", 0)
    model = step("train", 1, data=data)
    others = [step("train", number) for number in range(2, 6)]
    graph = Graph([model, *others], KINDS)
    planned = {address: 10.0 for address in graph.steps}
    pace = Pace(graph, planned, graph.steps, [graph.address(one) for one in others])
    pace.finish(graph.address(data), 10.0)
    waiting = [graph.address(one) for one in (model, *others)]
    assert pace.left({}, waiting, Slots(2, gpus=2)) == pytest.approx(25.0)  # all work, shared
    assert pace.left({}, waiting, Slots(5, gpus=1)) == pytest.approx(40.0)  # the GPU's
    everything = [graph.address(data), *waiting]
    assert pace.left({}, everything, Slots(100, gpus=100)) == pytest.approx(20.0)  # the chain
    first = graph.address(model)
    assert pace.left({first: 4.0}, [], Slots(1)) == pytest.approx(6.0)
    assert pace.left({first: 1e6}, [], Slots(1)) == pytest.approx(0.5)  # overdue, and not done


def test_a_kind_that_never_ran_is_taken_to_be_as_slow_as_the_others() -> None:
    steps = [*(step("train", number) for number in range(4)), step("predict", 9)]
    graph = Graph(steps, KINDS)
    pace = Pace(graph, {address: 2.0 for address in graph.steps}, graph.steps)
    for one in steps[:4]:
        pace.finish(graph.address(one), 6.0)
    assert pace.seconds(graph.address(steps[4])) == pytest.approx(6.0)


def replayed(
    seconds: Mapping[str, float], graph: Graph, pace: Pace, workers: int
) -> Iterator[tuple[float, float | None]]:
    """A run whose steps take these seconds: at each end of a step, the time and the time left."""
    scheduler = Scheduler(graph, list(graph.steps), lambda one: pace.seconds(one.address), _no_gpu)
    now, running = 0.0, list[tuple[float, str, float]]()
    while True:
        while len(running) < workers and (taken := scheduler.take(gpu_free=True)) is not None:
            heapq.heappush(running, (now + seconds[taken.address], taken.address, now))
        elapsed = {address: now - began for _, address, began in running}
        yield now, pace.left(elapsed, scheduler.waiting, Slots(workers))
        if not running:
            return
        now, address, began = heapq.heappop(running)
        pace.finish(address, now - began)
        scheduler.finish(address)


def _no_gpu(_: object) -> bool:
    return False


def recorded() -> tuple[Graph, dict[str, float], dict[str, float]]:
    """The recorded run: its steps, what each took, and what the plan says of it."""
    steps: list[Step] = []
    measured, planned = [], []
    with RECORDED.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            inputs = {f"i{number}": steps[int(number)] for number in line["inputs"].split()}
            steps.append(step(line["kind"], len(steps), **inputs))
            measured.append(float(line["seconds"]))
            planned.append(float(line["planned"]))
    kinds = {one.kind: KindSpec(1, "a:b") for one in steps}
    graph = Graph(steps, kinds)
    addresses = [graph.address(one) for one in steps]
    return (
        graph,
        dict(zip(addresses, measured, strict=True)),
        dict(zip(addresses, planned, strict=True)),
    )


def rise(estimates: list[tuple[float, float]]) -> float:
    """By what the time left rose most, from any moment to any later one, but for the last of it."""
    end = estimates[-1][0]
    shown = [left for now, left in estimates if end - now > 0.1 * end]
    lowest, worst = shown[0], 1.0
    for left in shown:
        worst = max(worst, left / lowest)
        lowest = min(lowest, left)
    return worst


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("slower", [0.1, 1.0, 3.0])
def test_the_time_left_of_a_recorded_run_does_not_double(workers: int, slower: float) -> None:
    """On a machine as fast as the plan's or not: the plan gives proportions, the run its rate.

    What was shown while it was recorded came from means by kind, and rose from 39 s to 298 s.
    """
    graph, measured, planned = recorded()
    pace = Pace(
        graph, {address: seconds * slower for address, seconds in planned.items()}, graph.steps
    )
    said = [
        (now, left) for now, left in replayed(measured, graph, pace, workers) if left is not None
    ]
    end = said[-1][0]
    assert said[0][0] < 0.3 * end, "told for most of the run"
    assert rise(said) <= 2.0
    for now, left in said:
        if end - now > 0.1 * end:
            assert 1 / 3 <= left / (end - now) <= 1.5
