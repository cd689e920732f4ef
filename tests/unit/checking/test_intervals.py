"""Intervals of a table's cells and gains: of the table's own numbers, and paired."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stilts_artifact.checking.compare import compare_rows
from stilts_artifact.checking.intervals import SampledErrors, bootstrap_cells
from stilts_artifact.checking.recheck import recheck
from stilts_artifact.checking.results import load_results
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.errors import IntegrityError
from stilts_artifact.forms import form_of
from tests.unit.checking.small import ROWS, SmallSet

only_table2 = pytest.mark.parametrize("small", ["table2"], indirect=True)


def test_every_cell_has_an_interval_around_its_own_value(small: SmallSet) -> None:
    judged = recheck(small.results_file)
    found = bootstrap_cells(judged.results, judged.folder)
    values = {cell.key: cell.value for cell in judged.results.cells}
    assert found.scores.keys() == values.keys()
    for key, estimate in found.scores.items():
        assert estimate.value == pytest.approx(values[key], abs=1e-6)
        assert estimate.low <= estimate.value <= estimate.high
    first, second = ROWS[small.experiment]
    assert found.gains.keys() == {key for key in values if key.row == second}
    for key, gain in found.gains.items():
        base = values[CellKey(first, key.column, key.language)]
        assert gain.value == pytest.approx(values[key] - base, abs=1e-6)


@pytest.mark.slow
@only_table2
def test_a_gain_has_the_paired_interval_that_compare_gives(small: SmallSet) -> None:
    results = load_results(small.results_file)
    assert len(results.seeds) == 1  # with more, compare has the mean over them, a table the median
    gains = bootstrap_cells(results, small.run).gains
    compared = compare_rows(small.results_file, ("none", "mnli"), (), ("*",))
    errors = []
    for gain in compared.gains:
        own = gains[CellKey("mnli", gain.column, gain.language)]
        errors.append(own.standard_error / gain.difference.standard_error)
    assert np.mean(errors) == pytest.approx(1, abs=0.02)
    assert max(np.abs(np.array(errors) - 1)) < 0.15


@only_table2
def test_pairing_is_by_example(small: SmallSet) -> None:
    """A row that answers as the first one gains nothing, with certainty; unpaired it would vary."""
    for path in sorted((small.run / "predictions" / "none").rglob("*.*")):
        other = (
            small.run / "predictions" / "mnli" / path.relative_to(small.run / "predictions/none")
        )
        other.write_bytes(path.read_bytes())
    results = load_results(small.results_file)
    files = [
        record.model_copy(
            update={
                "bytes": path.stat().st_size,
                "sha256": next(
                    other.sha256
                    for other in results.files
                    if other.path == record.path.replace("/mnli/", "/none/")
                ),
            }
        )
        for record in results.files
        if (path := small.folder / record.path)
    ]
    found = bootstrap_cells(results.model_copy(update={"files": files}), small.run)
    assert {gain.standard_error for gain in found.gains.values()} == {0.0}
    assert min(score.standard_error for score in found.scores.values()) > 0


@only_table2
def test_a_row_of_other_languages_has_no_interval(small: SmallSet) -> None:
    results = load_results(small.results_file)
    lost = CellKey("mnli", "xnli", "qac")
    cells = [
        cell.model_copy(update={"value": None}) if cell.key == lost else cell
        for cell in results.cells
    ]
    found = bootstrap_cells(results.model_copy(update={"cells": cells}), small.run)
    assert CellKey("mnli", "xnli") not in found.scores
    assert CellKey("mnli", "average") not in found.scores
    assert CellKey("none", "xnli") in found.scores
    assert CellKey("mnli", "pawsx") in found.gains


def test_a_file_that_was_touched_is_refused(small: SmallSet) -> None:
    results = load_results(small.results_file)
    path = next(iter(sorted(small.run.rglob("udpos/*.tsv"))))
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(IntegrityError):
        bootstrap_cells(results, small.run)


def sampled(small: SmallSet) -> SampledErrors:
    results = load_results(small.results_file)
    return SampledErrors(results.defined, results.benchmark, results.seeds, small.run)


@pytest.mark.slow
def test_f1_and_exact_match_have_the_errors_of_their_cells(small: SmallSet) -> None:
    results = load_results(small.results_file)
    errors, due = sampled(small), bootstrap_cells(results, small.run).scores
    asked = {"udpos", "panx", "bucc2018"}
    asked |= {
        f"{task}{part}" for task in ("xquad", "mlqa", "tydiqa") for part in ("", "_f1", "_em")
    }
    for key, estimate in due.items():
        error = errors(key)
        if key.column in asked:
            # Each row draws by itself, and so other examples than all rows together.
            assert error == pytest.approx(estimate.standard_error, rel=0.2)
        else:
            assert error is None  # an accuracy or an average


@only_table2
def test_an_error_of_f1_is_that_of_its_linear_part(small: SmallSet) -> None:
    """The delta method: of ``F1 = 2 c / (p + g)`` the part of a sentence is its derivative.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 11.6: the
    infinitesimal jackknife is the limit of the bootstrap for smooth functions of means.
    """
    results = load_results(small.results_file)
    task = results.benchmark.tasks["udpos"]
    form, split = form_of(task), results.defined.scored_split(task)
    errors = sampled(small)
    by_language = []
    for language in task.languages_of(split):
        gold = form.file(small.run / "labels", task, language, split)
        predicted = form.file(small.run / "predictions/none/seed-0", task, language, split)
        correct, made, true = form.count(task, language, predicted, gold).counts.T
        whole = (made + true).sum()
        f1 = 2 * correct.sum() / whole
        parts = 100 * (2 * correct - f1 * (made + true)) / whole
        by_language.append(np.sqrt((parts**2).sum()))
        own = errors(CellKey("none", "udpos", language))
        assert own == pytest.approx(by_language[-1], rel=0.15)
    # The languages of POS have sentences of their own, so their errors are independent.
    mean = np.sqrt(np.square(by_language).sum()) / len(by_language)
    assert errors(CellKey("none", "udpos")) == pytest.approx(mean, rel=0.15)


@only_table2
def test_without_predictions_there_is_no_error(small: SmallSet) -> None:
    for path in sorted((small.run / "predictions/mnli").rglob("udpos/*.tsv"))[:1]:
        path.unlink()
    errors = sampled(small)
    assert errors(CellKey("mnli", "udpos")) is None
    assert errors(CellKey("none", "udpos")) is not None


@only_table2
def test_a_verdict_on_f1_takes_its_error(small: SmallSet, tmp_path: Path) -> None:
    expected = tmp_path / "expected.yaml"
    expected.write_text(
        "experiment: table2\nbenchmark: mini\ncitation: made up\n"
        "columns: {udpos: {tolerance: 1.0, basis: assumed, seed_sd: 0.0, reason: assumed}}\n"
        "sources: {a: made up}\nreasons: {assumed: made up}\n"
        "cells: [{row: none, column: udpos, value: 50.0, decimals: 1, n: 1, source: a}]\n"
    )
    judged = recheck(small.results_file, expected)
    [cell] = [cell for cell in judged.results.cells if cell.expected is not None]
    error = sampled(small)(cell.key)
    assert error is not None
    assert cell.limit == pytest.approx(1.05 + 1.959964 * error)
