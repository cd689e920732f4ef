"""A study on the page and in Markdown: question, premise, findings; what the protocol says."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from stilts_artifact.domain.cells import Finding
from stilts_artifact.reporting import findings
from stilts_artifact.reporting.markdown import render_markdown
from stilts_artifact.reporting.page import render_page, signs
from stilts_artifact.reporting.runs import Run
from stilts_artifact.studies.record import StudyRecord
from tests.unit.reporting import studies
from tests.unit.reporting.synthetic import HOSTILE, table1
from tests.unit.reporting.test_page import Page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("study-000")
    studies.write_tables(made, "000")
    return made


def run(folder: Path, scale: str = "paper", record: StudyRecord | None = None) -> Run:
    found = studies.results("000", scale, record)
    return Run(found, f"study-000.{scale}.json", "1" * 64, folder=folder)


def words(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text).replace("&#39;", "'"))


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    table = Run(table1(), "table1.mini.json", "2" * 64)
    return render_page([table, run(folder)])


@pytest.mark.slow
def test_the_page_is_well_formed_and_refers_to_nothing_outside(text: str) -> None:
    page = Page(text)
    assert page.faults == []
    assert page.open == []
    identifiers = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    references = [
        value or ""
        for _, attributes in page.found
        for key, value in attributes.items()
        if key in ("src", "href", "xlink:href")
    ]
    assert all(value.startswith(("#", "data:,")) for value in references)
    assert "url(" not in text


@pytest.mark.slow
def test_headings_are_in_order_and_every_figure_and_table_has_its_text(text: str) -> None:
    page = Page(text)
    levels = [int(name[1]) for name, _ in page.found if re.fullmatch(r"h\d", name)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    drawn = [svg for svg in page.of("svg") if svg.get("role") == "img"]
    assert len(page.of("desc")) == len(drawn) > 8
    assert all(svg["aria-labelledby"] for svg in drawn)
    assert len(page.of("table")) == len(page.of("caption"))


def test_the_question_comes_first_then_the_premise_then_the_findings(text: str) -> None:
    section = words(text[text.index('<section id="table-2"') :])
    parts = ("Question.", "Premise.", "Findings", "Fits", "Power", "Figures", "Languages left out")
    places = [section.index(part) for part in parts]
    assert places == sorted(places)
    assert studies.protocol("000").question in section
    assert "Premise not met Premise. English intermediate-task training" in section
    assert "mean −0.91 [−1.62, −0.20]; the interval is below 0." in section
    assert "−0.12 [−0.71, +0.48]" in section
    assert "zh no spaces between words" in section


@pytest.mark.slow
def test_what_the_protocol_says_is_never_taken_from_the_file(tmp_path: Path) -> None:
    record = studies.record("000")
    other = [
        one.model_copy(update={"statement": HOSTILE, "delta": 7654.0}) for one in record.hypotheses
    ]
    premise = record.premise.model_copy(update={"statement": HOSTILE})
    update = {"hypotheses": other, "premise": premise}
    forged = run(tmp_path, record=record.model_copy(update=update))
    for shown in (words(render_page([forged])), render_markdown([forged])):
        assert "the more complex a language's morphology" in shown
        assert "alert(" not in shown
        assert "7654" not in shown


@pytest.mark.slow
def test_at_mini_scale_only_the_pipeline_is_judged(folder: Path) -> None:
    mini = run(folder, "mini", studies.mini_record("000"))
    page = render_page([mini])
    section = words(page[page.index('<section id="table-1"') :])
    assert "PIPELINE VALID." in section
    assert section.count(findings.NO_EVIDENCE) == 2
    assert "Not evaluated" in section
    assert not re.search(r"−0\.12|−0\.91|Fits|Power", section.partition("Figures")[0])
    assert "a planted slope of -0.8 points ✓ found −0.80 −0.84 0.40 0.20 100" in section
    markdown = render_markdown([mini])
    assert "-0.12" not in markdown
    assert "**PREMISE NOT EVALUATED.**" in markdown
    assert "**PIPELINE VALID.**" in markdown


@pytest.mark.slow
def test_an_altered_protocol_has_a_banner(tmp_path: Path, text: str) -> None:
    altered = run(tmp_path, record=studies.record("000").model_copy(update={"altered": True}))
    for shown in (words(render_page([altered])), render_markdown([altered])):
        assert findings.ALTERED in shown
        assert "ab" * 32 in shown
    assert "ltered protocol" not in text


@pytest.mark.slow
def test_a_figure_that_lacks_its_data_is_left_out_with_a_sentence(tmp_path: Path) -> None:
    shown = words(render_page([run(tmp_path)]))
    assert "Gain in every language, by family: not drawn, for no language has it." in shown


def test_the_summary_says_premise_and_findings_and_no_verdict_on_cells(text: str) -> None:
    card = words(
        text[text.index("<h3>Study 000") : text.index("</main>")].partition("</ul>\n</li>")[0]
    )
    assert "Not supported" in card
    assert "Premise: English intermediate-task training" in card
    assert "H1 not supported H2 inconclusive" in " ".join(card.split())
    assert "not checkable" not in card
    assert "median of 5 seeds" in card


@pytest.mark.slow
def test_hostile_texts_of_a_record_are_text(folder: Path) -> None:
    record = studies.record("000")
    hypothesis = record.hypotheses[0].model_copy(
        update={"reason": HOSTILE, "without": {HOSTILE: 0.1}}
    )
    premise = record.premise.model_copy(update={"reason": HOSTILE, "statement": HOSTILE})
    record = record.model_copy(
        update={
            "hypotheses": [hypothesis],
            "premise": premise,
            "notes": [HOSTILE],
            "excluded": {HOSTILE: HOSTILE},
        }
    )
    page = Page(render_page([run(folder, record=record)]))
    assert page.faults == []
    assert not page.of("script")


@pytest.mark.slow
def test_the_same_study_gives_the_same_page(folder: Path, text: str) -> None:
    table = Run(table1(), "table1.mini.json", "2" * 64)
    assert render_page([table, run(folder)]) == text


def test_only_a_minus_becomes_one() -> None:
    assert signs("F1-score -0.3, zero-shot 5-7") == "F1-score −0.3, zero-shot 5-7"


@pytest.mark.slow
@pytest.mark.parametrize("finding", list(Finding))
def test_every_finding_can_be_shown(tmp_path: Path, finding: Finding) -> None:
    shown = render_page([run(tmp_path, record=studies.record("000", [finding]))])
    assert f'class="chip {finding.name}"' in shown


@pytest.mark.slow
def test_arms_of_one_measure_in_one_group_are_drawn_once(tmp_path: Path) -> None:
    studies.write_tables(tmp_path, "001")
    shown = render_page(
        [Run(studies.results("001"), "study-001.paper.json", "5" * 64, folder=tmp_path)]
    )
    assert [
        shown.count(f"{task}: every arm over XLM-R, by group of languages</")
        for task in ("POS", "NER")
    ] == [1, 1]
