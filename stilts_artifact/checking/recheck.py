"""Judging a results file again, from the files that its numbers were computed from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.checking.claims import claims_path, decisive, judge_claims, load_claims
from stilts_artifact.checking.expected import ExpectedTable, expected_path, load_expected
from stilts_artifact.checking.judge import joint_verdict, judge_table
from stilts_artifact.checking.labels import load_labels
from stilts_artifact.checking.recompute import Recomputation, difference, recompute
from stilts_artifact.checking.results import (
    ClaimRecord,
    Disagreement,
    InputRecord,
    Results,
    cell_records,
    disagreements,
    load_results,
)
from stilts_artifact.checking.sums import expected_root, read_sums
from stilts_artifact.config.load import load_scale
from stilts_artifact.config.schema import Scale
from stilts_artifact.domain.cells import CellKey, Judgement, Measurement, Verdict
from stilts_artifact.domain.tasks import Benchmark
from stilts_artifact.errors import ConfigError, IntegrityError


@dataclass(frozen=True, slots=True)
class Recheck:
    """A results file with its verdicts as judged now, and the cells where the file said otherwise.

    Args:
        results: with every value as its predictions give it.
        notes: what could not be verified.
    """

    path: Path
    results: Results
    disagreements: list[Disagreement]
    notes: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """The verdicts as JSON values."""
        return {
            "file": str(self.path),
            "table": self.results.table,
            "scale": self.results.scale,
            "verdict": self.results.verdict,
            "cells": dict(sorted(Counter(cell.verdict for cell in self.results.cells).items())),
            "claims": {claim.claim: claim.verdict for claim in self.results.claims},
            "disagreements": [
                {
                    "cell": str(found.key),
                    "file": found.stored,
                    "judged": found.judged,
                    "reason": found.reason,
                }
                for found in self.disagreements
            ],
            "notes": list(self.notes),
        }


def recheck(path: Path, expected_file: Path | None = None) -> Recheck:
    """Judge the cells of a results file against today's expected values.

    Table 1 is counted from pinned inputs, whose hashes are compared; Tables 2 and 3 are computed
    again from the predictions and labels in the folder ``table{N}.{scale}`` beside the file.

    Args:
        path: the results file.
        expected_file: expected cells; by default those of the file's scale.

    Raises:
        DataError, ConfigError: either file is malformed, or they are of different tables or worlds.
        IntegrityError: the results rest on a file that is not the pinned one, or is missing,
            altered or surplus.
    """
    stored = load_results(path)
    scale = load_scale(stored.scale)
    expected = load_expected(expected_file) if expected_file else expected_of(scale, stored.table)
    benchmark = load_benchmark(scale.benchmark)
    _refuse_other_world(stored, scale.benchmark, expected, path)
    for used in stored.inputs:
        _check_pin(used, benchmark, path)
    notes: tuple[str, ...] = ()
    if stored.table == 1:
        judged = judge_table((cell.measurement() for cell in stored.cells), expected)
    else:
        found = recompute(stored, path.parent, benchmark, load_labels(scale.expected))
        judged, notes = judge_recomputed(stored, found, expected), found.notes
    results = _with_verdicts(stored, judged)
    return Recheck(path, results, disagreements(stored, results), notes)


def expected_of(scale: Scale, table: int) -> ExpectedTable:
    """What a scale is compared with: nothing, before anything was recorded.

    Raises:
        DataError: the file is gone although its sum is recorded.
    """
    path = expected_path(scale.expected, table)
    if path.is_file() or path.relative_to(expected_root()).as_posix() in read_sums(expected_root()):
        return load_expected(path)
    return ExpectedTable(table, scale.benchmark, "nothing is recorded yet", {}, {})


def _with_verdicts(stored: Results, judged: list[Judgement]) -> Results:
    """The results with their cells as judged, their claims judged on these, and the verdict on both."""
    results = stored.model_copy(update={"cells": cell_records(judged)})
    claims = (
        []
        if stored.table == 1
        else judge_claims([results], load_claims(claims_path()).of_table(stored.table))
    )
    verdict = joint_verdict((cell.verdict for cell in judged), decisive(claims, stored.scale))
    return results.model_copy(update={"claims": claims, "verdict": verdict})


def judge_all_claims(rechecks: Sequence[Recheck]) -> dict[str, list[ClaimRecord]]:
    """Scale -> every claim, as judged with its table; those of a table that is not there are NOT_RUN."""
    claims = load_claims(claims_path())
    by_scale: defaultdict[str, dict[int, list[ClaimRecord]]] = defaultdict(dict)
    for found in rechecks:
        if found.results.table > 1:
            by_scale[found.results.scale][found.results.table] = found.results.claims
    missing = {
        table: judge_claims([], claims.of_table(table))
        for table in {claim.table for claim in claims.claims}
    }
    return {
        scale: [record for table in sorted(missing) for record in (missing | tables)[table]]
        for scale, tables in by_scale.items()
    }


def judge_recomputed(
    stored: Results, found: Recomputation, expected: ExpectedTable
) -> list[Judgement]:
    """Judge what the predictions give; a cell of which the file says something else is NOT_REPRODUCED.

    Raises:
        ConfigError: a cell stands in the file twice.
    """
    altered = {
        cell.key: text
        for cell in stored.cells
        if (text := difference(cell, found.values[cell.key]))
    }
    judged = judge_table(_measurements(stored, found), expected)
    return [_spoil(cell, altered, found.misfits) for cell in judged]


def _spoil(
    cell: Judgement, altered: Mapping[CellKey, str], misfits: Mapping[CellKey, str]
) -> Judgement:
    """The worse verdict of a cell whose numbers or signature are not those of its files."""
    if cell.key in altered:
        return replace(cell, verdict=Verdict.NOT_REPRODUCED, reason=altered[cell.key])
    if cell.key in misfits and cell.verdict is not Verdict.NOT_REPRODUCED:
        return replace(cell, verdict=Verdict.INCONCLUSIVE, reason=misfits[cell.key])
    return cell


def _measurements(stored: Results, found: Recomputation) -> Iterator[Measurement]:
    """The cells of the file with the values of its predictions, then what the file leaves out."""
    for cell in stored.cells:
        value = found.values[cell.key]
        seeds = value.seeds if len(value.seeds) > 1 else None
        reason = (
            value.reason if cell.value is not None else value.reason and cell.reason
        )  # the run knew why
        yield Measurement(
            cell.key, value.value, reason, cell.signature, seeds=seeds, flag=cell.flag
        )
    present = {cell.key for cell in stored.cells}
    for key, value in found.values.items():
        if (
            key not in present and value.value is not None
        ):  # the predictions are there, so it was left out on purpose
            yield Measurement(key, None, "the results have no such cell", "")


def _refuse_other_world(results: Results, name: str, expected: ExpectedTable, path: Path) -> None:
    """Numbers from the mini world and numbers from the paper must never meet."""
    if (expected.table, expected.benchmark) != (results.table, name):
        raise ConfigError(
            f"a {results.scale} result cannot be held against these expected values",
            where=str(path),
            got=f"table {results.table} of world {name}",
            expected=f"table {expected.table} of world {expected.benchmark}",
            fix="leave --expected out, or name the file of the same table and world",
        )


def _check_pin(used: InputRecord, benchmark: Benchmark, path: Path) -> None:
    name, _, inside = used.source.partition("!")
    source = benchmark.sources.get(name)
    if source is None:
        raise ConfigError(
            "unknown input", where=str(path), got=used.source, expected="a source of the benchmark"
        )
    pin = (
        {member.path: member.sha256 for member in source.members}.get(inside)
        if inside
        else source.sha256
    )
    unpinned = source.sha256 is None
    if used.sha256 != pin and not unpinned:
        raise IntegrityError(
            "the results rest on a file that is not the pinned one",
            where=f"{path}: {used.source}",
            got=used.sha256,
            expected=pin,
            fix=f"stilts-artifact reproduce --table 1 --results {path.parent}",
        )
