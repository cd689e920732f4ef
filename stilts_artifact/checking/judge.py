"""From measured and reported cells to verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from stilts_artifact.checking.expected import ExpectedTable
from stilts_artifact.domain.cells import CellKey, Judgement, Measurement, Reported, Verdict
from stilts_artifact.errors import ConfigError, ExitCode


def judge_table(measured: Iterable[Measurement], expected: ExpectedTable) -> list[Judgement]:
    """A verdict for every cell that was measured or is expected, in the order measured.

    Raises:
        ConfigError: a cell was measured twice.
    """
    by_key: dict[CellKey, Measurement] = {}
    for cell in measured:
        if cell.key in by_key:
            raise ConfigError("cell measured twice", where=str(cell.key))
        by_key[cell.key] = cell
    absent = [
        Measurement(key, None, "the results have no such cell", "") for key in expected.cells if key not in by_key
    ]
    return [_judge_cell(cell, expected) for cell in [*by_key.values(), *absent]]


def _judge_cell(cell: Measurement, expected: ExpectedTable) -> Judgement:
    reported = expected.cells.get(cell.key)
    if cell.value is None:
        value = reported.value if reported is not None else None
        return Judgement(cell.key, None, value, None, Verdict.NOT_RUN, cell.reason or "not measured", cell.signature)
    if reported is None or reported.value is None:
        reason = (reported and reported.reason) or "no expected value is recorded for this cell"
        return Judgement(cell.key, cell.value, None, None, Verdict.NOT_CHECKABLE, reason, cell.signature)
    tolerance = expected.tolerances[cell.key.column] + _rounding(reported)
    difference = cell.value - reported.value
    agrees = abs(difference) <= tolerance
    reason = f"differs by {difference:+g}, tolerance {tolerance:g}" if difference else "equal"
    verdict = Verdict.REPRODUCED if agrees else Verdict.NOT_REPRODUCED
    return Judgement(cell.key, cell.value, reported.value, tolerance, verdict, reason, cell.signature)


def _rounding(reported: Reported) -> float:
    """Half a unit of the last printed digit; counts are printed in full and are not rounded."""
    return float(0.5 * 10**-reported.decimals) if reported.decimals else 0.0


def table_verdict(judgements: Sequence[Judgement]) -> Verdict:
    """The verdict on a whole table: the worst of its checkable cells; never a pass if no cell was compared."""
    verdicts = Counter(judgement.verdict for judgement in judgements)
    if verdicts[Verdict.NOT_REPRODUCED]:
        return Verdict.NOT_REPRODUCED
    if verdicts[Verdict.NOT_RUN] or verdicts[Verdict.INCONCLUSIVE] or not verdicts[Verdict.REPRODUCED]:
        return Verdict.INCONCLUSIVE
    return Verdict.REPRODUCED


def exit_code(verdicts: Iterable[Verdict]) -> ExitCode:
    """The exit code for the tables judged: the worst verdict decides; no table at all is not a pass."""
    found = set(verdicts)
    if Verdict.NOT_REPRODUCED in found:
        return ExitCode.NOT_REPRODUCED
    return ExitCode.REPRODUCED if found == {Verdict.REPRODUCED} else ExitCode.INCOMPLETE


def summary(verdicts: Iterable[Verdict]) -> str:
    """How many cells have each verdict, in words.

    Example:
        >>> summary([Verdict.NOT_RUN, Verdict.REPRODUCED, Verdict.REPRODUCED])
        'cells: 2 REPRODUCED, 1 NOT_RUN'
    """
    counts = Counter(verdicts)
    named = [f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict]]
    return "cells: " + (", ".join(named) or "none")
