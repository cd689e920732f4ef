"""The exit code of a run with ``--only`` is that of what was asked for, no more and no less."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.checking.results import CellRecord, ClaimRecord, Results
from stilts_artifact.cli.score_tables import verdict_on
from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.experiments.run import wanted_cells
from stilts_artifact.metrics.tables import table_columns

GOOD, BAD, UNRUN = Verdict.REPRODUCED, Verdict.NOT_REPRODUCED, Verdict.NOT_RUN


def outcome(
    cells: Mapping[tuple[str, str], Verdict],
    *,
    table: int = 2,
    scale: str = "mini",
    claims: tuple[Verdict, ...] = (),
) -> Results:
    """Results in which every cell of two rows is NOT_RUN but these."""
    columns = table_columns(load_benchmark(load_scale(scale).benchmark), table)
    places = [
        (row, column.name)
        for row in ("none", "mnli" if table == 2 else "best")
        for column in columns
    ]
    return Results(
        table=table,
        scale=scale,  # type: ignore[arg-type]
        scale_reason="",
        stamp="",
        verdict=Verdict.INCONCLUSIVE,
        rows=[],
        cells=[
            CellRecord(
                row=row,
                column=column,
                value=None,
                expected=None,
                limit=None,
                reason="",
                signature="",
                verdict=cells.get((row, column), UNRUN),
            )
            for row, column in places
        ],
        claims=[
            ClaimRecord(claim=str(at), title="", verdict=verdict, reason="", numbers={}, cells=[])
            for at, verdict in enumerate(claims)
        ],
        inputs=[],
        environment={},
    )


def asked(found: Results, *only: str) -> Verdict:
    benchmark = load_benchmark(load_scale(found.scale).benchmark)
    return verdict_on(found, wanted_cells(benchmark, found.table, only), benchmark)


def row_of(name: str, verdict: Verdict = GOOD) -> dict[tuple[str, str], Verdict]:
    return {(name, column.name): verdict for column in table_columns(load_benchmark("mini"), 2)}


def test_cells_that_nobody_asked_for_do_not_matter() -> None:
    found = outcome({("mnli", "xnli"): GOOD, ("none", "xnli"): BAD})
    assert asked(found, "mnli,xnli") is GOOD
    assert asked(found, "*,xnli") is BAD
    assert asked(found, "mnli,xnli", "mnli,panx") is Verdict.INCONCLUSIVE, "asked for and not run"


@pytest.mark.parametrize("part", ["xquad", "xquad_f1", "xquad_em"])
def test_every_part_of_a_column_is_asked_for_with_it(part: str) -> None:
    found = {("mnli", name): GOOD for name in ("xquad", "xquad_f1", "xquad_em")}
    assert asked(outcome(found | {("mnli", part): BAD}), "mnli,xquad") is BAD
    assert asked(outcome(found), "mnli,xquad") is GOOD


def test_an_average_is_asked_for_with_all_that_it_averages() -> None:
    spoilt = row_of("mnli") | {("mnli", "average"): BAD}
    assert ("mnli", "average") in row_of("mnli")
    assert asked(outcome(spoilt), "mnli") is BAD
    assert asked(outcome(spoilt), "mnli,xnli", "mnli,udpos") is GOOD


def test_claims_count_unless_they_need_more_than_was_asked_for() -> None:
    cells = row_of("none", Verdict.NOT_CHECKABLE) | row_of("mnli", Verdict.NOT_CHECKABLE)

    def with_claims(*claims: Verdict) -> Verdict:
        return asked(outcome(cells, scale="paper", claims=claims), "none", "mnli")

    assert with_claims(GOOD, UNRUN) is GOOD
    assert with_claims(GOOD, UNRUN, BAD) is BAD
    assert with_claims(UNRUN) is Verdict.INCONCLUSIVE, "nothing was compared"


def test_of_table_3_only_columns_can_be_asked_for() -> None:
    found = outcome(
        {("none", "xnli"): GOOD, ("best", "xnli"): GOOD, ("best", "panx"): BAD}, table=3
    )
    assert asked(found, "*,xnli") is GOOD
    assert asked(found, "*,xnli", "*,panx") is BAD
