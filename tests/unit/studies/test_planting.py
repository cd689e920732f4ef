"""Planted effects are found again by the whole analysis, and a broken one is not let by (V2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from stilts_artifact.benchmark.experiments import NONE
from stilts_artifact.checking.judge import exit_code
from stilts_artifact.domain.cells import Finding
from stilts_artifact.errors import ExitCode
from stilts_artifact.forms import TAGGING
from stilts_artifact.studies import effects
from stilts_artifact.studies.analysis import Analysis, Question, Specification, Study, analyse
from stilts_artifact.studies.confidence import Count, Files
from stilts_artifact.studies.effects import Effect, Measures, Points, Runs, effect_of
from stilts_artifact.studies.planting import PlantedRuns, validate, validated
from stilts_artifact.studies.protocol import EffectScale, HypothesisDefinition, Term
from stilts_artifact.studies.record import ValidationRecord
from tests.unit.studies.planted import XTREME, published, question, real_question

STUDIES = ("000", "001", "002", "003", "004")
REPETITIONS = 16


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Runs]:
    """Study -> its runs, published once."""
    made: dict[str, Runs] = {}

    def runs(study: str) -> Runs:
        if study not in made:
            made[study] = published(tmp_path_factory.mktemp(study), study)
        return made[study]

    return runs


def looked(
    asked: Question, runs: Runs, *ids: str, scale: EffectScale = "points"
) -> list[ValidationRecord]:
    """What becomes of what is planted for some hypotheses, on one scale."""
    hypotheses = [
        one.model_copy(update={"scales": (scale,)})
        for one in asked.protocol.hypotheses
        if one.id in ids
    ]
    return validate(asked, runs, hypotheses, REPETITIONS).records


def are_found(records: Sequence[ValidationRecord]) -> bool:
    """Whether there is something that was looked for, and all of it was found."""
    return bool(records) and all(one.passed for one in records)


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES)
def test_planted_effects_are_found_and_absent_ones_are_not(
    study: str, folders: Callable[[str], Runs]
) -> None:
    asked = question(study)
    found = validate(asked, folders(study), asked.protocol.hypotheses, REPETITIONS)
    assert [one for one in found.records if not one.passed] == []
    # Of seven languages there are too few choices of four to tell two groups apart.
    assert list(found.unfit) == (["H4"] if study == "001" else [])
    names = {one.name.split(",")[0] for one in found.records}
    assert names == {one.id for one in asked.protocol.hypotheses} - found.unfit.keys()
    # Nothing of it is by chance.
    assert validate(asked, folders(study), asked.protocol.hypotheses[:1], 2) == validate(
        asked, folders(study), asked.protocol.hypotheses[:1], 2
    )


@pytest.mark.slow
def test_a_contrast_of_groups_is_found_where_there_are_genera_enough(tmp_path: Path) -> None:
    runs = published(tmp_path, "001", 20, world=XTREME, columns=("udpos",))
    found = looked(real_question("001"), runs, "H4")
    assert [one.name for one in found] == [
        "H4, points, a difference of groups",
        "H4, points, both sides alike",
    ]
    assert are_found(found)


@pytest.mark.slow
def test_wrong_classes_are_a_planted_loss_of_accuracy(folders: Callable[[str], Runs]) -> None:
    asked = question("004")
    size = asked.protocol.effects["size"].model_copy(update={"metric": "accuracy"})
    protocol = asked.protocol.model_copy(update={"effects": {"size": size}})
    found = looked(replace(asked, protocol=protocol), folders("004"), "H2")
    assert found[0].planted < 0
    assert are_found(found)


# What is broken once


def negated(points: Points, terms: Sequence[Term], scale: EffectScale) -> Effect:
    """The untreated less the treated."""
    found = effect_of(points, terms, scale)
    return Effect(-found.terms, -found.draws, found.baseline)


def summed(points: Points, terms: Sequence[Term], scale: EffectScale) -> Effect:
    """Differences of differences as sums."""
    every = [term.model_copy(update={"weight": 1}) for term in terms[1:]]
    return effect_of(points, [terms[0], *every], scale)


def unscaled(points: Points, terms: Sequence[Term], _: EffectScale) -> Effect:
    """Points, whatever the scale."""
    return effect_of(points, terms, "points")


def other_rows(points: Points, terms: Sequence[Term], scale: EffectScale) -> Effect:
    """Each row for the next one."""
    moved = replace(points, rows=(*points.rows[1:], points.rows[0]))
    return effect_of(moved, terms, scale)


def mixed_seeds(points: Points, terms: Sequence[Term], scale: EffectScale) -> Effect:
    """Counts laid out by seed read as counts laid out by row."""
    draws, rows, seeds = points.values.shape
    values = points.values.reshape(draws, seeds, rows).swapaxes(1, 2)
    return effect_of(replace(points, values=values), terms, scale)


def one_seed(points: Points, terms: Sequence[Term], scale: EffectScale) -> Effect:
    """The first seed for all of them."""
    return effect_of(replace(points, values=points.values[:, :, :1]), terms, scale)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "hypothesis", "scale", "broken"),
    [
        ("000", "H1", "points", negated),
        ("000", "H1", "log-ratio", unscaled),
        ("000", "H1", "points", other_rows),
        ("000", "H1", "points", mixed_seeds),
        ("000", "H1", "points", one_seed),
        ("001", "H1", "points", negated),
        ("001", "H3", "points", other_rows),
        ("001", "H5", "points", mixed_seeds),
        ("002", "H1", "log-odds", unscaled),
        ("002", "H2", "log-odds", negated),
        pytest.param("003", "H3", "points", one_seed, marks=pytest.mark.slow),
        pytest.param("003", "H4", "points", other_rows, marks=pytest.mark.slow),
        pytest.param("004", "H1", "points", summed, marks=pytest.mark.slow),
        pytest.param("004", "H2", "points", negated, marks=pytest.mark.slow),
    ],
)
def test_a_broken_effect_is_not_let_by(
    study: str,
    hypothesis: str,
    scale: EffectScale,
    broken: Callable[[Points, Sequence[Term], EffectScale], Effect],
    folders: Callable[[str], Runs],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = folders(study)
    monkeypatch.setattr(effects, "effect_of", broken)
    found = looked(question(study), runs, hypothesis, scale=scale)
    assert not are_found(found)


@pytest.mark.slow
def test_a_control_that_is_dropped_is_not_let_by(
    folders: Callable[[str], Runs], monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = Study.sample

    def without(
        self: Study,
        hypothesis: HypothesisDefinition,
        scale: EffectScale,
        chosen: Specification | None = None,
    ) -> object:
        return sample(self, hypothesis.model_copy(update={"controls": ()}), scale, chosen)

    monkeypatch.setattr(Study, "sample", without)
    failed = [one.name for one in looked(question("000"), folders("000"), "H1") if not one.passed]
    assert failed == ["H1, points, a slope"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "hypothesis"),
    [("001", "H1"), ("002", "H2"), pytest.param("004", "H1", marks=pytest.mark.slow)],
)
def test_another_group_is_not_let_by(
    study: str,
    hypothesis: str,
    folders: Callable[[str], Runs],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group = Study._group

    def others(self: Study, name: str | None, languages: Sequence[str]) -> frozenset[str]:
        inside = group(self, name, languages)
        return frozenset(languages) - inside if name else inside

    monkeypatch.setattr(Study, "_group", others)
    assert not are_found(looked(question(study), folders(study), hypothesis))


@pytest.mark.slow
@pytest.mark.parametrize("study", ["000", pytest.param("004", marks=pytest.mark.slow)])
def test_files_of_another_row_are_not_let_by(
    study: str, folders: Callable[[str], Runs], monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = Measures._complete

    def untreated(self: Measures, count: Count, _: str, language: str) -> list[Files] | None:
        return complete(self, count, NONE, language)

    monkeypatch.setattr(Measures, "_complete", untreated)
    assert not are_found(looked(question(study), folders(study), "H1"))


@pytest.mark.slow
def test_an_equal_share_everywhere_is_a_slope_and_no_null(
    folders: Callable[[str], Runs], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trap: a third of the sentences is lost everywhere, and the best language loses most."""

    def equal(self: PlantedRuns, definition: object, term: Term, *_: object) -> dict[object, float]:
        return {(row, *key): 1 / 3 for row in term.rows for key in self._runs}

    monkeypatch.setattr(PlantedRuns, "_solved", equal)
    found = {one.name: one for one in looked(question("000"), folders("000"), "H1")}
    null = found["H1, points, the same in every language"]
    assert not null.passed
    # The analysis does see the slope that there is.
    assert abs(null.planted) > 1
    assert abs(null.recovered - null.planted) < null.allowed < abs(null.planted)


def test_what_is_expected_is_the_closed_form(
    folders: Callable[[str], Runs], tmp_path: Path
) -> None:
    """F1(q) = 2 K (1 - q) / (P (1 - q) + G), of K correct, P predicted and G gold chunks."""
    asked, runs = question("000"), folders("000")
    planted = PlantedRuns(asked, runs, asked.protocol.hypotheses, tmp_path)
    task = runs.experiment.targets(runs.benchmark)[0]
    gold = TAGGING.file(runs.folder / "labels", task, "qae", "test")
    made = TAGGING.file(runs.folder / "predictions" / NONE / "seed-2", task, "qae", "test")
    correct, predicted, truth = TAGGING.read_gold(task, "qae", gold).tally(made, made.read_bytes())
    for share in (0.0, 0.3, 0.8):
        due = 2 * correct * (1 - share) / (predicted * (1 - share) + truth)
        assert planted.points("panx", "qae", 2, "score", share) == pytest.approx(100 * due)


def only(study: str, *ids: str) -> Question:
    """A study with some of its hypotheses."""
    asked = question(study)
    chosen = tuple(one for one in asked.protocol.hypotheses if one.id in ids)
    return replace(asked, protocol=asked.protocol.model_copy(update={"hypotheses": chosen}))


@pytest.mark.slow
def test_the_finding_is_of_the_pipeline(
    folders: Callable[[str], Runs], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, runs = only("000", "H1"), folders("000")
    # That the other rows have no predictions of their own does not matter to what is planted.
    record = analyse(asked, runs).record.model_copy(update={"hypotheses": []})
    found = validated(Analysis(record, {}), asked, runs).record
    assert (found.finding, len(found.validations)) == (Finding.PIPELINE_VALID, 4)
    assert exit_code([found.finding]) is ExitCode.REPRODUCED
    monkeypatch.setattr(effects, "effect_of", negated)
    assert validated(Analysis(record, {}), asked, runs).record.finding is Finding.PIPELINE_INVALID


def test_rows_that_are_missing_are_not_run(folders: Callable[[str], Runs]) -> None:
    asked, runs = question("000"), replace(folders("000"), rows=(NONE,))
    found = validated(analyse(asked, runs), asked, runs).record
    assert found.finding is Finding.NOT_RUN
    assert found.validations == []
