"""Depth first, then the longest chain; GPUs not oversubscribed; what a failure blocks."""

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


MODELS = {"cpu": KINDS["cpu"], "encoder": KindSpec(1, "a:b", model="encoder")}


def test_what_a_model_was_made_for_comes_before_the_next_model() -> None:
    models = [step(name, kind="encoder") for name in "abc"]
    users = [step(f"{number} of {m.params['name']}", m) for m in models for number in (1, 2)]
    graph = Graph(users, MODELS)
    plan = Scheduler(graph, graph.steps, lambda step: 1.0, lambda step: False, "none")
    order, freed = [], []
    while own := plan.take(gpu_free=True, workers=1):
        order.append(own.params["name"])
        freed.append([graph.steps[one].params["name"] for one in plan.finish(own.address)])
    assert order == ["a", "1 of a", "2 of a", "b", "1 of b", "2 of b", "c", "1 of c", "2 of c"]
    assert freed == [[], [], ["a"], [], [], ["b"], [], [], ["c"]]


def test_half_of_the_workers_make_encoders_so_that_not_all_do_at_the_same_time() -> None:
    models = [step(name, kind="encoder") for name in "abcd"]
    users = [step(f"{number} of {m.params['name']}", m) for m in models for number in (1, 2)]
    graph = Graph(users, MODELS)
    plan = Scheduler(graph, graph.steps, lambda step: 1.0, lambda step: False, "none")

    def take() -> str:
        own = plan.take(gpu_free=True, workers=4, idle=False)
        return "" if own is None else own.params["name"]

    assert [take(), take(), take()] == ["a", "b", "c"]
    plan.finish(graph.address(models[0]))
    assert take() == "1 of a", "b and c are being made"
    plan.finish(graph.address(models[1]))
    assert [take(), take(), take()] == ["d", "2 of a", "1 of b"]


def test_no_more_models_are_open_than_there_are_workers_unless_nothing_else_can_be_done() -> None:
    models = [step(name, kind="encoder") for name in "abc"]
    graph = Graph([step("all", *models), step("one", models[0])], MODELS)
    plan = Scheduler(graph, graph.steps, lambda step: 1.0, lambda step: False, "none")
    taken = [plan.take(gpu_free=True, workers=2, idle=False) for _ in range(3)]
    assert [one and one.params["name"] for one in taken] == ["a", "b", None]
    for model in models[:2]:
        assert plan.finish(graph.address(model)) == []
    reader = plan.take(gpu_free=True, workers=2, idle=False)
    assert reader is not None and reader.params["name"] == "one", "what reads a model may start"
    assert plan.take(gpu_free=True, workers=2, idle=False) is None
    last = plan.take(gpu_free=True, workers=2, idle=True)
    assert last is not None and last.params["name"] == "c"


def test_a_step_whose_input_is_gone_waits_until_it_is_made_again() -> None:
    model = step("model", kind="encoder")
    user = step("user", model)
    graph = Graph([user], MODELS)
    plan = Scheduler(graph, [graph.address(user)], lambda step: 1.0, lambda step: False, "none")
    assert names(take_all(plan)) == ["user"]
    plan.reopen(graph.address(user), {graph.address(model)})
    assert names(take_all(plan)) == ["model"]
    assert plan.finish(graph.address(model)) == []
    assert names(take_all(plan)) == ["user"]
    assert plan.finish(graph.address(user)) == [graph.address(model)]


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
