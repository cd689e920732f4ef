"""Verdicts of cells and tables."""

from __future__ import annotations

import pytest

from stilts_artifact.checking.expected import ExpectedTable
from stilts_artifact.checking.judge import exit_code, judge_table, table_verdict
from stilts_artifact.domain.cells import CellKey, Judgement, Measurement, Reported, Verdict
from stilts_artifact.errors import ConfigError

KEY = CellKey("mnli", "train", "en")


def expected_with(value: float | None, tolerance: float = 0, decimals: int = 0) -> ExpectedTable:
    reason = None if value is not None else "no public source"
    reported = Reported(KEY, value, decimals, None if value is None else "source", reason)
    return ExpectedTable(1, "xtreme", "citation", {"train": tolerance}, {KEY: reported})


def judge_one(value: float | None, expected: ExpectedTable) -> Judgement:
    [judgement] = judge_table([Measurement(KEY, value, None if value is not None else "absent", "s")], expected)
    return judgement


@pytest.mark.parametrize(
    ("value", "tolerance", "decimals", "verdict"),
    [
        (100, 0, 0, Verdict.REPRODUCED),
        (101, 0, 0, Verdict.NOT_REPRODUCED),
        (99, 0, 0, Verdict.NOT_REPRODUCED),
        (101, 1, 0, Verdict.REPRODUCED),
        (101.01, 1, 0, Verdict.NOT_REPRODUCED),
        (100.04, 0, 1, Verdict.REPRODUCED),  # 100.0 as printed may have been 99.95 to 100.05
        (100.06, 0, 1, Verdict.NOT_REPRODUCED),
        (1.0, 0, 0, Verdict.NOT_REPRODUCED),  # a fraction instead of points
    ],
)
def test_a_cell_is_held_to_its_band(value: float, tolerance: float, decimals: int, verdict: Verdict) -> None:
    assert judge_one(value, expected_with(100, tolerance, decimals)).verdict is verdict


def test_an_unmeasured_cell_is_not_run_and_keeps_its_reason() -> None:
    judgement = judge_one(None, expected_with(100))
    assert (judgement.verdict, judgement.reason, judgement.reported) == (Verdict.NOT_RUN, "absent", 100)


def test_a_cell_without_reported_value_is_not_checkable() -> None:
    judgement = judge_one(5, expected_with(None))
    assert (judgement.verdict, judgement.reason) == (Verdict.NOT_CHECKABLE, "no public source")


def test_an_expected_cell_that_nobody_measured_is_not_run() -> None:
    [judgement] = judge_table([], expected_with(100))
    assert (judgement.key, judgement.verdict) == (KEY, Verdict.NOT_RUN)


def test_a_cell_measured_twice_is_refused() -> None:
    cell = Measurement(KEY, 100, None, "s")
    with pytest.raises(ConfigError, match="twice"):
        judge_table([cell, cell], expected_with(100))


def _verdict_of(*verdicts: Verdict) -> Verdict:
    return table_verdict([Judgement(KEY, None, None, None, verdict, "", "") for verdict in verdicts])


def test_the_worst_checkable_cell_decides_a_table() -> None:
    good, bad, unrun, blind = Verdict.REPRODUCED, Verdict.NOT_REPRODUCED, Verdict.NOT_RUN, Verdict.NOT_CHECKABLE
    assert _verdict_of(good, good, blind) is Verdict.REPRODUCED
    assert _verdict_of(good, bad, unrun) is Verdict.NOT_REPRODUCED
    assert _verdict_of(good, unrun) is Verdict.INCONCLUSIVE


def test_nothing_compared_is_never_a_pass() -> None:
    assert _verdict_of() is Verdict.INCONCLUSIVE
    assert _verdict_of(Verdict.NOT_CHECKABLE) is Verdict.INCONCLUSIVE
    assert exit_code([]) == 6


def test_exit_codes_of_verdicts() -> None:
    assert exit_code([Verdict.REPRODUCED, Verdict.REPRODUCED]) == 0
    assert exit_code([Verdict.REPRODUCED, Verdict.INCONCLUSIVE]) == 6
    assert exit_code([Verdict.INCONCLUSIVE, Verdict.NOT_REPRODUCED]) == 1
