"""What a study found, in words: the line that STUDIES asks for, and no number at mini scale."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from stilts_artifact.domain.cells import Finding, Premise
from stilts_artifact.reporting import findings
from stilts_artifact.reporting.console import make_console, show_study, show_table
from stilts_artifact.reporting.page import VERDICT_WORDS
from stilts_artifact.studies.record import PowerRecord, StudyRecord
from tests.unit.reporting import studies


def shown(record: StudyRecord, scale: str = "paper") -> list[str]:
    stream = io.StringIO()
    show_study(record, scale, make_console(stream))
    return stream.getvalue().splitlines()


def test_the_premise_comes_first_and_each_hypothesis_is_one_line() -> None:
    premise, first, second, *_ = shown(studies.record("000"))
    assert premise == (
        "PREMISE NOT MET. English intermediate-task training improves zero-shot NER on average: "
        "mean -0.91 [-1.62, -0.20]; the interval is below 0."
    )
    assert re.fullmatch(
        r"000 H1 NOT SUPPORTED \(paper\)\. The more complex a language's morphology, the smaller "
        r"the gain, at equal pre-training data: -0\.12 points \[-0\.71, \+0\.48\] \(33 languages, "
        r"18 genera, 5 seeds\); an effect of 1 or more is excluded \(p = 0\.003\)\. Power for 1 "
        r"with these variances: 0\.93\. Without one group of languages -0\.\d\d to [-+]0\.\d\d, "
        r"54 % of 336 specifications have its sign\.",
        first,
    )
    assert second.startswith("000 H2 INCONCLUSIVE (paper). ")


@pytest.mark.parametrize(
    ("supported", "said"),
    [
        ((0.0, 0.02, 0.6), "Power for 1 with these variances: 0.60."),
        ((0.6, 0.02, 0.0), "Power for 1 with these variances: 0.60."),
        # Of equivalence: where there is a difference, it is not supported.
        ((0.05, 0.8, 0.04), "Power for no difference with these variances: 0.80."),
    ],
)
def test_the_power_is_that_of_what_is_claimed(
    supported: tuple[float, float, float], said: str
) -> None:
    powers = [
        PowerRecord(true=size, supported=share, not_supported=0.0, inconclusive=1 - share)
        for size, share in zip((-1.0, 0.0, 1.0), supported, strict=True)
    ]
    hypothesis = studies.record("000").hypotheses[0].model_copy(update={"power": powers})
    assert said in findings.hypothesis_sentence(hypothesis)


def test_at_mini_scale_no_number_about_the_question_is_shown() -> None:
    lines = shown(studies.mini_record("000"), "mini")
    assert lines[0] == (
        "PREMISE NOT EVALUATED. English intermediate-task training improves zero-shot NER on "
        "average."
    )
    hypotheses = [line for line in lines if line.startswith("000 H")]
    assert all("NOT EVALUATED (mini)" in line for line in hypotheses)
    assert not re.search(r"\[|Power|points|specifications", "".join(lines[:3]))
    assert lines[3] == f"000 PIPELINE VALID (mini). {findings.NO_EVIDENCE}"
    assert "recovered -0.84 in the mean of 100 (standard deviation 0.40), found" in lines[4]


def test_what_was_not_found_again_is_said() -> None:
    record = studies.mini_record("000")
    failed = record.validations[0].model_copy(update={"passed": False})
    record = record.model_copy(
        update={"finding": Finding.PIPELINE_INVALID, "validations": [failed]}
    )
    text = "\n".join(shown(record, "mini"))
    assert "000 PIPELINE INVALID (mini)" in text
    assert "NOT found within 0.20" in text


def test_an_altered_protocol_is_said_before_anything_else() -> None:
    first = shown(studies.record("000").model_copy(update={"altered": True}))[0]
    assert first.startswith("ALTERED PROTOCOL. ")
    assert "ab" * 32 in first


def test_languages_left_out_are_named_by_reason() -> None:
    excluded = {"zh": "no spaces", "ja": "no spaces", "yo": "not in CC-100"}
    lines = shown(studies.record("000").model_copy(update={"excluded": excluded}))
    assert "Left out. zh, ja: no spaces." in lines
    assert "Left out. yo: not in CC-100." in lines


@pytest.mark.parametrize("width", [80, 200])
def test_a_terminal_gets_lines_of_its_width_and_colour(width: int) -> None:
    for colour in (True, False):
        stream = io.StringIO()
        console = Console(
            file=stream, width=width, force_terminal=True, no_color=not colour, markup=False,
            highlight=False,
        )  # fmt: off
        show_study(studies.record("001"), "paper", console)
        text = stream.getvalue()
        plain = re.sub(r"\x1b\[[\d;]*m", "", text)
        assert max(map(len, plain.splitlines())) <= width
        assert ("\x1b[33m" in text) is colour
        assert " ".join(plain.split()).startswith("PREMISE NOT MET. Training on annotated English")


def test_results_of_a_study_are_shown_as_one() -> None:
    stream = io.StringIO()
    show_table(studies.results("000"), make_console(stream))
    assert stream.getvalue().startswith("PREMISE NOT MET. ")


def test_one_seed_and_missing_parts_are_words_too() -> None:
    hypothesis = studies.record("000").hypotheses[0]
    fit = hypothesis.fits[0].model_copy(update={"seeds": 1, "genera": None})
    assert findings.fit_sentence(fit).endswith("(33 languages, 1 seed)")
    bare = hypothesis.model_copy(
        update={"fits": [], "power": [], "without": {}, "same_sign": None, "reason": "no runs"}
    )
    statement = "The more complex a language's morphology, the smaller the gain, at equal"
    assert findings.hypothesis_sentence(bare) == f"{statement} pre-training data: no runs."


def test_every_finding_has_a_sign_and_words_of_its_own() -> None:
    assert {*Finding, *Premise} <= set(VERDICT_WORDS)
