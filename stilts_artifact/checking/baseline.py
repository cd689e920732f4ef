"""A run's values recorded as the baseline that later runs are held against (regression mode)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from stilts_artifact import __version__
from stilts_artifact.checking.expected import expected_path
from stilts_artifact.checking.foundation import unfounded
from stilts_artifact.checking.labels import Pins, dump_pins, labels_path, read_pins, rows_text
from stilts_artifact.checking.recompute import verify_scores
from stilts_artifact.checking.results import (
    CellRecord,
    Results,
    parse_results,
    predictions_folder,
)
from stilts_artifact.checking.sums import expected_root, refresh_sums
from stilts_artifact.config.schema import Scale
from stilts_artifact.documents import read_document
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.errors import ConfigError, DataError
from stilts_artifact.files import write_file
from stilts_artifact.forms import form_of
from stilts_artifact.forms.labels import evaluated_rows
from stilts_artifact.metrics.tables import Column, table_columns

LANGUAGE = 2.5
"""One language moves more than the mean over up to eight: this many times the tolerance."""
AVERAGE = 1.0
"""Tolerance of averages over tasks."""
UNTRAINED = 1.0
"""Of a mean where nothing was trained: rounding in one forward pass settles a near tie or two."""
DECIMALS = 4


def record_baseline(path: Path, scale: Scale) -> tuple[Path, int]:
    """Make the values of a results file the expected ones of its scale, and its labels the pinned.

    Returns:
        The file of expected cells that was written, and how many it has.

    Raises:
        ConfigError: a scale with evidence: what the paper's cells are held against comes from its
            text, never from a run. And as :func:`load_measured`.
        DataError, IntegrityError: as :func:`load_measured`.
    """
    if scale.evidence or not scale.expected:
        raise ConfigError(
            "only a regression scale can be recorded",
            got=scale.name,
            expected="mini",
            fix="expected values of the paper come from its text, never from a run",
        )
    measured = load_measured(path)
    written = [expected_path(scale.expected[0], measured.experiment)]
    write_file(written[0], baseline_yaml(measured, scale.benchmark))
    # Labels go with the cells: scores of other labels would be other scores.
    if measured.files:
        written.append(labels_path(scale.benchmark))
        write_file(written[1], recorded_labels(measured, read_pins(written[1])))
    refresh_sums(expected_root(), written)
    return written[0], len(measured.cells)


def load_measured(path: Path) -> Results:
    """A results file that is fit to be recorded: scores are what their own predictions give.

    Raises:
        DataError: a cell was not measured, or rests on sources that were not verified, so that
            there is nothing to hold later runs against.
        IntegrityError: a cell or a file is not what the predictions give or the file lists.
        ConfigError: the file is malformed, or a signature is of another cell.
    """
    data = read_document(path)
    results = parse_results(data, path)
    for cell in results.cells:
        if cell.value is None:
            raise DataError(
                "cell without a value",
                where=str(cell.key),
                got=cell.reason,
                fix="complete the run before it is recorded",
            )
    benchmark = results.benchmark
    # Its own labels are as good as recorded: this run may be the one that changes them.
    for key, fault in unfounded(results, benchmark, _own_labels(results)).items():
        raise DataError("a cell without verified inputs", where=f"{path}: {key}", got=fault.reason)
    if results.defined.is_counted:
        return results
    found = verify_scores(results, path, predictions_folder(path, data), benchmark)
    left_out = sorted(map(str, found.values.keys() - {cell.key for cell in results.cells}))
    if left_out:
        raise DataError(
            "cells that the results leave out", where=str(path), got=", ".join(left_out[:5])
        )
    return results


def baseline_yaml(results: Results, benchmark: str) -> bytes:
    """The measured cells as a file of expected cells: counts exactly, scores to some decimals.

    YAML in the form of JSON, one cell a line: four thousand cells are then read in no time.
    """
    columns: Mapping[str, Column] = {}
    if not results.defined.is_counted:
        loaded = results.benchmark
        columns = {column.name: column for column in table_columns(loaded, results.defined)}
    names = dict.fromkeys(cell.column for cell in results.cells)
    options = results.defined.command.removeprefix("reproduce ")
    command = f"stilts-artifact record {options} --scale {results.scale}"
    head = {
        "experiment": results.experiment,
        "benchmark": benchmark,
        "scale": results.scale,
        "citation": f"measured by stilts-artifact {__version__}",
        "columns": {
            name: {"tolerance": column_tolerance(columns[name]) if columns else 0} for name in names
        },
        "sources": {"recorded": f"{command}, stilts-artifact {__version__}"},
        "reasons": {},
    }
    comments = [
        f"# Recorded by `{command}`; a change here must be explained in the commit that makes it."
    ]
    comments += _environment(results)
    fields = [f" {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
    cells = ",\n".join(f"  {_flow(cell, columns, results)}" for cell in results.cells)
    return ("\n".join([*comments, "{", *fields, ' "cells": [', cells, " ]", "}"]) + "\n").encode()


def recorded_labels(results: Results, before: Pins) -> bytes:
    """The list of a benchmark's labels with the label files of a run; all others stay."""
    scale, found = results.run_scale, _own_labels(results)
    tasks = results.benchmark.tasks
    rows = {path: evaluated_rows(tasks[path.partition("/")[0]], scale) for path in found}
    return dump_pins(
        {**before, **{(rows_text(rows[path]), path): sha256 for path, sha256 in found.items()}}
    )


def _own_labels(results: Results) -> dict[str, str]:
    """Hashes of the label files that a run brings, by their names below its folder of labels."""
    prefix = f"{results.run_name}/labels/"
    return {
        record.path.removeprefix(prefix): record.sha256
        for record in results.files
        if record.path.startswith(prefix)
    }


def column_tolerance(column: Column) -> float:
    """Tolerance of a column's mean over languages, in points.

    Example:
        >>> from stilts_artifact.benchmark import load_benchmark
        >>> from stilts_artifact.benchmark.experiments import EXPERIMENTS
        >>> made = table_columns(load_benchmark("mini"), EXPERIMENTS["table2"])
        >>> [column_tolerance(column) for column in made][-3:]
        [3.0, 2.0, 1.0]
    """
    return AVERAGE if column.is_average else form_of(column.tasks[0]).regression_tolerance


def cell_tolerance(key: CellKey, column: Column) -> float:
    """Tolerance of one cell: less where nothing was trained, more for a single language."""
    tolerance = UNTRAINED if column.is_untrained(key.row) else column_tolerance(column)
    return LANGUAGE * tolerance if key.language else tolerance


def _environment(results: Results) -> list[str]:
    """What scores were made with, as comments; counts depend on none of it."""
    if results.defined.is_counted:
        return []
    return [f"# environment: {name} {version}" for name, version in results.environment.items()]


def _flow(cell: CellRecord, columns: Mapping[str, Column], results: Results) -> str:
    """A cell as one line.

    Example:
    ``{"row": "mnli", "column": "train", "language": "qen", "value": 6000, "decimals": 0, ...}``
    """
    key = cell.key
    line: dict[str, object] = {"row": key.row, "column": key.column}
    if key.language:
        line["language"] = key.language
    if results.defined.is_counted:
        line |= {"value": cell.value, "decimals": 0}
    else:
        # Rounded, so that the file does not change with the last bits of the arithmetic.
        line |= {
            "value": round(float(cell.value or 0), DECIMALS),
            "decimals": DECIMALS,
            "n": len(results.seeds),
            "tolerance": cell_tolerance(key, columns[key.column]),
        }
    return json.dumps(
        line | {"signature": cell.signature, "source": "recorded"}, ensure_ascii=False
    )
