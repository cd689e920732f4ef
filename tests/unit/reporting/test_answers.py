"""What a report says first: whether the machinery works, and whether the paper was tested."""

from __future__ import annotations

import pytest

from stilts_artifact.checking.results import Results
from stilts_artifact.config.load import as_own, definition, load_scale
from stilts_artifact.domain.cells import Finding, Verdict
from stilts_artifact.reporting.answers import answers
from tests.unit.reporting import studies
from tests.unit.reporting.synthetic import calibration, table1, table2


def judged(results: Results, verdict: Verdict, **update: object) -> Results:
    """The results with one verdict on every cell."""
    cells = [cell.model_copy(update={"verdict": verdict}) for cell in results.cells]
    return results.model_copy(update={"cells": cells, "verdict": verdict, **update})


def shorts(*runs: Results) -> tuple[str, str]:
    machinery, paper = answers(runs)
    return machinery.short, paper.short


@pytest.mark.slow
def test_invented_languages_show_the_machinery_and_never_the_paper() -> None:
    assert shorts(judged(table1(), Verdict.REPRODUCED)) == ("Yes.", "No.")
    assert shorts(judged(table2(), Verdict.REPRODUCED)) == ("Yes.", "No.")
    one_wrong = judged(table1(), Verdict.REPRODUCED)
    cells = [
        *one_wrong.cells[1:],
        one_wrong.cells[0].model_copy(update={"verdict": "NOT_REPRODUCED"}),
    ]
    machinery, _ = answers([one_wrong.model_copy(update={"cells": cells})])
    assert machinery.short == "No."
    assert machinery.text == "4 of 5 cells agree with an earlier run."


def test_what_was_not_run_is_not_vouched_for() -> None:
    results = judged(table1(), Verdict.REPRODUCED)
    absent = [one.model_copy(update={"verdict": Verdict.NOT_RUN}) for one in results.cells[:2]]
    machinery, _ = answers([results.model_copy(update={"cells": [*absent, *results.cells[2:]]})])
    assert machinery.short == "Yes, as far as it was run."
    assert "2 cells could not be run." in machinery.text
    assert shorts(judged(table1(), Verdict.NOT_RUN))[0] == "Not shown."
    assert shorts(judged(table1(), Verdict.INCONCLUSIVE))[0] == "Not shown."


def test_cells_nobody_asked_for_are_counted_apart() -> None:
    results = judged(table2(), Verdict.REPRODUCED)
    cells = [
        cell if cell.row == "none" else cell.model_copy(update={"verdict": Verdict.NOT_RUN})
        for cell in results.cells
    ]
    machinery, _ = answers([results.model_copy(update={"cells": cells, "asked": [["none"]]})])
    first = sum(cell.row == "none" for cell in cells)
    assert machinery.short == "Yes, as far as it was run."
    assert machinery.text.startswith(f"{first} of {first} cells agree")
    assert f"{len(cells) - first:,} cells were not asked for." in machinery.text


@pytest.mark.parametrize(
    ("finding", "short"), [(Finding.PIPELINE_VALID, "Yes."), (Finding.PIPELINE_INVALID, "No.")]
)
def test_an_invalid_pipeline_is_no_working_machinery(finding: Finding, short: str) -> None:
    study = studies.results("000").model_copy(update={"scale": "mini", "verdict": finding})
    assert shorts(study) == (short, "No.")


@pytest.mark.slow
def test_what_was_not_decided_is_counted_and_vouched_for_by_nothing_else() -> None:
    results = judged(table1(), Verdict.REPRODUCED)
    unsure = results.cells[0].model_copy(update={"verdict": Verdict.INCONCLUSIVE})
    machinery, _ = answers([results.model_copy(update={"cells": [unsure, *results.cells[1:]]})])
    assert machinery.short == "Yes, as far as it was run."
    assert machinery.text == "4 of 5 cells agree with an earlier run."
    valid = studies.results("000").model_copy(
        update={"scale": "mini", "verdict": Finding.PIPELINE_VALID}
    )
    assert shorts(judged(table1(), Verdict.INCONCLUSIVE), valid)[0] == "Not shown."


def test_machinery_that_fails_on_real_languages_does_not_work() -> None:
    failed = judged(calibration(), Verdict.NOT_REPRODUCED, scale="paper")
    assert shorts(judged(table1(), Verdict.REPRODUCED), failed)[0] == "No."


def test_a_study_that_was_not_run_shows_nothing() -> None:
    valid = studies.results("000").model_copy(
        update={"scale": "mini", "verdict": Finding.PIPELINE_VALID}
    )
    unrun = valid.model_copy(update={"verdict": Finding.NOT_RUN})
    assert shorts(unrun) == ("Not shown.", "No.")
    assert shorts(valid, unrun) == ("Yes, as far as it was run.", "No.")
    assert shorts(judged(table1(), Verdict.REPRODUCED), unrun)[0] == "Yes, as far as it was run."


def test_on_real_languages_the_calibration_shows_the_machinery() -> None:
    paper = judged(table2(), Verdict.NOT_CHECKABLE, scale="paper", claims=[])
    assert shorts(paper) == ("Not shown.", "Not yet.")
    for verdict, short in (
        (Verdict.REPRODUCED, "Yes."),
        (Verdict.NOT_REPRODUCED, "No."),
        (Verdict.INCONCLUSIVE, "Not shown."),
    ):
        # What the encoder's authors published is no number of the paper.
        assert shorts(judged(calibration(), verdict, scale="paper"), paper) == (short, "Not yet.")


@pytest.mark.slow
def test_the_paper_is_tested_by_its_numbers_at_its_scale() -> None:
    _, answer = answers([table2().model_copy(update={"scale": "paper"})])
    assert answer.short == "Yes."
    assert "12 cells compared with published values: 10 reproduced, 1 not reproduced" in answer.text
    assert "Claims: 1 reproduced, 1 not reproduced, 1 inconclusive, 1 not run" in answer.text
    _, smaller = answers([table2().model_copy(update={"scale": "small"})])
    assert smaller.short == "In part."
    assert "evidence on directions" in smaller.text


@pytest.mark.slow
def test_claims_alone_test_the_paper_and_cells_without_a_published_value_do_not() -> None:
    cells = [
        one.model_copy(update={"expected": None, "verdict": Verdict.NOT_REPRODUCED})
        for one in table2().cells
    ]
    claimed = table2().model_copy(update={"scale": "paper", "cells": cells})
    assert shorts(claimed)[1] == "Yes."
    assert shorts(claimed.model_copy(update={"claims": []}))[1] == "Not yet."


@pytest.mark.slow
def test_the_scale_of_a_study_is_not_that_of_the_papers_tables() -> None:
    paper = table2().model_copy(update={"scale": "paper"})
    assert shorts(paper, studies.results("000", "small"))[1] == "Yes."


def test_own_choices_test_no_paper() -> None:
    own = as_own(load_scale("small").model_copy(update={"name": "mine"}), "mine.yaml")
    update = {"scale": "mine", "stamp": own.stamp, "definition": definition(own)}
    _, answer = answers([table1().model_copy(update=update)])
    assert answer.short == "No."
    assert "Not all of it is the paper's encoder" in answer.text
    _, beside = answers([table1(), table1().model_copy(update=update)])
    assert beside.text == answer.text
    _, mixed = answers(
        [table1().model_copy(update=update), table2().model_copy(update={"scale": "paper"})]
    )
    assert mixed.short == "Yes."
    assert "no evidence about it" in mixed.text
