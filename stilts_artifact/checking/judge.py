"""From measured and reported cells to verdicts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from stilts_artifact.checking.expected import ColumnNoise, ExpectedTable
from stilts_artifact.checking.statistics import (
    NO_NOISE,
    Noise,
    Spread,
    binomial_error,
    decide,
    difference_noise,
    mean_error,
    pooled_spread,
)
from stilts_artifact.domain.cells import CellKey, Judgement, Measurement, Reported, Verdict
from stilts_artifact.domain.signature import Signature
from stilts_artifact.errors import ConfigError, ExitCode

Spreads = Mapping[tuple[str, str | None], Spread]
"""(column, language) -> spread over seeds, pooled over the rows."""


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
        Measurement(key, None, "the results have no such cell", "")
        for key in expected.cells
        if key not in by_key
    ]
    cells = [*by_key.values(), *absent]
    judge = _Judge(
        expected, column_spreads(cells), sum(_has_both(cell, expected) for cell in cells)
    )
    return [replace(judge.judge(cell), seeds=cell.seeds, flag=cell.flag) for cell in cells]


def column_spreads(cells: Iterable[Measurement]) -> dict[tuple[str, str | None], Spread]:
    """Spread over seeds of each column and language, pooled over its rows.

    Collapsed runs are left out: what they add to the spread would excuse every other cell of the
    column.
    """
    samples: dict[tuple[str, str | None], list[tuple[float, ...]]] = defaultdict(list)
    for cell in cells:
        if cell.seeds is not None and cell.flag is None:
            samples[cell.key.column, cell.key.language].append(cell.seeds)
    pooled = {place: pooled_spread(values) for place, values in samples.items()}
    return {place: spread for place, spread in pooled.items() if spread is not None}


def is_trained(signature: str) -> bool:
    """Whether chance has a part in a number: an untrained encoder's scores depend on no seed."""
    return Signature.parse(signature).seeds is not None


def _has_both(cell: Measurement, expected: ExpectedTable) -> bool:
    reported = expected.cells.get(cell.key)
    return cell.value is not None and reported is not None and reported.value is not None


class _Judge:
    """Judges the cells of one table, which share its false alarms."""

    def __init__(self, expected: ExpectedTable, spreads: Spreads, compared: int) -> None:
        self.expected = expected
        self.spreads = spreads
        self.compared = compared

    def judge(self, cell: Measurement) -> Judgement:
        reported = self.expected.cells.get(cell.key)
        value = reported.value if reported is not None else None
        if cell.value is None:
            return _judgement(cell, value, Verdict.NOT_RUN, cell.reason or "not measured")
        if reported is None or reported.value is None:
            reason = (reported and reported.reason) or "no expected value is recorded for this cell"
            return _judgement(cell, None, Verdict.NOT_CHECKABLE, reason)
        if self.expected.scale is not None:
            scale = Signature.parse(cell.signature).scale
            if scale != self.expected.scale:
                reason = f"reported for scale {self.expected.scale}, measured at scale {scale}: only the claims apply"
                return _judgement(cell, value, Verdict.NOT_CHECKABLE, reason)
        stale = _difference_in_meaning(cell, reported)
        if stale is not None:
            return _judgement(cell, value, Verdict.INCONCLUSIVE, stale)
        return self._compare(cell, reported, cell.value - reported.value)

    def _compare(self, cell: Measurement, reported: Reported, difference: float) -> Judgement:
        noise = self._noise(cell, reported)
        decision = decide(
            difference, self.expected.band(reported), _rounding(reported), noise, self.compared
        )
        reason = (
            f"differs by {difference:+g}, tolerance {decision.tolerance:g}"
            if difference
            else "equal"
        )
        if decision.verdict is Verdict.INCONCLUSIVE:
            reason += (
                f"; only up to {decision.proven:.3g} would it be proven equal (noise: standard error {noise.error:.3g})"
                if decision.proven > 0
                else f"; the noise (standard error {noise.error:.3g}) hides a difference that matters"
            )
        return replace(
            _judgement(cell, reported.value, decision.verdict, reason), tolerance=decision.tolerance
        )

    def _noise(self, cell: Measurement, reported: Reported) -> Noise:
        """Chance in measured minus reported: none against a recorded run, whose seeds and data were the same."""
        declared = self.expected.noise.get(cell.key.column)
        if declared is None or reported.signature is not None or not is_trained(cell.signature):
            return NO_NOISE
        spread = self.spreads.get((cell.key.column, cell.key.language), Spread(declared.seed_sd))
        return difference_noise(
            spread, len(cell.seeds or (0,)), reported.n, _sampling_error(cell, declared)
        )


def _judgement(
    cell: Measurement, reported: float | None, verdict: Verdict, reason: str
) -> Judgement:
    return Judgement(cell.key, cell.value, reported, None, verdict, reason, cell.signature)


def _difference_in_meaning(cell: Measurement, reported: Reported) -> str | None:
    """Why a measured cell is not what was recorded: another task, seed, encoder; the version may move on."""
    if reported.signature is None:
        return None
    recorded, now = Signature.parse(reported.signature), Signature.parse(cell.signature)
    fields = [name for name in recorded.differences(now) if name != "version"]
    if not fields:
        return None
    details = [
        f"{name} is {getattr(now, name)!r}, recorded {getattr(recorded, name)!r}" for name in fields
    ]
    return "not comparable, the signature has changed: " + "; ".join(details)


def _sampling_error(cell: Measurement, declared: ColumnNoise) -> float:
    if not declared.examples or cell.value is None or cell.key.language is not None:
        return 0.0
    return mean_error([binomial_error(cell.value, examples) for examples in declared.examples])


def _rounding(reported: Reported) -> float:
    """Half a unit of the last printed digit; counts are printed in full and are not rounded."""
    return float(0.5 * 10**-reported.decimals) if reported.decimals else 0.0


def joint_verdict(cells: Iterable[Verdict], claims: Iterable[Verdict] = ()) -> Verdict:
    """The verdict on several cells together: the worst of those checkable and of the claims; no pass if none was.

    Args:
        claims: verdicts of the claims that decide
            (:func:`stilts_artifact.checking.claims.decisive`).
    """
    verdicts = Counter([*cells, *claims])
    if verdicts[Verdict.NOT_REPRODUCED]:
        return Verdict.NOT_REPRODUCED
    if (
        verdicts[Verdict.NOT_RUN]
        or verdicts[Verdict.INCONCLUSIVE]
        or not verdicts[Verdict.REPRODUCED]
    ):
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
