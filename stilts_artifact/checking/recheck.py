"""Judging a results file again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stilts_artifact.benchmark import world
from stilts_artifact.checking.expected import ExpectedTable, expected_path, load_expected
from stilts_artifact.checking.judge import judge_table, table_verdict
from stilts_artifact.checking.results import (
    Disagreement,
    InputRecord,
    Results,
    cell_records,
    disagreements,
    load_results,
)
from stilts_artifact.domain.tasks import World
from stilts_artifact.errors import ConfigError, IntegrityError
from stilts_artifact.scales import load_scale


@dataclass(frozen=True, slots=True)
class Recheck:
    """A results file with its verdicts as judged now, and the cells where the file said otherwise."""

    path: Path
    results: Results
    disagreements: list[Disagreement]

    def summary(self) -> dict[str, Any]:
        """The verdicts as JSON values."""
        return {
            "file": str(self.path),
            "table": self.results.table,
            "scale": self.results.scale,
            "verdict": self.results.verdict,
            "cells": dict(sorted(Counter(cell.verdict for cell in self.results.cells).items())),
            "disagreements": [{"cell": str(found.key), "file": found.stored, "judged": found.judged}
                              for found in self.disagreements],
        }  # fmt: skip


def recheck(path: Path, expected_file: Path | None = None) -> Recheck:
    """Judge the cells of a results file against today's expected values.

    Args:
        path: the results file.
        expected_file: expected cells; by default those of the file's scale.

    Raises:
        DataError, ConfigError: either file is malformed, or they are of different tables or worlds.
        IntegrityError: the results rest on a file that is not the pinned one.
    """
    stored = load_results(path)
    scale = load_scale(stored.scale)
    expected = load_expected(expected_file or expected_path(scale.expected, stored.table))
    _refuse_other_world(stored, scale.world, expected, path)
    for used in stored.inputs:
        _check_pin(used, world(scale.world), path)
    judged = judge_table((cell.measurement() for cell in stored.cells), expected)
    results = stored.model_copy(update={"cells": cell_records(judged), "verdict": table_verdict(judged)})
    return Recheck(path, results, disagreements(stored.cells, judged))


def _refuse_other_world(results: Results, name: str, expected: ExpectedTable, path: Path) -> None:
    """Numbers from the mini world and numbers from the paper must never meet."""
    if (expected.table, expected.world) != (results.table, name):
        raise ConfigError(
            f"a {results.scale} result cannot be held against these expected values",
            where=str(path),
            got=f"table {results.table} of world {name}",
            expected=f"table {expected.table} of world {expected.world}",
            fix="leave --expected out, or name the file of the same table and world",
        )


def _check_pin(used: InputRecord, benchmark: World, path: Path) -> None:
    name, _, inside = used.source.partition("!")
    source = benchmark.sources.get(name)
    if source is None:
        raise ConfigError("unknown input", where=str(path), got=used.source, expected="a source of the benchmark")
    pin = {member.path: member.sha256 for member in source.members}.get(inside) if inside else source.sha256
    unpinned = source.sha256 is None
    if used.sha256 != pin and not unpinned:
        raise IntegrityError(
            "the results rest on a file that is not the pinned one",
            where=f"{path}: {used.source}",
            got=used.sha256,
            expected=pin,
            fix=f"stilts-artifact reproduce --table 1 --results {path.parent}",
        )
