"""Two runs side by side: only like with like, and everything that differs."""

from __future__ import annotations

import pytest

from stilts_artifact.errors import MissingDataError
from stilts_artifact.reporting.against import SideBySide, side_by_side
from stilts_artifact.reporting.page import render_page
from stilts_artifact.reporting.runs import Run
from tests.unit.reporting.synthetic import table1, table2, table3
from tests.unit.reporting.test_layout import signed_otherwise
from tests.unit.reporting.test_page import Page

ONE = ("mnli", "xnli")


@pytest.fixture(scope="module")
def here() -> Run:
    return Run(table2(), "table2.mini.json", "1" * 64)


def moved(run: Run, points: float) -> Run:
    """The same run with one mean and its languages moved, and another row not run."""
    cells = [
        cell.model_copy(update={"value": (cell.value or 0) - points})
        if (cell.row, cell.column) == ONE
        else cell.model_copy(update={"value": None} if cell.row == "qqp" else {})
        for cell in run.results.cells
    ]
    results = run.results.model_copy(update={"cells": cells})
    return Run(results, "table2.mini.json", "2" * 64)


def paired(here: Run, there: Run) -> SideBySide:
    [pair] = side_by_side([here], [there])
    return pair


@pytest.mark.slow
def test_what_differs_is_listed_and_the_rest_is_equal(here: Run) -> None:
    pair = paired(here, moved(here, 2.5))
    assert {(twin.key.row, twin.key.column) for twin in pair.largest} == {ONE}
    assert all(twin.difference == pytest.approx(2.5) for twin in pair.largest)
    lost = sum(cell.row == "qqp" for cell in here.results.cells)
    both = sum(cell.value is not None for cell in here.results.cells) - lost
    equal = both - len(pair.largest)
    assert pair.summary == f"{both:,} cells in both, {equal:,} of them equal; {lost} here alone"
    turned = paired(moved(here, 2.5), here)
    assert turned.summary.endswith(f"equal; {lost} in the other alone")


def test_what_was_measured_otherwise_has_no_difference(here: Run) -> None:
    other = signed_otherwise(here.results, "mnli", ("xnli",), "layer:7")
    pair = paired(here, Run(other, "table2.mini.json", "2" * 64))
    unlike = [twin for twin in pair.twins if twin.unlike]
    assert {(twin.key.row, twin.key.column) for twin in unlike} == {ONE}
    assert all(twin.difference is None for twin in unlike)
    assert pair.reasons == ("layer = None here, layer = 7 there",)
    assert f"{len(unlike)} of unlike things" in pair.summary


def test_other_seeds_and_versions_are_compared(here: Run) -> None:
    other = signed_otherwise(here.results, "mnli", ("xnli",), "seed:4")
    assert not paired(here, Run(other, "table2.mini.json", "2" * 64)).reasons
    cells = [
        one.model_copy(update={"signature": one.signature.replace("|v:0.1.0", "|v:0.2.0")})
        for one in here.results.cells
    ]
    assert cells != here.results.cells
    later = here.results.model_copy(update={"cells": cells})
    assert not paired(here, Run(later, "table2.mini.json", "2" * 64)).reasons


def test_what_lies_furthest_apart_stands_first(here: Run) -> None:
    cells = [
        one.model_copy(update={"value": one.value + number / 10})
        if one.value is not None and one.column == "xnli" and one.language is None
        else one
        for number, one in enumerate(here.results.cells)
    ]
    other = here.results.model_copy(update={"cells": cells})
    pair = paired(here, Run(other, "table2.mini.json", "2" * 64))
    apart = [abs(twin.difference or 0) for twin in pair.largest]
    assert len(apart) == 20 and apart == sorted(apart, reverse=True)
    every = [abs(twin.difference or 0) for twin in pair.twins]
    assert apart[0] == max(every)


def test_a_run_stands_beside_that_of_its_scale_or_the_only_one_there_is(here: Run) -> None:
    small = here.results.model_copy(update={"scale": "small"})
    base = here.results.model_copy(update={"scale": "base"})
    others = [Run(one, f"table2.{one.scale}.json", "2" * 64) for one in (small, base)]
    assert [one.there for one in side_by_side([here], [*others, here])] == [here]
    assert [one.there for one in side_by_side([here], others[:1])] == others[:1]
    with pytest.raises(MissingDataError):
        side_by_side([here], others)


def test_folders_without_a_common_experiment_are_refused(here: Run) -> None:
    with pytest.raises(MissingDataError, match="no experiment that both folders have"):
        side_by_side([here], [Run(table3(), "table3.mini.json", "3" * 64)])


@pytest.mark.slow
def test_the_page_has_both_numbers_and_what_lies_furthest_apart(here: Run) -> None:
    pairs = side_by_side([here], [moved(here, 2.5)])
    text = render_page([here], pairs=pairs)
    page = Page(text)
    assert page.faults == []
    assert pairs[0].summary in text
    mean = next(twin for twin in pairs[0].twins if twin.title == "MNLI, XNLI")
    assert f"{mean.here:.1f}<small>{mean.there:.1f} (+2.5)</small>" in text
    assert "MNLI, XNLI, qab" in text
    assert 'href="#against"' in text
    assert 'href="#against"' not in render_page([here])


def test_counts_are_compared_without_a_grid() -> None:
    first = Run(table1(), "table1.mini.json", "1" * 64)
    cells = [first.results.cells[0].model_copy(update={"value": 3601}), *first.results.cells[1:]]
    second = Run(first.results.model_copy(update={"cells": cells}), "table1.mini.json", "2" * 64)
    text = render_page([first], pairs=side_by_side([first], [second]))
    assert "MNLI, train, qen" in text
    assert Page(text).faults == []
