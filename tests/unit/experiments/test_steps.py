"""The step graph of the scored experiments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib import resources

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.encoders import PINNED, pinned_as
from stilts_artifact.benchmark.experiments import (
    EXPERIMENTS,
    Experiment,
    Row,
    row_named,
    rows,
    targets,
)
from stilts_artifact.config.load import load_scale, parse_scale
from stilts_artifact.config.schema import Scale
from stilts_artifact.domain.tasks import Split, Task, TaskForm
from stilts_artifact.experiments.session import Session
from stilts_artifact.experiments.steps import StepBuilder
from stilts_artifact.files import hash_file
from stilts_artifact.model.hub import PhaseOne, shipped_encoder
from stilts_artifact.pipeline.kinds import KINDS
from stilts_artifact.pipeline.step import Graph, Step
from stilts_artifact.pipeline.tasks.params import IntermediateParams, TargetParams

WORLD = load_benchmark("mini")
TASKS = {task.name: task for task in targets(WORLD)}


TABLE2, TABLE3 = EXPERIMENTS["table2"], EXPERIMENTS["table3"]


def predictions(
    builder: StepBuilder, row: Row, seed: int, task: Task, experiment: Experiment = TABLE2
) -> Step:
    """In every language."""
    languages = task.languages_of(experiment.scored_split(task))
    return builder.predictions(row, seed, task, experiment, languages)


def labels(builder: StepBuilder, task: Task, experiment: Experiment = TABLE2) -> Step:
    languages = task.languages_of(experiment.scored_split(task))
    return builder.labels(task, experiment, languages)


def below(step: Step) -> Iterator[Step]:
    yield step
    for other in step.inputs.values():
        yield from below(other)


def all_steps(builder: StepBuilder, some: tuple[Row, ...]) -> Graph:
    steps = [predictions(builder, row, 1, task) for row in some for task in TASKS.values()]
    return Graph([*steps, *(labels(builder, task) for task in TASKS.values())], KINDS)


def count(graph: Graph, kind: str) -> int:
    return sum(node.kind == kind for node in graph.steps.values())


def test_there_are_thirty_one_encoders() -> None:
    names = [row.name for row in rows(WORLD)]
    assert len(names) == len(set(names)) == 11 + 11 + 9
    assert {row.group for row in rows(WORLD)} == {"English", "English + MLM", "translated"}


@pytest.mark.slow
def test_growth_is_linear_in_encoders_times_targets(builder: StepBuilder) -> None:
    every = rows(WORLD)
    for some in (every[:1], every[:4], every):
        graph = all_steps(builder, some)
        assert count(graph, "intermediate") == len(some) - 1
        assert count(graph, "target") == 6 * len(some), "XQuAD and MLQA share one training"
        assert count(graph, "predict") == 7 * len(some)
        assert count(graph, "retrieve") == 2 * len(some)
        assert count(graph, "encoder") == 1


@pytest.mark.slow
def test_all_rows_share_the_prepared_data(builder: StepBuilder) -> None:
    one, every = (
        count(all_steps(builder, some), "prepare") for some in (rows(WORLD)[:1], rows(WORLD))
    )
    intermediate = (
        9 + 9 + 9
    )  # train and dev of the nine tasks, three of them in three more languages
    shared = 2  # SQuAD's development data chooses XQuAD's model; nothing else is used twice
    assert every - one <= intermediate
    assert every - one >= intermediate - shared


@pytest.mark.slow
def test_a_target_trains_on_the_source_language_alone(builder: StepBuilder) -> None:
    for row in rows(WORLD):
        for task in TASKS.values():
            for step in below(predictions(builder, row, 1, task)):
                if step.kind == "target":
                    data = [step.inputs[role] for role in ("train", "dev") if role in step.inputs]
                    assert {language for own in data for language in own.params["languages"]} == {
                        WORLD.source_language
                    }
                    assert step.inputs["train"].params["split"] == "train"


def test_tydiqa_is_not_chosen_on_its_test_set(builder: StepBuilder) -> None:
    trained = builder.target(row_named(WORLD, "none"), 1, TASKS["tydiqa"])
    assert set(trained.inputs) == {"encoder", "train"}


def test_retrieval_reads_the_encoder_of_its_row(builder: StepBuilder) -> None:
    row = row_named(WORLD, "mnli")
    step = predictions(builder, row, 1, TASKS["bucc2018"])
    assert step.kind == "retrieve"
    assert step.inputs["encoder"] == builder.intermediate(row, 1)
    assert (
        predictions(builder, row_named(WORLD, "none"), 1, TASKS["tatoeba"]).inputs["encoder"].kind
        == "encoder"
    )


def test_a_bucc_test_set_is_cut_where_the_development_corpora_say(builder: StepBuilder) -> None:
    row = row_named(WORLD, "none")
    dev, test = (
        set(predictions(builder, row, 1, TASKS["bucc2018"], table).params["sources"])
        for table in (TABLE2, TABLE3)
    )
    assert dev < test
    assert all(
        task.form is not TaskForm.MINING or task.name == "bucc2018" for task in TASKS.values()
    )


@pytest.mark.parametrize("row", rows(WORLD), ids=lambda row: row.name)
def test_every_row_is_trained_on_what_its_name_says(builder: StepBuilder, row: Row) -> None:
    step = builder.intermediate(row, 1)
    trains = {name: other for name, other in step.inputs.items() if name.startswith("train:")}
    assert {name.partition(":")[2] for name in trains} == set(row.tasks)
    assert all(other.params["languages"] == (row.language,) for other in trains.values())
    assert ("text" in step.inputs) == row.mlm


def test_seed_and_encoder_are_part_of_every_trained_step(builder: StepBuilder) -> None:
    other = StepBuilder(WORLD, builder.scale, PhaseOne("mini", "s" * 64, {}), builder.pins)
    row = row_named(WORLD, "multi+mlm")
    for task in TASKS.values():
        step = predictions(builder, row, 1, task)
        assert step != predictions(builder, row, 2, task)
        assert step != predictions(other, row, 1, task)


def keys(builder: StepBuilder) -> dict[str, str]:
    """Key and kind of every step of a row that has steps of every kind."""
    graph = all_steps(builder, (row_named(WORLD, "multi+mlm"),))
    return {address: keyed.kind for address, keyed in graph.steps.items()}


def scale_with(old: bytes, new: bytes) -> Scale:
    content = resources.files("stilts_artifact.config").joinpath("mini.yaml").read_bytes()
    assert content.count(old) == 1
    return parse_scale(content.replace(old, new), "mini.yaml")


@pytest.mark.slow
def test_how_often_checkpoints_are_written_is_in_no_key(builder: StepBuilder) -> None:
    """Nothing is trained anew for what cannot change a result, and all is for what can."""
    often = scale_with(b"checkpoint_every: 200", b"checkpoint_every: 201")
    assert often.checkpoint_every == 201
    assert keys(replace(builder, scale=often)) == keys(builder)
    clipped = keys(replace(builder, scale=scale_with(b"clip: 1.0", b"clip: 1.5")))
    trained = {"intermediate", "target", "predict", "retrieve", "align"}
    assert {kind for key, kind in clipped.items() if key not in keys(builder)} == trained


def test_a_trained_steps_settings_are_what_its_worker_takes(builder: StepBuilder) -> None:
    row, task = row_named(WORLD, "multi+mlm"), TASKS["xnli"]
    rates = builder.scale.mlm.learning_rate, builder.scale.tuning("xnli").learning_rate
    own: type[IntermediateParams | TargetParams]
    for step, own, rate in (
        (builder.intermediate(row, 3), IntermediateParams, rates[0]),
        (builder.target(row, 3, task), TargetParams, rates[1]),
    ):
        params = own.of(Graph([step], KINDS).keyed(step).params)
        assert params.training.seeded(params.seed) == builder.scale.training_config(3, rate)


@pytest.mark.parametrize("name", ["MNLI.zip", "XNLI-1.0.zip", "wikipedia.qaf.txt"])
def test_other_bytes_make_other_steps(builder: StepBuilder, name: str) -> None:
    changed = StepBuilder(WORLD, builder.scale, builder.phase_one, {**builder.pins, name: "other"})
    row, task = row_named(WORLD, "mnli+mlm"), TASKS["xnli"]
    assert predictions(builder, row, 1, task) != predictions(changed, row, 1, task)


@pytest.mark.slow
def test_parts_name_every_source_that_a_step_reads(builder: StepBuilder) -> None:
    for row in rows(WORLD):
        for task in TASKS.values():
            read = {
                name
                for step in below(predictions(builder, row, 1, task))
                for name in step.params.get("sources", {})
            }
            read |= set(labels(builder, task).params["sources"])
            assert read == {
                part.source
                for part in builder.parts(
                    row, task, TABLE2, task.languages_of(TABLE2.scored_split(task))
                )
            }, (
                row.name,
                task.name,
            )


def test_retrieval_is_never_capped(builder: StepBuilder) -> None:
    for name in ("bucc2018", "tatoeba"):
        assert labels(builder, TASKS[name]).params["rows"] is None
        assert (
            predictions(builder, row_named(WORLD, "none"), 1, TASKS[name], TABLE3).params["rows"]
            is None
        )


def test_predictions_and_labels_are_of_the_same_examples(builder: StepBuilder) -> None:
    for task in TASKS.values():
        for table in (TABLE2, TABLE3):
            gold = labels(builder, task, table).params
            made = predictions(builder, row_named(WORLD, "none"), 1, task, table)
            data = made.inputs["data"].params if made.kind == "predict" else made.params
            for name in ("task", "split", "languages", "rows"):
                assert gold[name] == data[name]
            assert gold["split"] in set(map(str, Split))


@pytest.mark.parametrize("scale", ["base", "paper"])
def test_the_key_of_every_step_has_the_pinned_bytes_of_the_encoder(scale: str) -> None:
    """A folder that only bears the name can stand for no step that was planned."""
    chosen = load_scale(scale)
    real = load_benchmark(chosen.benchmark)
    encoder = PhaseOne.of(chosen.encoder)
    step = StepBuilder(real, chosen, encoder, dict.fromkeys(real.sources, "0" * 64)).encoder()
    name = pinned_as(encoder.name, encoder.revision)
    assert name is not None
    assert step.params["files"] == PINNED[name].files


def test_the_key_of_every_mini_step_has_the_shipped_bytes(builder: StepBuilder) -> None:
    shipped = {
        name: hash_file(shipped_encoder() / name).sha256
        for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    }
    assert builder.encoder().params["files"] == shipped


def test_threads_are_in_the_key_of_what_computes_and_make_as_many_fewer_workers(
    builder: StepBuilder, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums over another number of threads are other bits; what only reads stays what it was."""
    two = replace(builder, scale=builder.scale.model_copy(update={"threads": 2}))
    row = row_named(WORLD, "mnli+mlm")
    for task in (TASKS["xnli"], TASKS["tatoeba"]):
        before, after = (predictions(one, row, 1, task) for one in (builder, two))
        changed = {step.kind for step in set(below(after)) - set(below(before))}
        assert changed == {step.kind for step in below(after)} - {"encoder", "prepare", "text"}
    monkeypatch.setattr("stilts_artifact.experiments.session.default_workers", lambda: 5)
    assert session.options().workers is None
    threaded = replace(session, scale=two.scale)
    assert threaded.options().workers == 2
    asked = replace(threaded, machine=replace(session.machine, workers=3))
    assert asked.options().workers == 3
