"""The arms of the studies: each field of a row changes the steps that it should, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import (
    CPT,
    EXPERIMENTS,
    LONGER,
    NONE,
    SMALLER,
    UD_MLM,
    Experiment,
    Row,
    row_named,
    rows,
    study_rows,
)
from stilts_artifact.benchmark.texts import TARGETS, TREEBANKS, WIKIPEDIA
from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.tasks import Split
from stilts_artifact.errors import ConfigError
from stilts_artifact.experiments.scored import request
from stilts_artifact.experiments.steps import StepBuilder
from stilts_artifact.forms.provenance import training_parts
from stilts_artifact.model.hub import PhaseOne
from stilts_artifact.pipeline.step import Step
from tests.unit.experiments.conftest import nothing_missing

WORLD = load_benchmark("mini")
REAL = load_benchmark("xtreme")
STUDIES = ("000", "001", "002", "003", "004")
TABLE2 = EXPERIMENTS["table2"]
XNLI = WORLD.tasks["xnli"]


@pytest.fixture(scope="module")
def sized(builder: StepBuilder) -> StepBuilder:
    """With the scale's smaller encoder."""
    assert builder.scale.smaller is not None
    return replace(builder, smaller=PhaseOne.of(builder.scale.smaller))


def study(name: str) -> dict[str, Row]:
    return {row.name: row for row in study_rows(name, WORLD)}


def below(step: Step) -> Iterator[Step]:
    yield step
    for other in step.inputs.values():
        yield from below(other)


def kinds(after: Step, before: Step) -> set[str]:
    """Kinds of the steps that only the one has."""
    return {step.kind for step in set(below(after)) - set(below(before))}


def of_row(builder: StepBuilder, row: Row, experiment: Experiment = TABLE2) -> Step:
    return builder.predictions(row, 1, XNLI, experiment, ("qaa", "qen"))


def test_rows_of_studies_have_names_of_their_own() -> None:
    for name in STUDIES:
        found = [row.name for row in study_rows(name, WORLD)]
        assert len(found) == len(set(found))
        assert found[0] == NONE
    # One name is one way to train, in every study and in Table 2.
    known = {row.name: row for row in rows(WORLD)}
    for name in STUDIES:
        for row in study_rows(name, WORLD):
            assert known.setdefault(row.name, row) == row
    with pytest.raises(ConfigError, match="unknown study '005'"):
        study_rows("005", WORLD)


def test_what_studies_add_leaves_the_steps_of_table_2_alone(
    builder: StepBuilder, sized: StepBuilder
) -> None:
    for row in rows(WORLD):
        assert (row.matched, row.target_epochs, row.encoder) == (None, 1, "own")
        assert row.text in (None, WIKIPEDIA)
        assert of_row(builder, row) == of_row(sized, row)


def test_twice_the_epochs_are_of_the_target_alone(builder: StepBuilder) -> None:
    arms = study("004")
    once, twice = (of_row(builder, arms[name]) for name in (NONE, LONGER))
    assert kinds(twice, once) == {"target", "predict"}
    epochs = [step.inputs["model"].params["schedule"]["epochs"] for step in (once, twice)]
    assert epochs[1] == 2 * epochs[0]


def test_another_text_is_of_phase_two_alone(builder: StepBuilder) -> None:
    mlm = row_named(WORLD, "mlm")
    other = replace(mlm, text=TARGETS)
    changed = kinds(of_row(builder, other), of_row(builder, mlm))
    assert changed == {"text", "intermediate", "target", "predict"}
    text = builder.intermediate(other, 1).inputs["text"].params
    assert text["text"] == TARGETS
    assert set(text["languages"]) == set(WORLD.languages) - {"qen"}
    assert set(text["sources"]) == {"panx_dataset.zip", "ud-treebanks-v2.5.tgz"}


def test_a_matched_row_is_told_the_data_whose_run_it_matches(builder: StepBuilder) -> None:
    cpt = study("003")[CPT]
    step = builder.intermediate(cpt, 1)
    assert set(step.inputs) == {"encoder", "text", "matched"}
    mnli = builder.intermediate(row_named(WORLD, "mnli"), 1)
    assert step.inputs["matched"] == mnli.inputs["train:mnli"]
    schedule = mnli.params["tasks"]["mnli"]
    assert step.params["mlm"]["matched"] == {
        "epochs": schedule["epochs"],
        "batch": schedule["batch"],
    }
    unmatched = builder.intermediate(replace(cpt, matched=None), 1)
    assert unmatched.inputs == {name: step.inputs[name] for name in ("encoder", "text")}
    assert unmatched.params["mlm"]["matched"] is None
    parts = training_parts(cpt, WORLD.tasks["tatoeba"], WORLD)
    assert {part.source for part in parts} == {
        "MNLI.zip",
        "panx_dataset.zip",
        "ud-treebanks-v2.5.tgz",
    }


def test_the_smaller_encoder_is_behind_every_step_of_its_rows(sized: StepBuilder) -> None:
    arms = study("004")
    for name, row in arms.items():
        if row.encoder == "smaller":
            own = of_row(sized, arms[name.removesuffix(SMALLER)])
            step = of_row(sized, row)
            assert not {one.kind for one in set(below(step)) & set(below(own))} - {"labels"}
            found = {one.params["layers"] for one in below(step) if one.kind == "encoder"}
            assert found == {2}
    assert sum(row.encoder == "smaller" for row in arms.values()) == len(arms) / 2


def test_rows_without_their_encoder_are_not_run_and_say_so(builder: StepBuilder) -> None:
    arms = study("004")
    wanted = [(arms[name], XNLI) for name in (NONE, NONE + SMALLER)]
    found = request(builder, TABLE2, wanted, nothing_missing)
    assert {key.row for key in found.predictions} == {NONE}
    ((key, reason),) = found.impossible.items()
    assert key.row == NONE + SMALLER
    assert reason == "scale mini has no smaller encoder"
    with pytest.raises(ConfigError, match="no smaller encoder"):
        builder.encoder("smaller")


def test_the_bare_text_of_the_treebanks_is_what_pos_is_trained_on(builder: StepBuilder) -> None:
    """Study 001: A2's annotation is POS's own, and A4 reads the same sentences without it."""
    for world in (WORLD, REAL):
        english = world.source_language
        trained = world.tasks["udpos"].parts[Split.TRAIN, english]
        assert world.texts[TREEBANKS].parts == {english: trained}
        # Whoever compares A2 with none on POS compares epochs, too: morphology is A1 - A3.
        assert world.tasks["ud_upos"].parts[Split.TRAIN, english] == trained
        row = {row.name: row for row in study_rows("001", world)}[UD_MLM]
        assert set(trained) <= set(training_parts(row, world.tasks["tatoeba"], world))
    step = builder.intermediate(study("001")[UD_MLM], 1)
    target = builder.target(row_named(WORLD, NONE), 1, WORLD.tasks["udpos"])
    assert step.inputs["text"].params["rows"] == target.inputs["train"].params["rows"]
    assert step.params["mlm"]["matched"] == target.params["schedule"]


def test_the_further_languages_of_xtreme_r_are_predicted_by_the_models_of_pos_and_ner() -> None:
    scale = load_scale("paper")
    pins = {name: name for name in REAL.sources}
    builder = StepBuilder(REAL, scale, PhaseOne.of(scale.encoder), pins)
    experiment = EXPERIMENTS["study-001"]
    assert [task.name for task in experiment.targets(REAL)] == [
        *("udpos", "panx", "udpos_xr", "panx_xr")
    ]
    assert [task.name for task in experiment.targets(WORLD)] == ["udpos", "panx"]
    for row in study_rows("001", REAL):
        for own, further in (("udpos", "udpos_xr"), ("panx", "panx_xr")):
            steps = [
                builder.predictions(row, 1, task, experiment, task.languages)
                for task in (REAL.tasks[own], REAL.tasks[further])
            ]
            assert steps[0].inputs["model"] == steps[1].inputs["model"]
            assert steps[0].inputs["data"] != steps[1].inputs["data"]


def test_text_of_targets_has_no_part_that_a_target_is_judged_by() -> None:
    for world in (WORLD, REAL):
        judging = {
            part
            for task in world.tasks.values()
            for (split, _), parts in task.parts.items()
            if split is not Split.TRAIN
            for part in parts
        }
        for text in world.texts.values():
            read = {part for parts in text.parts.values() for part in parts}
            assert not read & judging
        held_out = world.texts[TARGETS].held_out
        for code in world.texts[TARGETS].parts:
            due = {
                part
                for name in ("panx", "udpos")
                for split in (Split.DEV, Split.TEST)
                for part in world.tasks[name].parts.get((split, code), ())
            }
            assert set(held_out[code]) == due != set()


@pytest.mark.parametrize("scale", ["mini", "small", "base", "paper"])
def test_a_scale_says_which_smaller_encoder_it_has(scale: str) -> None:
    """None at base: study 004 says so there, row by row."""
    found = load_scale(scale)
    labels = [one and one.label for one in (found.encoder_of("own"), found.encoder_of("smaller"))]
    assert labels[0] == found.encoder.name
    assert (labels[1] is None) == (scale == "base")
    assert labels[1] != labels[0]


def test_probabilities_take_the_place_of_predictions_and_add_english_development_data(
    builder: StepBuilder,
) -> None:
    experiment = EXPERIMENTS["study-004"]
    row = study("004")[NONE]
    step = of_row(builder, row, experiment)
    plain = of_row(builder, row, replace(experiment, probabilities=False))
    assert (step.kind, plain.kind) == ("probabilities", "predict")
    assert {name: step.inputs[name] for name in plain.inputs} == plain.inputs
    assert "dtype" not in step.params, "float32 whatever the scale's dtype"
    dev = step.inputs["dev"].params
    assert (dev["split"], dev["languages"]) == ("dev", ("qen",))
    gold = builder.development_labels(XNLI, experiment)
    assert gold is not None
    assert {gold.params[name] == dev[name] for name in ("task", "split", "languages", "rows")} == {
        True
    }
    found = request(builder, experiment, [(row, XNLI)], nothing_missing)
    assert set(found.labels) == {("xnli", Split.TEST), ("xnli", Split.DEV)}
    # Tags, spans and retrieval have no probabilities, and development data are then scored anyway.
    assert not any(experiment.gives_probabilities(WORLD.tasks[name]) for name in ("panx", "xquad"))
    assert replace(experiment, split=Split.DEV).development(XNLI) == ()


def test_alignment_is_a_step_of_its_own_that_trains_nothing(builder: StepBuilder) -> None:
    experiment, task = EXPERIMENTS["study-002"], WORLD.tasks["ntrex"]
    rows = study("002")
    steps = [
        builder.predictions(rows[name], 1, task, experiment, ["qaa"]) for name in ("none", "mlm")
    ]
    assert [step.kind for step in steps] == ["align", "align"]
    assert [step.inputs["encoder"].kind for step in steps] == ["encoder", "intermediate"]
    assert set(steps[0].inputs) == {"encoder"}
    assert steps[0].params["options"]["layer"] == builder.scale.retrieval.layer
