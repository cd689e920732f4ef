"""What a run would do, why, and what it would cost."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from stilts_artifact.benchmark import BENCHMARKS, load_benchmark
from stilts_artifact.benchmark.asked import wanted_cells
from stilts_artifact.benchmark.experiments import EXPERIMENTS, STUDY_SEEDS, Experiment
from stilts_artifact.config import SCALES
from stilts_artifact.config.load import as_own, load_scale
from stilts_artifact.errors import ConfigError
from stilts_artifact.experiments.planning import steps_of
from stilts_artifact.experiments.steps import StepBuilder
from stilts_artifact.model.hub import PhaseOne
from stilts_artifact.pipeline.costs import Costs, Extent, Speed, load_costs
from stilts_artifact.pipeline.explain import reasons
from stilts_artifact.pipeline.job import Device
from stilts_artifact.pipeline.kinds import KINDS as REAL_KINDS
from stilts_artifact.pipeline.plan import Need, make_plan, simulate
from stilts_artifact.pipeline.rates import KINDS as PASSES
from stilts_artifact.pipeline.rates import WORDS, Architecture, Pass, Rates
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


RATES = Rates(
    train=dict.fromkeys(PASSES, Pass(overhead=1, token=0.01)),
    predict=dict.fromkeys(PASSES, Pass(overhead=0.5, token=0.002)),
    update=0.5,
    whole_update=5,
    decay=0.25,
    load=7,
    save=11,
    flops=1e12,
)
"""Of a machine whose seconds can be counted by hand."""


def costs_by(
    kinds: dict[str, Speed], tasks: dict[str, Extent], device: Device = "cuda", **fields: object
) -> Costs:
    return Costs(device, "a machine", kinds, tasks, RATES, "tabled", **fields)  # type: ignore[arg-type]


def flat(**seconds: float) -> Costs:
    return costs_by({kind: Speed(seconds=value, bytes=100) for kind, value in seconds.items()}, {})


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
    assert (plan.basis, plan.uncertain, plan.probe) == ("tabled", 2.0, None)


def test_how_sure_a_plan_is_follows_from_the_bases_of_its_times() -> None:
    costs = replace(flat(), basis="probed", others="guessed")
    assert costs.uncertain({"target": 50, "prepare": 50}) == 2.2  # half 1.5, half 3: 2.25
    assert costs.uncertain({"target": 99, "prepare": 1}) == costs.uncertain({}) == 1.5


def test_every_worker_imports_once_and_a_plan_of_nothing_takes_no_time(store: Store) -> None:
    costs = replace(flat(data=5, train=10), imports=3)
    graph = Graph([train(data=data())], KINDS)
    assert make_plan(graph, store, costs).wall[2] == 3 + 5 + 10
    publish_all(store, train(data=data()))
    assert make_plan(graph, store, costs).wall[2] == 0


def test_wall_time_follows_the_longest_chain(store: Store) -> None:
    chain = data("a")
    for name in "bcd":
        chain = Step("data", {"task": name}, {"before": chain})
    graph = Graph([*(data(str(number)) for number in range(4)), chain], KINDS)
    wanted = list(graph.steps)
    need = Need(lambda _: 1, lambda _: False, lambda _: 0, lambda _: 0)
    assert [simulate(graph, wanted, count, need).seconds for count in (1, 2, 8)] == [8, 4, 4]


OWN = {
    "benchmark": "xtreme",
    "task": "xnli",
    "sources": {},
    "own_data": [],
    "single_files": [],
    "max_length": 128,
}


def test_costs_of_what_a_step_reads() -> None:
    speeds = {"prepare": Speed(seconds=1, tokens_per_second=10, bytes_per_token=2)}
    costs = costs_by(speeds, {"xnli": Extent(train=1000, rows=50, tokens=4)})
    train_data = Step("prepare", {**OWN, "split": "train", "languages": ["en"], "rows": 500})
    dev_data = Step("prepare", {**OWN, "split": "dev", "languages": ["en", "de"], "rows": None})
    graph = Graph([train_data, dev_data], {"prepare": KindSpec(1, "a:b")})
    assert costs.seconds(graph.keyed(dev_data), graph) == 1 + 50 * 4 * 2 / 10
    assert costs.bytes(graph.keyed(train_data), graph) == 500 * 4 * 2
    slow = {"prepare": Speed(language_seconds=3, example_milliseconds=20)}
    other = replace(costs, kinds=slow, faster=2)
    assert other.seconds(graph.keyed(dev_data), graph) == (2 * 3 + 100 * 0.020) / 2


def trained(epochs: int, batch: int) -> tuple[Step, Graph]:
    """500 examples of 4 tokens, judged on 50."""
    train_data = Step("prepare", {**OWN, "split": "train", "languages": ["en"], "rows": 500})
    dev_data = Step("prepare", {**OWN, "split": "dev", "languages": ["en"], "rows": None})
    training = load_scale("paper").seedless_training(1e-3)
    schedule = Schedule(epochs=epochs, batch=batch)
    params = TargetParams(task="xnli", seed=1, schedule=schedule, training=training)
    model = params.step({"train": train_data, "dev": dev_data})
    return model, Graph([model], {"prepare": KindSpec(1, "a:b"), "target": KindSpec(1, "a:b")})


def test_time_of_training_is_that_of_its_steps() -> None:
    sizes = {"xnli": Extent(train=1000, rows=50, tokens=4)}
    costs = costs_by({"target": Speed(seconds=2)}, sizes)
    model, graph = trained(epochs=3, batch=8)
    # 63 steps an epoch. A GPU takes all 8 examples at once, padded to twice their 32 tokens.
    step = 1.1 * 1 + 64 * 0.01 + 0.5 + 0.25
    # Rows are padded to multiples of 8: by 3.5 tokens in the mean.
    judged = 0.5 * (1 + 375 / 16384) + 50 * (4 + 3.5) * 0.002
    found = costs.seconds(graph.keyed(model), graph)
    assert found == pytest.approx(2 + 189 * step + judged + 7 + 11)
    # A checkpoint after step 100 has the weights that are trained and two moments of each.
    half = Architecture(layers=0, hidden=1, inner=0, vocabulary=2 * WORDS)
    saving = replace(costs, checkpoint_every=100, architecture=half)
    assert saving.seconds(graph.keyed(model), graph) - found == pytest.approx(3 * 11 * 0.5)
    # The last step of three epochs is step 189, after which none is needed any more.
    never = replace(saving, checkpoint_every=189)
    assert never.seconds(graph.keyed(model), graph) == found
    # A CPU cuts the step into batches of like length, which pad less.
    own = costs_by({"target": Speed(seconds=2)}, sizes, "cpu")
    step = (2.5 + 38.4 / 4096) * 1 + 38.4 * 0.01 + 0.5 + 0.25
    judged = 0.5 * (1 + 375 / 2048) + 50 * (4 + 3.5) * 0.002
    found = own.seconds(graph.keyed(model), graph)
    assert found == pytest.approx(2 + 189 * step + judged + 7 + 11)


def test_a_checkpoint_after_an_evaluation_has_the_best_weights_too() -> None:
    sizes = {"xnli": Extent(train=1000, rows=50, tokens=4)}
    costs = costs_by({"target": Speed()}, sizes, architecture=TEN)
    model, graph = trained(epochs=16, batch=8)
    own = graph.keyed(model)
    # 1,008 steps, evaluated each 1,000.
    found = costs.seconds(own, graph)
    saved = replace(costs, checkpoint_every=1000).seconds(own, graph)
    assert saved - found == pytest.approx(4 * 11)


def test_a_last_step_is_evaluated_once() -> None:
    costs = costs_by({"target": Speed()}, {"xnli": Extent(train=1000, rows=50, tokens=4)})
    free = replace(costs, rates=replace(RATES, predict=dict.fromkeys(PASSES, Pass(0, 0))))
    # Of 1,000 steps only the last one, each 1,000th; of 1,100 that and the last one.
    for epochs, evaluations in ((10, 1), (11, 2)):
        model, graph = trained(epochs, batch=5)
        own = graph.keyed(model)
        judged = costs.seconds(own, graph) - free.seconds(own, graph)
        once = 0.5 * (1 + 375 / 16384) + 50 * (4 + 3.5) * 0.002
        assert judged == pytest.approx(evaluations * once)


def test_what_is_longer_than_a_scale_reads_counts_as_it_is_cut() -> None:
    model, graph = trained(epochs=1, batch=8)
    long, longest = (
        costs_by({"target": Speed()}, {"xnli": Extent(train=1000, rows=50, tokens=tokens)})
        for tokens in (128, 1000)
    )
    assert longest.seconds(graph.keyed(model), graph) == long.seconds(graph.keyed(model), graph)


TEN = Architecture(layers=2, hidden=10, inner=20, vocabulary=50)


def test_a_mined_test_set_has_its_threshold_from_development_data() -> None:
    every = Graph(steps_at("mini", EXPERIMENTS["table2-test"], "none,bucc2018"), REAL_KINDS)
    own = next(step for step in every.steps.values() if step.kind == "retrieve")
    languages = len(own.params["languages"])
    sizes = {"bucc2018": Extent(train=0, rows=100, tokens=4, dev=50)}
    kinds = {"retrieve": Speed(), "encoder": Speed(seconds=3)}
    costs = costs_by(kinds, sizes, "cpu", layer=0.5, architecture=TEN)
    seconds = 7.0
    for rows in (100, 50):
        # Each side of each language ends in batches that are not full; a core pads nothing.
        batches = 2 * 8 * languages + rows * 4 * languages / 1536
        seconds += 0.5 * (batches * 0.5 + rows * 4 * languages * 0.002)
        seconds += 2 * 2 * (rows / 2) ** 2 * 10 * languages / 1e12
    assert costs.seconds(own, every) == pytest.approx(seconds)
    encoder = next(step for step in every.steps.values() if step.kind == "encoder")
    assert costs.seconds(encoder, every) == 3 + 7 + 11, "it is read, and a copy is written"


def test_what_a_step_leaves_and_what_it_has_meanwhile_is_its_encoders() -> None:
    weights = 2 * (4 * 10 * 10 + 2 * 10 * 20) + 50 * 10
    kinds = dict.fromkeys(("intermediate", "target", "predict", "retrieve"), Speed(bytes=5))
    sizes = {"bucc2018": Extent(0, 100, 4, dev=50), "xnli": Extent(100, 100, 4)}
    costs = costs_by(kinds, sizes, architecture=TEN)
    cells = ("mnli,xnli", "mnli+mlm,xnli", "none,bucc2018")
    every = Graph(steps_at("mini", EXPERIMENTS["table2-test"], *cells), REAL_KINDS)
    found = {
        (step.kind, step.params.get("mlm") is not None): (
            costs.bytes(step, every),
            costs.work_bytes(step, every),
        )
        for step in every.steps.values()
        if step.kind in kinds
    }
    # All of a small vocabulary is trained, with text or without.
    trained = (5 + 4 * weights, 2 * 16 * weights)
    assert found == {
        ("intermediate", False): trained,
        ("intermediate", True): trained,
        ("target", False): trained,
        ("predict", False): (5, 0),
        ("retrieve", False): (5, (100 + 50) * 10 * 4),
    }
    large = replace(costs, architecture=Architecture(24, 1024, 4096, 250_002))
    text, other = (
        next(
            step
            for step in every.steps.values()
            if step.kind == "intermediate" and (step.params["mlm"] is not None) == has_text
        )
        for has_text in (True, False)
    )
    # XLM-R large: 558 million weights, 302 million of them and 20,000 embeddings without text.
    assert large.work_bytes(text, every) == pytest.approx(32 * 558e6, rel=0.01)
    assert large.work_bytes(other, every) == pytest.approx(32 * 322e6, rel=0.01)


def test_the_steps_of_a_mixture_are_drawn_by_the_capped_sizes() -> None:
    every = Graph(steps_at("paper", EXPERIMENTS["table2"], "multi,panx"), REAL_KINDS)
    mixed = next(
        step
        for step in every.steps.values()
        if step.kind == "intermediate" and len(step.params["tasks"]) == 9
    )
    assert mixed.params["mlm"] is None
    sizes = dict.fromkeys(mixed.params["tasks"], Extent(train=200_000, rows=1, tokens=10))
    costs = costs_by({"intermediate": Speed()}, sizes)
    steps = sum(
        how["epochs"] * -(-131_072 // how["batch"]) for how in mixed.params["tasks"].values()
    )
    found = costs.seconds(mixed, every)
    free = replace(costs, rates=replace(RATES, update=0, decay=0)).seconds(mixed, every)
    assert found - free == pytest.approx(steps * 0.75)


def test_short_sequences_on_a_gpu_cost_their_steps_and_not_their_tokens(store: Store) -> None:
    graph = Graph(steps_at("paper", EXPERIMENTS["table2"], "none,panx"), REAL_KINDS)
    own = next(step for step in graph.steps.values() if step.kind == "target")
    costs = load_costs(load_scale("paper"))
    assert costs.basis == "guessed"
    tokens = 20_000 * 10 * costs.extent("panx").tokens
    # 6,250 steps: forward and backward start more than 3,000 kernels each, which takes 20 ms.
    assert (
        costs.seconds(own, graph) > 6250 * 0.020 > 4 * tokens * costs.rates.train["tagging"].token
    )


def test_threads_of_an_own_scale_count(store: Store) -> None:
    mini = load_scale("mini")
    own = as_own(mini.model_copy(update={"name": "own", "extends": "mini", "threads": 5}), "own")
    one, five = load_costs(mini), load_costs(own)
    assert five.basis == "tabled"
    assert five.rates.train["pair"].token == pytest.approx(one.rates.train["pair"].token / 4)
    graph = Graph(steps_at("mini", EXPERIMENTS["table2"], "none,xnli"), REAL_KINDS)
    plans = [make_plan(graph, store, costs) for costs in (one, five)]
    assert [plan.threads for plan in plans] == [1, 5]
    assert plans[1].wall[1] < plans[0].wall[1]


SCORED = [one for one in EXPERIMENTS.values() if not one.is_counted]


def steps_at(name: str, experiment: Experiment, *only: str) -> list[Step]:
    scale = load_scale(name)
    benchmark = load_benchmark(scale.benchmark)
    pins = {source: "0" * 64 for source in benchmark.sources}
    smaller = None if scale.smaller is None else PhaseOne("smaller", "b" * 40, {})
    builder = StepBuilder(benchmark, scale, PhaseOne("any", "a" * 40, {}), pins, smaller)
    rows = [
        (row, task)
        for row, task in wanted_cells(benchmark, experiment, only)
        if builder.origin(row.encoder) is not None
    ]
    return steps_of(builder, experiment, rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCALES)
def test_every_scale_has_costs_for_every_step_of_every_experiment(name: str, store: Store) -> None:
    graph = Graph([step for one in SCORED for step in steps_at(name, one)], REAL_KINDS)
    costs = load_costs(load_scale(name))
    assert set(costs.kinds) == {step.kind for step in graph.steps.values()} == set(REAL_KINDS)
    plan = make_plan(graph, store, costs)
    assert sum(kind.to_run for kind in plan.kinds) == len(graph.steps)
    assert math.inf > plan.wall[1] > plan.wall[2] > plan.wall[4] > plan.wall[8] > 0
    assert plan.wall[1] - costs.imports == pytest.approx(sum(kind.seconds for kind in plan.kinds))
    assert (plan.gpu_seconds > 0) == (costs.device == "cuda")


@pytest.mark.slow
def test_table_2_at_paper_scale_fits_on_a_disk_of_150_gb(store: Store) -> None:
    scale = load_scale("paper")
    costs = load_costs(scale)
    graph = Graph(steps_at("paper", EXPERIMENTS["table2"]), REAL_KINDS)
    plan = make_plan(graph, store, costs, keep_models=scale.keep_models)
    assert plan.peak_disk_bytes == max(plan.disk.values()) < 145e9, "on up to eight GPUs"
    assert plan.end_disk_bytes < 10e9
    whole = make_plan(graph, store, costs, keep_models="all")
    assert whole.end_disk_bytes == round(sum(kind.bytes for kind in whole.kinds)) > 1e12
    assert whole.wall[8] == pytest.approx(plan.wall[8], rel=0.02), "dropping costs no time"


@pytest.mark.slow
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


def test_what_starts_from_a_smaller_encoder_costs_what_that_one_does() -> None:
    scale, benchmark = load_scale("paper"), load_benchmark("xtreme")
    pins = dict.fromkeys(benchmark.sources, "0" * 64)
    large, small = map(PhaseOne.of, (scale.encoder, scale.smaller))  # type: ignore[arg-type]
    builder = StepBuilder(benchmark, scale, large, pins, small)
    study = EXPERIMENTS["study-004"]
    every = Graph(steps_of(builder, study, wanted_cells(benchmark, study, ())), REAL_KINDS)
    costs = load_costs(scale)
    found: dict[str, set[tuple[float, float, float]]] = {large.name: set(), small.name: set()}
    for step in every.steps.values():
        if step.kind == "target" and step.params["task"] == "xnli":
            origin = step
            while origin.kind != "encoder":
                origin = every.steps[origin.inputs["encoder"]]
            cost = costs.seconds(step, every), costs.bytes(step, every)
            found[origin.params["name"]].add((*cost, costs.work_bytes(step, every)))
    # Of one epoch; there are runs of two.
    more, less = min(found[large.name]), min(found[small.name])
    # XLM-R large has 3.6 times the body of base, and twice the weights.
    assert 1.5 < more[0] / less[0] < 3.6
    assert more[1] / less[1] == pytest.approx(558 / 277, rel=0.01)
    assert more[2] > 2 * less[2]


def test_every_task_has_a_size() -> None:
    sizes = load_costs(load_scale("mini")).tasks
    for benchmark in map(load_benchmark, BENCHMARKS):
        assert benchmark.tasks.keys() <= sizes.keys()
    with pytest.raises(ConfigError, match=r"unknown task in throughput\.yaml"):
        load_costs(load_scale("mini")).extent("ud_feat")


def test_alignment_reads_the_source_language_once(store: Store) -> None:
    speeds = {"align": Speed(tokens_per_second=10)}
    costs = costs_by(speeds, {"ntrex": Extent(0, 100, 5)})
    step = next(one for one in steps_at("mini", EXPERIMENTS["study-002"]) if one.kind == "align")
    languages = len(step.params["languages"])
    own = Graph([Step(step.kind, step.params)], {"align": KindSpec(1, "a:b")})
    assert costs.seconds(next(iter(own.steps.values())), own) == 25 * (languages + 1)


def test_a_scale_for_any_device_has_costs_for_both() -> None:
    small, mini, paper = map(load_scale, ("small", "mini", "paper"))
    devices: list[Device] = ["cpu", "cuda"]
    assert [load_costs(small, device=device).device for device in devices] == devices
    assert load_costs(small).device == load_costs(mini, device="cuda").device == "cpu"
    assert load_costs(paper, device="cpu").device == "cuda"


def test_development_data_that_are_smaller_than_the_test_are_counted_so() -> None:
    speeds = {"prepare": Speed(tokens_per_second=10)}
    costs = costs_by(speeds, {"bucc2018": Extent(train=0, rows=1000, tokens=4, dev=50)})
    own = {**OWN, "task": "bucc2018"}
    for split, seconds in (("dev", 20.0), ("test", 400.0)):
        step = Step("prepare", {**own, "split": split, "languages": ["de"], "rows": None})
        graph = Graph([step], {"prepare": KindSpec(1, "a:b")})
        assert costs.seconds(graph.keyed(step), graph) == seconds


def test_a_kind_without_costs_and_a_scale_without_a_table() -> None:
    graph = Graph([data()], KINDS)
    with pytest.raises(ConfigError, match="data"):
        load_costs(load_scale("mini")).seconds(graph.keyed(data()), graph)
    with pytest.raises(ConfigError, match="did you mean 'mini'"):
        load_costs(load_scale("mini").model_copy(update={"name": "minni"}))
