"""Verdicts of cells and tables."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from stilts_artifact.checking.expected import (
    ColumnNoise,
    ExpectedTable,
    expected_path,
    load_expected,
)
from stilts_artifact.checking.judge import column_spreads, exit_code, joint_verdict, judge_table
from stilts_artifact.checking.results import CellRecord
from stilts_artifact.checking.statistics import Spread
from stilts_artifact.domain.cells import CellKey, ExpectedCell, Measurement, Verdict
from stilts_artifact.domain.signature import Signature
from stilts_artifact.errors import ConfigError
from tests.unit.checking.signed import made_by_pinned

KEY = CellKey("mnli", "train", "en")


def expected_with(value: float | None, tolerance: float = 0, decimals: int = 0) -> ExpectedTable:
    reason = None if value is not None else "no public source"
    expected = ExpectedCell(KEY, value, decimals, None if value is None else "source", reason)
    return ExpectedTable("table1", "xtreme", "citation", {"train": tolerance}, {KEY: expected})


def judge_one(value: float | None, expected: ExpectedTable) -> CellRecord:
    [judgement] = judge_table(
        [Measurement(KEY, value, None if value is not None else "absent", "s")], expected
    )
    return judgement


@pytest.mark.parametrize(
    ("value", "tolerance", "decimals", "verdict"),
    [
        (100, 0, 0, Verdict.REPRODUCED),
        (101, 0, 0, Verdict.NOT_REPRODUCED),
        (99, 0, 0, Verdict.NOT_REPRODUCED),
        (101, 1, 0, Verdict.REPRODUCED),
        (101.01, 1, 0, Verdict.NOT_REPRODUCED),
        (100.04, 0, 1, Verdict.INCONCLUSIVE),  # 100.0 as printed may have been 99.95 to 100.05
        (100.06, 0, 1, Verdict.NOT_REPRODUCED),
        (1.0, 0, 0, Verdict.NOT_REPRODUCED),  # a fraction instead of points
    ],
)
def test_a_cell_is_held_to_its_limit(
    value: float, tolerance: float, decimals: int, verdict: Verdict
) -> None:
    assert judge_one(value, expected_with(100, tolerance, decimals)).verdict is verdict


def test_an_unmeasured_cell_is_not_run_and_keeps_its_reason() -> None:
    judgement = judge_one(None, expected_with(100))
    assert (judgement.verdict, judgement.reason, judgement.expected) == (
        Verdict.NOT_RUN,
        "absent",
        100,
    )


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


def signed(**changed: object) -> str:
    fields: dict[str, object] = {
        **made_by_pinned(str(changed.get("scale", "paper"))),
        "task": "xnli",
        "split": "dev",
        "languages": ("en", "de"),
        "metric": "accuracy",
        "seeds": (1, 2, 3),
        "scale": "paper",
        "version": "1",
    }
    return Signature(**(fields | changed)).short()  # type: ignore[arg-type]


SCORE = CellKey("mnli", "xnli")
NOISE = ColumnNoise(seed_sd=0.5, reason="assumed", examples=(2490,))
SEEDS_ALONE = replace(NOISE, examples=())


def expected_score(
    noise: ColumnNoise | None = NOISE,
    *,
    scale: str | None = "paper",
    tolerance: float | None = None,
    signature: str | None = None,
) -> ExpectedTable:
    expected = ExpectedCell(SCORE, 80.0, 1, "source", None, 3, tolerance, signature)
    return ExpectedTable(
        "table2",
        "xtreme",
        "c",
        {"xnli": 3.0},
        {SCORE: expected},
        {"xnli": noise} if noise else {},
        scale,
    )


def judge_score(value: float, expected: ExpectedTable, **measured: object) -> CellRecord:
    cell = Measurement(SCORE, value, None, **({"signature": signed()} | measured))  # type: ignore[arg-type]
    [judgement] = judge_table([cell], expected)
    return judgement


def test_a_sampling_error_that_is_known_takes_the_place_of_the_bound() -> None:
    """3.0 + 0.05 + 1.96 sqrt(0.5^2 (1 + 0.4487) + 1.2^2), and with no declared examples, too."""
    cell = Measurement(SCORE, 81.0, None, signed(seeds=(1,)))
    limits = []
    for noise in (NOISE, SEEDS_ALONE):
        [known] = judge_table([cell], expected_score(noise), lambda key: 1.2)
        assert known.limit == pytest.approx(3.05 + 1.96 * math.hypot(0.5 * 1.2036, 1.2), abs=0.02)
        [unknown] = judge_table([cell], expected_score(noise), lambda key: None)
        assert (
            unknown.limit
            == judge_score(81.0, expected_score(noise), signature=cell.signature).limit
        )
        limits.append(unknown.limit)
    assert limits[0] != limits[1]


def test_nothing_is_sampled_where_chance_has_no_part() -> None:
    def never(key: CellKey) -> float:
        raise AssertionError(key)

    cell = Measurement(SCORE, 80.0, None, signed())
    [met] = judge_table([cell], expected_score(signature=signed()), never)
    assert met.verdict is Verdict.REPRODUCED
    [untrained] = judge_table(
        [Measurement(SCORE, 80.0, None, signed(seeds=None))], expected_score(), never
    )
    assert untrained.verdict is Verdict.REPRODUCED


def test_a_band_is_widened_by_rounding_seeds_and_sampling() -> None:
    """3.0 + 0.05 + 1.96 sqrt(0.5^2 (1 + 0.4487) + 100^2 0.8 0.2 / 2490).

    One seed against the median of three, whose tail is hardly longer than a normal's there.
    """
    assert judge_score(80.0, expected_score()).limit == pytest.approx(5.0146, abs=1e-3)
    assert judge_score(80.0, expected_score(SEEDS_ALONE)).limit == pytest.approx(4.2295, abs=1e-3)
    assert judge_score(80.0, expected_score(None)).limit == pytest.approx(3.05)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (80.0, Verdict.REPRODUCED),
        (84.2, Verdict.REPRODUCED),
        (76.0, Verdict.REPRODUCED),
        (84.6, Verdict.INCONCLUSIVE),
        (75.3, Verdict.INCONCLUSIVE),
        (85.2, Verdict.NOT_REPRODUCED),
        (74.8, Verdict.NOT_REPRODUCED),
        (0.8, Verdict.NOT_REPRODUCED),
    ],
)
def test_between_a_reproduction_and_none_noise_leaves_a_gap(value: float, verdict: Verdict) -> None:
    judgement = judge_score(value, expected_score())
    assert judgement.verdict is verdict
    assert ("noise" in judgement.reason) is (verdict is Verdict.INCONCLUSIVE)


def test_noise_that_swamps_the_band_is_inconclusive_not_a_pass() -> None:
    judgement = judge_score(80.0, expected_score(ColumnNoise(9.0, "r")))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "hide a difference that matters" in judgement.reason


def test_a_score_printed_without_decimals_is_rounded_all_the_same() -> None:
    """A count of 80 is 80; a score of 80 may have been 79.5 to 80.5."""
    whole = replace(expected_score().cells[SCORE], decimals=0)
    table = replace(expected_score(None), cells={SCORE: whole})
    assert judge_score(80.0, table).limit == pytest.approx(3.5)
    assert judge_one(100, expected_with(100, 1, 0)).limit == 1


def test_the_sampling_error_is_that_of_the_less_certain_of_the_two_scores() -> None:
    """100 of 100 right looks as if nothing had been left to chance; 97 expected says it was."""
    few = replace(NOISE, examples=(100,), seed_sd=0.0)
    table = replace(
        expected_score(few), cells={SCORE: replace(expected_score().cells[SCORE], value=97.0)}
    )
    assert judge_score(100.0, table).limit == pytest.approx(3.05 + 1.96 * 1.706, abs=0.01)


@pytest.mark.parametrize("value", [80.0, 20.0])
@pytest.mark.parametrize("found", ["another", None])
@pytest.mark.parametrize("field", ["encoder", "revision", "weights", "checkpoint"])
def test_a_cell_of_another_encoder_is_never_held_against_a_published_one(
    field: str, found: str | None, value: float
) -> None:
    """A right value does not make it the encoder, and a wrong one says nothing of the paper."""
    judgement = judge_score(value, expected_score(), signature=signed(**{field: found}))
    assert (judgement.verdict, judgement.expected) == (Verdict.NOT_CHECKABLE, None)
    assert f"{field} {found}" in judgement.reason
    assert "pinned" in judgement.reason


def test_none_of_the_40_calibration_cells_is_decided_by_a_toy() -> None:
    """Their very values, by an encoder that only bears the name."""
    expected = load_expected(expected_path("paper", "calibration"))

    def verdicts(**fields: object) -> set[Verdict]:
        signature = signed(seeds=None, **fields)
        cells = [
            Measurement(key, cell.value, None, signature) for key, cell in expected.cells.items()
        ]
        assert len(cells) >= 40
        return {judged.verdict for judged in judge_table(cells, expected)}

    assert verdicts() == {Verdict.REPRODUCED}
    assert verdicts(weights="0" * 64) == {Verdict.NOT_CHECKABLE}
    assert verdicts(checkpoint=None) == {Verdict.NOT_CHECKABLE}


def test_an_untrained_cell_has_no_noise() -> None:
    judgement = judge_score(83.1, expected_score(), signature=signed(seeds=None))
    assert (judgement.verdict, judgement.limit) == (Verdict.NOT_REPRODUCED, pytest.approx(3.05))


def test_the_declared_examples_are_of_the_mean_and_not_of_one_language() -> None:
    key = CellKey("mnli", "xnli", "de")
    table = ExpectedTable(
        "table2",
        "xtreme",
        "c",
        {"xnli": 3.0},
        {key: ExpectedCell(key, 80.0, 1, "s", None, 3)},
        {"xnli": NOISE},
    )
    [judgement] = judge_table([Measurement(key, 80.0, None, signed())], table)
    assert judgement.limit == pytest.approx(4.2295, abs=1e-3)  # as above, without sampling


def test_more_cells_in_a_table_widen_each_so_that_the_table_has_its_false_alarms() -> None:
    keys = [CellKey(f"row{number}", "xnli") for number in range(120)]
    cells = {key: ExpectedCell(key, 80.0, 1, "s", None, 3) for key in keys}
    many = ExpectedTable("table2", "xtreme", "c", {"xnli": 3.0}, cells, {"xnli": NOISE}, "paper")
    judged = judge_table([Measurement(key, 80.0, None, signed()) for key in keys], many)
    alone = judge_score(80.0, expected_score()).limit
    assert alone is not None
    widened = (
        3.05 + (alone - 3.05) * 3.5290 / 1.95996
    )  # normal quantiles of 1 - 0.05 / 120 / 2 and of 0.975; a median's tail adds a little
    limits = [judgement.limit or 0.0 for judgement in judged]
    assert all(widened <= limit <= widened + 0.01 for limit in limits)


def test_our_own_seeds_give_the_spread_of_the_column() -> None:
    calm = judge_score(80.0, expected_score(SEEDS_ALONE), seeds=(79.99, 80.0, 80.01))
    wild = judge_score(80.0, expected_score(SEEDS_ALONE), seeds=(75.0, 80.0, 85.0))
    assert calm.limit == pytest.approx(3.05, abs=0.1)
    assert wild.verdict is Verdict.INCONCLUSIVE
    assert calm.seeds == (79.99, 80.0, 80.01)


def test_spreads_are_pooled_over_rows_and_leave_collapsed_runs_out() -> None:
    def cell(
        row: str, language: str | None, seeds: tuple[float, ...], flag: str | None = None
    ) -> Measurement:
        signature = signed()
        return Measurement(CellKey(row, "xnli", language), seeds[0], None, signature, seeds, flag)

    cells = [
        cell("a", None, (1.0, 3.0)),
        cell("b", None, (5.0, 5.0)),
        cell("c", None, (80.0, 33.3), "DEGENERATE"),
        cell("a", "de", (1.0, 1.0, 1.0)),
    ]
    like = Signature.parse(signed())
    assert column_spreads(cells) == {
        ("xnli", None, like): Spread(1.0, 2),
        ("xnli", "de", like): Spread(0.0, 2),
    }


@pytest.mark.parametrize("field", [{"dtype": "bfloat16"}, {"backend": "other"}, {"seeds": None}])
def test_the_spreads_of_unlike_numbers_are_not_pooled(field: dict[str, object]) -> None:
    def cell(row: str, seeds: tuple[float, ...], signature: str) -> Measurement:
        return Measurement(CellKey(row, "xnli"), seeds[0], None, signature, seeds)

    other = signed(**field)
    cells = [
        cell("a", (1.0, 3.0), signed()),
        cell("b", (5.0, 5.0), other),
        cell("c", (2.0, 4.0), signed()),
    ]
    found = column_spreads(cells)
    assert found["xnli", None, Signature.parse(signed())] == Spread(pytest.approx(2**0.5), 2)
    assert found["xnli", None, Signature.parse(other)] == Spread(0.0, 1)


def test_a_flag_stays_on_the_judgement() -> None:
    assert judge_score(80.0, expected_score(), flag="DEGENERATE").flag == "DEGENERATE"


def test_a_cell_may_have_a_band_of_its_own() -> None:
    assert judge_score(80.0, expected_score(None, tolerance=1.0)).limit == pytest.approx(1.05)


def test_a_value_of_one_scale_says_nothing_about_another() -> None:
    judgement = judge_score(80.0, expected_score(), signature=signed(scale="base"))
    assert judgement.expected is None, "beside the measured one it would be shown as a difference"
    assert (judgement.verdict, judgement.limit) == (Verdict.NOT_CHECKABLE, None)
    assert "base" in judgement.reason
    assert (
        judge_score(80.0, expected_score(scale=None), signature=signed(scale="base")).verdict
        is Verdict.REPRODUCED
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("split", "test"),
        ("languages", ("en",)),
        ("encoder", "other"),
        ("revision", "0"),
        ("layer", 13),
        ("seeds", (1, 2)),
        ("metric", "f1"),
        ("metric_version", "x"),
        ("dtype", "bfloat16"),
        ("backend", "cuda"),
        ("max_length", 64),
        ("neighbours", 5),
        ("margin", "distance"),
        ("duplicates", "drop"),
        ("threshold", "oracle"),
        ("pooling", "cls"),
    ],
)
def test_a_stale_signature_is_not_comparable(field: str, value: object) -> None:
    recorded = expected_score(signature=signed())
    judgement = judge_score(80.0, recorded, signature=signed(**{field: value}))
    assert (judgement.verdict, judgement.limit) == (Verdict.INCONCLUSIVE, None)
    assert f"{field} is" in judgement.reason


def test_a_recorded_run_is_repeated_without_noise_by_any_version() -> None:
    recorded = expected_score(signature=signed())
    assert judge_score(83.0, recorded, signature=signed(version="2")).verdict is Verdict.REPRODUCED
    assert (
        judge_score(83.1, recorded, signature=signed(version="2")).verdict is Verdict.NOT_REPRODUCED
    )


def test_claims_count_towards_a_table_and_cannot_be_outvoted() -> None:
    blind, good = [Verdict.NOT_CHECKABLE], [Verdict.REPRODUCED]
    assert joint_verdict(blind, [Verdict.REPRODUCED, Verdict.NOT_CHECKABLE]) is Verdict.REPRODUCED
    assert (
        joint_verdict(good, [Verdict.REPRODUCED, Verdict.NOT_REPRODUCED]) is Verdict.NOT_REPRODUCED
    )
    assert joint_verdict(good, [Verdict.NOT_RUN]) is Verdict.INCONCLUSIVE


def _verdict_of(*verdicts: Verdict) -> Verdict:
    return joint_verdict(verdicts)


def test_the_worst_checkable_cell_decides_a_table() -> None:
    good, bad, unrun, blind = (
        Verdict.REPRODUCED,
        Verdict.NOT_REPRODUCED,
        Verdict.NOT_RUN,
        Verdict.NOT_CHECKABLE,
    )
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
    # As everywhere: what nobody can check decides nothing, and alone is no pass.
    assert exit_code([Verdict.REPRODUCED, Verdict.NOT_CHECKABLE]) == 0
    assert exit_code([Verdict.NOT_CHECKABLE]) == 6
