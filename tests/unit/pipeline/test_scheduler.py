"""The longest chain first, GPUs not oversubscribed, a failure blocks what rests on it."""

from __future__ import annotations

from stilts_artifact.pipeline.scheduler import Scheduler, missing
from stilts_artifact.pipeline.step import Graph, KeyedStep, KindSpec, Step
from stilts_artifact.pipeline.store import Store
from tests.unit.pipeline.test_store import publish

KINDS = {"cpu": KindSpec(1, "a:b"), "gpu": KindSpec(1, "a:c", needs_gpu=True)}


def step(name: str, *inputs: Step, kind: str = "cpu") -> Step:
    return Step(kind, {"name": name}, {str(number): item for number, item in enumerate(inputs)})


def agenda(graph: Graph) -> Scheduler:
    return Scheduler(graph, graph.steps, lambda step: 1.0, lambda step: KINDS[step.kind].needs_gpu)


def take_all(plan: Scheduler, *, gpu_free: bool = True) -> list[KeyedStep]:
    taken = []
    while step := plan.take(gpu_free=gpu_free):
        taken.append(step)
    return taken


def names(steps: list[KeyedStep]) -> list[str]:
    return [step.params["name"] for step in steps]


def test_start_of_the_longest_chain_comes_first() -> None:
    short, long = step("short"), step("long")
    middle = step("middle", long)
    graph = Graph([step("short end", short), step("end", middle), step("alone")], KINDS)
    plan = agenda(graph)
    assert names(take_all(plan)) == ["long", "short", "alone"]
    plan.finish(graph.address(long))
    assert names(take_all(plan)) == ["middle"]
    assert len(plan.waiting) == 2


def test_a_step_starts_once_all_its_inputs_are_there() -> None:
    left, right = step("left"), step("right")
    graph = Graph([step("both", left, right, left)], KINDS)
    plan = agenda(graph)
    take_all(plan)
    plan.finish(graph.address(left))
    assert plan.take(gpu_free=True) is None
    plan.finish(graph.address(right))
    assert names(take_all(plan)) == ["both"]
    assert plan.waiting == []


def test_a_step_for_a_gpu_waits_for_one_and_lets_others_pass() -> None:
    first = step("on gpu", kind="gpu")
    graph = Graph([step("after", first), step("on cpu")], KINDS)
    plan = agenda(graph)
    assert names(take_all(plan, gpu_free=False)) == ["on cpu"]
    assert plan.has_ready(gpu=True) and not plan.has_ready(gpu=False)
    assert names(take_all(plan)) == ["on gpu"]


def test_a_failure_takes_off_all_that_rests_on_it_and_nothing_else() -> None:
    bad, good = step("bad"), step("good")
    graph = Graph([step("end", step("middle", bad), good), step("free", good)], KINDS)
    plan = agenda(graph)
    take_all(plan)
    assert names(plan.fail(graph.address(bad))) == ["middle", "end"]
    plan.finish(graph.address(good))
    assert names(take_all(plan)) == ["free"]
    assert plan.waiting == []


def test_a_finished_step_needs_no_inputs(store: Store) -> None:
    data = step("data")
    model = step("model", data)
    graph = Graph([step("predict", model), step("score", data)], KINDS)
    publish(store, graph.keyed(model), {"text": ""})
    wanted = [graph.steps[address].params["name"] for address in missing(graph, store)]
    assert wanted == ["predict", "data", "score"] or wanted == ["data", "predict", "score"]
    only = Graph([step("predict", model)], KINDS)
    assert [only.steps[address].params["name"] for address in missing(only, store)] == ["predict"]
