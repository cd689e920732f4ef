"""The family of languages: what is known of it is found, and what is not there is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from stilts_artifact.domain.cells import Finding
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.miniworld.family import FAMILY
from stilts_artifact.studies import family
from stilts_artifact.studies.effects import Effect, Effects
from stilts_artifact.studies.family import Answer, Known, examine, judge, recovered
from stilts_artifact.studies.protocol import EffectDefinition, EffectScale

pytestmark = pytest.mark.slow  # every slope has its 9,999 draws

SEEDS, DRAWS = 5, 50
CODES = tuple(FAMILY)
TEXT = np.array([np.log2(member.text) for member in FAMILY.values()])
BOUND = np.array([len(member.language.bound) for member in FAMILY.values()])


class Scores:
    """Points of rows in the languages of the family, in the place of measured ones.

    Args:
        rows: row -> mean points, array [languages], of every task.
        noise: standard deviations of languages, of runs (which move all of them) and of examples.
    """

    def __init__(
        self, rows: Mapping[str, Array], noise: tuple[float, float, float] = (2.0, 0.5, 0.5)
    ) -> None:
        generator = np.random.default_rng(3)
        languages, runs, examples = noise
        shared = generator.normal(0, languages, len(CODES))
        self.rows = {
            row: points
            + shared
            + generator.normal(0, runs, (SEEDS, 1))
            + generator.normal(0, 0.2, (SEEDS, len(CODES)))
            for row, points in rows.items()
        }
        self._draws = generator.normal(0, examples, (len(CODES), DRAWS))

    def effects(self, definition: EffectDefinition, scale: EffectScale) -> Effects:
        assert scale == "points"
        absent = [row for row in definition.rows if row not in self.rows]
        if absent:
            return Effects((), missing=(f"row {', '.join(absent)}",))
        terms = np.array([term.weight * self.rows[term.rows[0]] for term in definition.terms])
        return Effects(
            (
                {
                    code: Effect(terms[:, :, place], self._draws[place], 0.0)
                    for place, code in enumerate(CODES)
                },
            )
        )


def scores(per_doubling: float = 3.0, shuffled: float = 0.0, **more: Array | float) -> Scores:
    none = 40 + per_doubling * TEXT
    rows = {"none": none, "mnli": none + 1, "upos": none + 2, "feats": none + 3}
    rows["feats-shuffled"] = none + 2 + shuffled
    return Scores(rows | {row: none + gain for row, gain in more.items()})


@cache
def expected() -> tuple[Finding, list[Answer]]:
    """What is said where text helps and nothing else is wrong."""
    return answered(scores())


def answered(measured: Scores) -> tuple[Finding, list[Answer]]:
    known = Answer("", "index", "", Known.RECOVERED, 0.97, held=True)
    return judge([known, *examine("4x96-1", measured)])  # type: ignore[arg-type]


def of(answers: list[Answer], question: str, task: str = "panx") -> Answer:
    (found,) = [one for one in answers if one.question == question and one.task == task]
    return found


def test_the_index_measured_on_text_gives_the_order_of_bound_morphemes() -> None:
    index, *parts = recovered(sentences=200)
    assert index.held and index.estimate is not None and index.estimate > 0.95
    for part, least in zip(parts, (0.95, 0.95, 0.9), strict=True):
        assert part.known is Known.NOTHING
        assert part.estimate is not None and part.estimate > least


def test_an_index_of_something_else_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound morphemes of other languages: the text no longer follows from them."""
    turned = dict(zip(CODES, [*list(FAMILY.values())[5:], *list(FAMILY.values())[:5]], strict=True))
    monkeypatch.setattr(family, "FAMILY", turned)
    index, *_ = recovered(sentences=200)
    assert index.held is False


def test_planted_text_is_found_and_the_pipeline_is_valid() -> None:
    finding, answers = expected()
    assert finding is Finding.PIPELINE_VALID
    for task in ("udpos", "panx"):
        slope = of(answers, "score without intermediate task, per doubling of text", task)
        assert slope.held
        assert slope.low is not None and slope.high is not None
        assert slope.low < 3.0 < slope.high


@pytest.mark.parametrize("per_doubling", [0.2, -3.0])
def test_with_hardly_an_effect_of_text_or_with_the_opposite_one_it_is_invalid(
    per_doubling: float,
) -> None:
    finding, answers = answered(scores(per_doubling))
    assert finding is Finding.PIPELINE_INVALID
    assert of(answers, "score without intermediate task, per doubling of text").held is False


def test_what_a_script_drawn_by_lot_does_to_a_language_does_not_hide_what_text_does() -> None:
    """Scripts moved POS by nineteen points in the first recorded run."""
    scripts = np.array([member.language.script == "Latin" for member in FAMILY.values()])
    assert 0 < scripts.sum() < len(scripts)
    _, answers = answered(Scores({"none": 40 + 2 * TEXT + 20 * scripts}))
    slope = of(answers, "score without intermediate task, per doubling of text")
    assert slope.held and slope.estimate == pytest.approx(2.0, abs=1.0)


def test_shuffled_features_that_teach_as_much_as_tags_are_the_same_as_tags() -> None:
    _, answers = expected()
    assert of(answers, "feats-shuffled less upos").held


def test_shuffled_features_that_teach_more_than_tags_are_not() -> None:
    finding, answers = answered(scores(shuffled=4.0))
    arm = of(answers, "feats-shuffled less upos")
    assert arm.held is False and arm.estimate == pytest.approx(4.0, abs=1.0)
    assert finding is Finding.PIPELINE_INVALID


def test_the_slope_of_a_gain_is_estimated_and_nothing_is_required_of_it() -> None:
    _, answers = answered(scores(mnli=1 - 0.5 * BOUND))
    slope = of(answers, "gain of mnli, per bound morpheme", "tatoeba")
    assert slope.estimate == pytest.approx(-0.5, abs=0.1) and slope.held is None
    assert slope.p is not None and slope.p < 0.01
    other = of(answers, "gain of feats, per bound morpheme", "tatoeba")
    assert other.p is not None and other.p > 0.01


def test_the_gain_is_the_mean_over_languages_and_runs() -> None:
    _, answers = expected()
    gain = of(answers, "gain of feats", "tatoeba")
    assert gain.estimate == pytest.approx(3.0, abs=1.0)
    assert gain.low is not None and gain.low > 0


def test_what_was_not_run_is_named_and_leaves_the_finding_open() -> None:
    measured = scores()
    del measured.rows["feats-shuffled"]
    finding, answers = answered(measured)
    assert finding is Finding.NOT_RUN
    arm = of(answers, "feats-shuffled less upos")
    assert arm.held is None and arm.missing == "not run: row feats-shuffled"


def test_one_seed_cannot_tell_whether_two_arms_are_the_same() -> None:
    measured = scores()
    measured.rows = {row: points[:1] for row, points in measured.rows.items()}
    finding, answers = answered(measured)
    assert finding is Finding.NOT_RUN
    assert str(of(answers, "feats-shuffled less upos").missing).startswith("one seed moves all")


def test_arms_are_corrected_for_each_other_over_encoders() -> None:
    """A p-value that is small for one of two is none for one of twelve."""
    arm = Answer("4x96-1", "feats-shuffled less upos", "panx", Known.ZERO, 1.0, p=0.02)
    others = [replace(arm, encoder=str(number), p=0.9) for number in range(11)]
    assert [one.held for one in judge([arm])[1]] == [False]
    assert all(one.held for one in judge([arm, *others])[1])


def test_nothing_known_is_no_valid_pipeline() -> None:
    assert judge([])[0] is Finding.NOT_RUN
