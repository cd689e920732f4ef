"""The step graph of Tables 2 and 3."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import Row, row_named, rows, targets
from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.tasks import Split, TaskForm
from stilts_artifact.experiments.steps import StepBuilder
from stilts_artifact.pipeline.kinds import KINDS
from stilts_artifact.pipeline.step import Graph, Step

WORLD = load_benchmark("mini")
TASKS = {task.name: task for task in targets(WORLD)}


@pytest.fixture
def builder() -> StepBuilder:
    return StepBuilder(WORLD, load_scale("mini"), "r" * 64, {name: name for name in WORLD.sources})


def below(step: Step) -> Iterator[Step]:
    yield step
    for other in step.inputs.values():
        yield from below(other)


def all_steps(builder: StepBuilder, some: tuple[Row, ...]) -> Graph:
    steps = [builder.predictions(row, 1, task, 2) for row in some for task in TASKS.values()]
    return Graph([*steps, *(builder.labels(task, 2) for task in TASKS.values())], KINDS)


def count(graph: Graph, kind: str) -> int:
    return sum(node.kind == kind for node in graph.steps.values())


def test_there_are_thirty_one_encoders() -> None:
    names = [row.name for row in rows(WORLD)]
    assert len(names) == len(set(names)) == 11 + 11 + 9
    assert {row.group for row in rows(WORLD)} == {"English", "English + MLM", "translated"}


def test_growth_is_linear_in_encoders_times_targets(builder: StepBuilder) -> None:
    every = rows(WORLD)
    for some in (every[:1], every[:4], every):
        graph = all_steps(builder, some)
        assert count(graph, "intermediate") == len(some) - 1
        assert count(graph, "target") == 6 * len(some), "XQuAD and MLQA share one training"
        assert count(graph, "predict") == 7 * len(some)
        assert count(graph, "retrieve") == 2 * len(some)
        assert count(graph, "encoder") == 1


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


def test_a_target_trains_on_the_pivot_alone(builder: StepBuilder) -> None:
    for row in rows(WORLD):
        for task in TASKS.values():
            for step in below(builder.predictions(row, 1, task, 2)):
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
    step = builder.predictions(row, 1, TASKS["bucc2018"], 2)
    assert step.kind == "retrieve"
    assert step.inputs["encoder"] == builder.intermediate(row, 1)
    assert (
        builder.predictions(row_named(WORLD, "none"), 1, TASKS["tatoeba"], 2).inputs["encoder"].kind
        == "encoder"
    )


def test_a_bucc_test_set_is_cut_where_the_development_corpora_say(builder: StepBuilder) -> None:
    row = row_named(WORLD, "none")
    dev, test = (
        set(builder.predictions(row, 1, TASKS["bucc2018"], table).params["sources"])
        for table in (2, 3)
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
    other = StepBuilder(WORLD, builder.scale, "s" * 64, builder.pins)
    row = row_named(WORLD, "multi+mlm")
    for task in TASKS.values():
        step = builder.predictions(row, 1, task, 2)
        assert step != builder.predictions(row, 2, task, 2)
        assert step != other.predictions(row, 1, task, 2)


@pytest.mark.parametrize("name", ["MNLI.zip", "XNLI-1.0.zip", "wikipedia.qaf.txt"])
def test_other_bytes_make_other_steps(builder: StepBuilder, name: str) -> None:
    changed = StepBuilder(WORLD, builder.scale, builder.revision, {**builder.pins, name: "other"})
    row, task = row_named(WORLD, "mnli+mlm"), TASKS["xnli"]
    assert builder.predictions(row, 1, task, 2) != changed.predictions(row, 1, task, 2)


def test_parts_name_every_source_that_a_step_reads(builder: StepBuilder) -> None:
    for row in rows(WORLD):
        for task in TASKS.values():
            read = {
                name
                for step in below(builder.predictions(row, 1, task, 2))
                for name in step.params.get("sources", {})
            }
            read |= set(builder.labels(task, 2).params["sources"])
            assert read == {part.source for part in builder.parts(row, task, 2)}, (
                row.name,
                task.name,
            )


def test_retrieval_is_never_capped(builder: StepBuilder) -> None:
    for name in ("bucc2018", "tatoeba"):
        assert builder.labels(TASKS[name], 2).params["rows"] is None
        assert (
            builder.predictions(row_named(WORLD, "none"), 1, TASKS[name], 3).params["rows"] is None
        )


def test_predictions_and_labels_are_of_the_same_examples(builder: StepBuilder) -> None:
    for task in TASKS.values():
        for table in (2, 3):
            labels = builder.labels(task, table).params
            made = builder.predictions(row_named(WORLD, "none"), 1, task, table)
            data = made.inputs["data"].params if made.kind == "predict" else made.params
            for name in ("task", "split", "languages", "rows"):
                assert labels[name] == data[name]
            assert labels["split"] in set(map(str, Split))
