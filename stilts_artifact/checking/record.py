"""Expected values recorded from a run, so that later runs are held against it (regression mode)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from stilts_artifact import __version__
from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.checking.recompute import difference, recompute
from stilts_artifact.checking.results import CellRecord, Results, load_results
from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import ConfigError, DataError, IntegrityError
from stilts_artifact.metrics.tables import Column, table_columns

# On one machine a run is repeated bit by bit. On another the last bits of the arithmetic differ,
# training takes a slightly different course, and some test items fall the other way. So much may a
# mean over languages move, in points. With torch's own kernels at half the width
# (benchmarks/arithmetic.py; matrix products as they were) no mean of Table 2 moved by more than
# 0.31, no language by more than 1.7. The bands leave room for products that differ too, and for
# processors that were not tried. Bitext mining has the fewest items.
BANDS: Mapping[TaskForm, float] = {
    TaskForm.PAIR: 2.0,
    TaskForm.TAGGING: 1.5,
    TaskForm.SPAN: 2.0,
    TaskForm.MINING: 3.0,
    TaskForm.SEARCH: 2.0,
}
LANGUAGE = 2.5
"""One language moves more than the mean over up to eight of them: this many times the band."""
AVERAGE = 1.0
"""Band of averages over tasks."""
UNTRAINED = 1.0
"""Band of a mean where nothing was trained: rounding within one forward pass settles a near tie or two."""
DECIMALS = 4


def load_measured(path: Path) -> Results:
    """A results file that is fit to be recorded: scores are what their own predictions give.

    Raises:
        DataError: a cell was not measured, so that there is nothing to hold later runs against.
        IntegrityError: a cell or a file is not what the predictions give or the file lists.
        ConfigError: the file is malformed, or a signature is of another cell.
    """
    results = load_results(path)
    for cell in results.cells:
        if cell.value is None:
            raise DataError(
                "cell without a value",
                where=str(cell.key),
                got=cell.reason,
                fix="complete the run before it is recorded",
            )
    if results.defined.is_counted:
        return results
    found = recompute(results, path.parent, load_benchmark(load_scale(results.scale).benchmark), {})
    for cell in results.cells:
        altered = difference(cell, found.values[cell.key])
        if altered is not None:
            raise IntegrityError(
                "a cell that its predictions do not give", where=f"{path}: {cell.key}", got=altered
            )
        if cell.key in found.misfits:
            raise ConfigError(
                "a cell with a wrong signature",
                where=f"{path}: {cell.key}",
                got=found.misfits[cell.key],
            )
    left_out = sorted(map(str, found.values.keys() - {cell.key for cell in results.cells}))
    if left_out:
        raise DataError(
            "cells that the results leave out", where=str(path), got=", ".join(left_out[:5])
        )
    return results


def recorded_yaml(results: Results, world_name: str) -> bytes:
    """The measured cells as a file of expected cells: counts exactly, scores to :data:`DECIMALS` decimals.

    YAML in the form of JSON, one cell a line: four thousand cells are then read in no time.
    """
    columns: Mapping[str, Column] = {}
    if not results.defined.is_counted:
        benchmark = load_benchmark(load_scale(results.scale).benchmark)
        columns = {column.name: column for column in table_columns(benchmark, results.defined)}
    names = dict.fromkeys(cell.column for cell in results.cells)
    command = f"stilts-artifact record {results.defined.command} --scale {results.scale}"
    head = {
        "experiment": results.experiment,
        "benchmark": world_name,
        "scale": results.scale,
        "citation": f"measured by stilts-artifact {__version__}",
        "columns": {
            name: {"tolerance": column_band(columns[name]) if columns else 0} for name in names
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


def column_band(column: Column) -> float:
    """Band of a column's mean over languages, in points.

    Example:
        >>> from stilts_artifact.benchmark.experiments import EXPERIMENTS
        >>> made = table_columns(load_benchmark("mini"), EXPERIMENTS["table2"])
        >>> [column_band(column) for column in made][-3:]
        [3.0, 2.0, 1.0]
    """
    return AVERAGE if column.is_average else BANDS[column.tasks[0].form]


def cell_band(key: CellKey, column: Column) -> float:
    """Band of one cell: narrower where nothing was trained, wider for a single language."""
    band = UNTRAINED if column.is_untrained(key.row) else column_band(column)
    return LANGUAGE * band if key.language else band


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
        line |= {
            "value": round(float(cell.value or 0), DECIMALS),
            "decimals": DECIMALS,
            "n": len(results.seeds),
            "tolerance": cell_band(key, columns[key.column]),
        }
    return json.dumps(
        line | {"signature": cell.signature, "source": "recorded"}, ensure_ascii=False
    )
