"""What a run would do, why, and what it would cost."""

from __future__ import annotations

import math

import pytest

from stilts_artifact.benchmark import BENCHMARKS, load_benchmark
from stilts_artifact.benchmark.asked import wanted_cells
from stilts_artifact.benchmark.experiments import EXPERIMENTS, STUDY_SEEDS, Experiment
from stilts_artifact.config.load import SCALES, load_scale
from stilts_artifact.errors import ConfigError
from stilts_artifact.experiments.planning import steps_of
from stilts_artifact.experiments.steps import StepBuilder
from stilts_artifact.model.hub import PhaseOne
from stilts_artifact.pipeline.costs import Costs, Extent, Probe, Speed, load_costs, probe
from stilts_artifact.pipeline.explain import reasons
from stilts_artifact.pipeline.kinds import KINDS as REAL_KINDS
from stilts_artifact.pipeline.plan import Need, make_plan, simulate
from stilts_artifact.pipeline.step import Graph, Kinds, KindSpec, Step
from stilts_artifact.pipeline.store import Store
from stilts_artifact.pipeline.tasks.params import Schedule, TargetParams
from tests.unit.pipeline.test_store import publish

KINDS = {"data": KindSpec(1, "a:b"), "train": KindSpec(1, "a:c", needs_gpu=True)}


def data(task: str = "xnli", **params: object) -> Step:
    return Step("data", {"task": task, **params})


def train(seed: int = 1, **inputs: Step) -> Step:
    return Step("train", {"seed": seed}, inputs)


def publish_all(store: Store, *targets: Step, kinds: Kinds = KINDS) -> None:
    for step in Graph(targets, kinds).steps.values():
        publish(store, step, {"text": ""})


def why(store: Store, *targets: Step, kinds: Kinds = KINDS) -> dict[str, str]:
    return {reason.step.kind: reason.why for reason in reasons(Graph(targets, kinds), store)}


def test_reason_of_a_first_run(store: Store) -> None:
    assert why(store, train(data=data())) == {
        "data": "never run",
        "train": "never run; input data would run",
    }


def test_reason_after_a_run(store: Store) -> None:
    publish_all(store, train(data=data()))
    assert why(store, train(data=data())) == {"data": "done", "train": "done"}


def test_reason_of_another_parameter(store: Store) -> None:
    publish_all(store, train(data=data()))
    assert why(store, train(2, data=data())) == {
        "data": "done",
        "train": "never run with these parameters; differs from a finished one in seed: 1 -> 2",
    }


def test_reason_of_changed_code(store: Store) -> None:
    publish_all(store, train(data=data()))
    newer = {**KINDS, "train": KindSpec(2, "a:c")}
    assert (
        why(store, train(data=data()), kinds=newer)["train"]
        == "code of train changed: version 1 -> 2"
    )
    newer = {**KINDS, "data": KindSpec(2, "a:c")}
    assert why(store, train(data=data()), kinds=newer) == {
        "data": "code of data changed: version 1 -> 2",
        "train": "input data would run",
    }


def test_reason_of_another_input(store: Store) -> None:
    publish_all(store, train(data=data()), data("pawsx"))
    assert why(store, train(data=data("pawsx"))) == {"data": "done", "train": "input data changed"}


def test_a_step_on_which_only_finished_ones_rest_is_not_needed(store: Store) -> None:
    graph = Graph([train(data=data())], KINDS)
    publish(store, graph.keyed(train(data=data())), {"text": ""})
    found = reasons(graph, store)
    assert [(reason.run, reason.why) for reason in found] == [
        (False, "not needed: all that rests on it is done"),
        (False, "done"),
    ]


def flat(**seconds: float) -> Costs:
    kinds = {kind: Speed("measured", seconds=value, bytes=100) for kind, value in seconds.items()}
    return Costs("cuda", 1e12, "a machine", kinds, {})


def test_plan_counts_what_is_missing(store: Store) -> None:
    steps = [train(seed, data=data()) for seed in range(8)]
    publish_all(store, steps[0])
    plan = make_plan(Graph(steps, KINDS), store, flat(data=5, train=10), download_bytes=7)
    assert [(kind.kind, kind.steps, kind.to_run, kind.seconds) for kind in plan.kinds] == [
        ("data", 1, 0, 0),
        ("train", 8, 7, 70),
    ]
    assert plan.wall == {1: 70, 2: 40, 4: 20, 8: 10}
    assert (plan.gpu_seconds, plan.end_disk_bytes, plan.download_bytes) == (70, 700, 7)
    assert not plan.estimated


def test_wall_time_follows_the_longest_chain(store: Store) -> None:
    chain = data("a")
    for name in "bcd":
        chain = Step("data", {"task": name}, {"before": chain})
    graph = Graph([*(data(str(number)) for number in range(4)), chain], KINDS)
    wanted = list(graph.steps)
    need = Need(lambda _: 1, lambda _: False, lambda _: 0, lambda _: 0)
    assert [simulate(graph, wanted, count, need).seconds for count in (1, 2, 8)] == [8, 4, 4]


def test_costs_of_what_a_step_reads() -> None:
    speeds = {
        "prepare": Speed("measured", seconds=1, tokens_per_second=10, bytes_per_token=2),
        "target": Speed("estimated", tokens_per_second=100),
    }
    costs = Costs(
        "cuda", 1e12, "a machine", speeds, {"xnli": Extent(train=1000, rows=50, tokens=4)}
    )
    own = {
        "benchmark": "xtreme",
        "task": "xnli",
        "sources": {},
        "own_data": [],
        "single_files": [],
        "max_length": 128,
    }
    train_data = Step("prepare", {**own, "split": "train", "languages": ["en"], "rows": 500})
    dev_data = Step("prepare", {**own, "split": "dev", "languages": ["en", "de"], "rows": None})
    training = load_scale("mini").seedless_training(1e-3)
    schedule = Schedule(epochs=3, batch=8)
    params = TargetParams(task="xnli", seed=1, schedule=schedule, training=training)
    model = params.step({"train": train_data, "dev": dev_data})
    graph = Graph([model], {"prepare": KindSpec(1, "a:b"), "target": KindSpec(1, "a:b")})
    assert costs.seconds(graph.keyed(dev_data), graph) == 1 + 50 * 4 * 2 / 10
    assert costs.bytes(graph.keyed(train_data), graph) == 500 * 4 * 2
    assert costs.seconds(graph.keyed(model), graph) == 3 * 500 * 4 / 100
    faster = costs.at(Probe("cuda", 2e12))
    assert faster.probed and faster.seconds(graph.keyed(model), graph) == 30
    assert costs.at(Probe("cpu", 2e12)) == costs


SCORED = [one for one in EXPERIMENTS.values() if not one.is_counted]


def steps_at(name: str, experiment: Experiment) -> list[Step]:
    scale = load_scale(name)
    benchmark = load_benchmark(scale.benchmark)
    pins = {source: "0" * 64 for source in benchmark.sources}
    smaller = None if scale.smaller is None else PhaseOne("smaller", "b" * 40, {})
    builder = StepBuilder(benchmark, scale, PhaseOne("any", "a" * 40, {}), pins, smaller)
    rows = [
        (row, task)
        for row, task in wanted_cells(benchmark, experiment, [])
        if builder.origin(row.encoder) is not None
    ]
    return steps_of(builder, experiment, rows)


@pytest.mark.parametrize("name", SCALES)
def test_every_scale_has_costs_for_every_step_of_every_experiment(name: str, store: Store) -> None:
    graph = Graph([step for one in SCORED for step in steps_at(name, one)], REAL_KINDS)
    costs = load_costs(name)
    assert set(costs.kinds) == {step.kind for step in graph.steps.values()} == set(REAL_KINDS)
    plan = make_plan(graph, store, costs)
    assert sum(kind.to_run for kind in plan.kinds) == len(graph.steps)
    assert math.inf > plan.wall[1] > plan.wall[2] > plan.wall[4] > plan.wall[8] > 0
    assert plan.wall[1] == pytest.approx(sum(kind.seconds for kind in plan.kinds))
    assert (plan.gpu_seconds > 0) == (costs.device == "cuda")


def test_table_2_at_paper_scale_fits_on_a_disk_of_150_gb(store: Store) -> None:
    scale, costs = load_scale("paper"), load_costs("paper")
    graph = Graph(steps_at("paper", EXPERIMENTS["table2"]), REAL_KINDS)
    plan = make_plan(graph, store, costs, keep_models=scale.keep_models)
    assert plan.peak_disk_bytes == max(plan.disk.values()) < 150e9, "on up to eight GPUs"
    assert plan.end_disk_bytes < 10e9
    whole = make_plan(graph, store, costs, keep_models="all")
    assert whole.end_disk_bytes == round(sum(kind.bytes for kind in whole.kinds)) > 1e12
    assert whole.wall[8] == pytest.approx(plan.wall[8], rel=0.02), "dropping costs no time"


@pytest.mark.parametrize("name", SCALES)
def test_only_the_mini_scale_was_measured(name: str, store: Store) -> None:
    graph = Graph(steps_at(name, EXPERIMENTS["table2"]), REAL_KINDS)
    assert make_plan(graph, store, load_costs(name)).estimated == (name != "mini")


def test_studies_share_steps_with_each_other_and_with_table_2_on_test_data() -> None:
    def trained(*experiments: str) -> int:
        steps = [step for name in experiments for step in steps_at("base", EXPERIMENTS[name])]
        every = Graph(steps, REAL_KINDS).steps.values()
        return sum(step.kind in ("intermediate", "target") for step in every)

    studies = [one.name for one in SCORED if one.study is not None]
    assert trained(*studies) < 0.75 * sum(map(trained, studies))
    # Of study 000 only the runs of seeds that the scale does not have are its own.
    more = len(STUDY_SEEDS) - len(load_scale("base").seeds)
    own = trained("table2-test", "study-000") - trained("table2-test")
    assert own == more * (10 + 11), "encoders and targets"


def test_every_task_has_a_size() -> None:
    sizes = load_costs("mini").tasks
    for benchmark in map(load_benchmark, BENCHMARKS):
        assert benchmark.tasks.keys() <= sizes.keys()
    with pytest.raises(ConfigError, match=r"unknown task in throughput\.yaml"):
        load_costs("mini").extent("ud_feat")


def test_alignment_reads_the_source_language_once(store: Store) -> None:
    speeds = {"align": Speed(basis="measured", tokens_per_second=10)}
    costs = Costs("cpu", 1e12, "a machine", speeds, {"ntrex": Extent(0, 100, 5)})
    step = next(one for one in steps_at("mini", EXPERIMENTS["study-002"]) if one.kind == "align")
    languages = len(step.params["languages"])
    own = Graph([Step(step.kind, step.params)], {"align": KindSpec(1, "a:b")})
    assert costs.seconds(next(iter(own.steps.values())), own) == 25 * (languages + 1)


def test_a_scale_for_any_device_has_costs_for_both() -> None:
    assert [load_costs("small", device).device for device in ("cpu", "cuda")] == ["cpu", "cuda"]
    assert load_costs("small").device == load_costs("mini", "cuda").device == "cpu"
    assert load_costs("paper", "cpu").device == "cuda"


def test_development_data_that_are_smaller_than_the_test_are_counted_so() -> None:
    speeds = {"prepare": Speed(basis="measured", tokens_per_second=10)}
    bucc = Extent(train=0, rows=1000, tokens=4, dev=50)
    costs = Costs("cpu", 1e12, "a machine", speeds, {"bucc2018": bucc})
    own = {
        "benchmark": "xtreme",
        "task": "bucc2018",
        "sources": {},
        "own_data": [],
        "single_files": [],
        "max_length": 128,
    }
    for split, seconds in (("dev", 20.0), ("test", 400.0)):
        step = Step("prepare", {**own, "split": split, "languages": ["de"], "rows": None})
        graph = Graph([step], {"prepare": KindSpec(1, "a:b")})
        assert costs.seconds(graph.keyed(step), graph) == seconds


def test_a_kind_without_costs_and_a_scale_without_a_table() -> None:
    graph = Graph([data()], KINDS)
    with pytest.raises(ConfigError, match="data"):
        load_costs("mini").seconds(graph.keyed(data()), graph)
    with pytest.raises(ConfigError, match="did you mean 'mini'"):
        load_costs("minni")


def test_probe_of_this_machine() -> None:
    import torch

    threads = torch.get_num_threads()
    assert probe("cpu").flops > 1e8
    assert torch.get_num_threads() == threads
