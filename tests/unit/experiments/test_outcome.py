"""From cells to a verdict: with ``--only`` it is that of what was asked for, no more, no less."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import EXPERIMENTS
from stilts_artifact.checking.results import CellRecord, ClaimRecord, Results
from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.experiments import outcome as module
from stilts_artifact.experiments.outcome import reproduce, verdict_asked_for
from stilts_artifact.experiments.session import Machine, Measured, Session
from stilts_artifact.experiments.setup import Choices, open_session
from stilts_artifact.files import Publication
from stilts_artifact.metrics.tables import table_columns
from stilts_artifact.pipeline.store import Store
from stilts_artifact.pipeline.upkeep import published

TABLE2 = EXPERIMENTS["table2"]
GOOD, BAD, UNRUN = Verdict.REPRODUCED, Verdict.NOT_REPRODUCED, Verdict.NOT_RUN


def outcome(
    cells: Mapping[tuple[str, str], Verdict],
    *,
    experiment: str = "table2",
    scale: str = "mini",
    claims: tuple[Verdict, ...] = (),
) -> Results:
    """Results in which every cell of two rows is NOT_RUN but these."""
    columns = table_columns(load_benchmark(load_scale(scale).benchmark), EXPERIMENTS[experiment])
    places = [
        (row, column.name)
        for row in ("none", "mnli" if experiment == "table2" else "best")
        for column in columns
    ]
    return Results(
        experiment=experiment,
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


Asked = Callable[..., Verdict]


@pytest.fixture
def asked(session: Session) -> Asked:
    """The verdict on some cells of made-up results."""

    def verdict(results: Results, *only: str) -> Verdict:
        scale = load_scale(results.scale)
        benchmark = load_benchmark(scale.benchmark)
        run = replace(
            session, experiment=results.defined, scale=scale, benchmark=benchmark, only=only
        )
        return verdict_asked_for(results, run)

    return verdict


def row_of(name: str, verdict: Verdict = GOOD) -> dict[tuple[str, str], Verdict]:
    columns = table_columns(load_benchmark("mini"), EXPERIMENTS["table2"])
    return {(name, column.name): verdict for column in columns}


def test_cells_that_nobody_asked_for_do_not_matter(asked: Asked) -> None:
    found = outcome({("mnli", "xnli"): GOOD, ("none", "xnli"): BAD})
    assert asked(found, "mnli,xnli") is GOOD
    assert asked(found, "*,xnli") is BAD
    assert asked(found, "mnli,xnli", "mnli,panx") is Verdict.INCONCLUSIVE, "asked for and not run"


@pytest.mark.parametrize("part", ["xquad", "xquad_f1", "xquad_em"])
def test_every_part_of_a_column_is_asked_for_with_it(asked: Asked, part: str) -> None:
    found = {("mnli", name): GOOD for name in ("xquad", "xquad_f1", "xquad_em")}
    assert asked(outcome(found | {("mnli", part): BAD}), "mnli,xquad") is BAD
    assert asked(outcome(found), "mnli,xquad") is GOOD


def test_an_average_is_asked_for_with_all_that_it_averages(asked: Asked) -> None:
    spoilt = row_of("mnli") | {("mnli", "average"): BAD}
    assert ("mnli", "average") in row_of("mnli")
    assert asked(outcome(spoilt), "mnli") is BAD
    assert asked(outcome(spoilt), "mnli,xnli", "mnli,udpos") is GOOD


def test_claims_count_unless_they_need_more_than_was_asked_for(asked: Asked) -> None:
    cells = row_of("none", Verdict.NOT_CHECKABLE) | row_of("mnli", Verdict.NOT_CHECKABLE)

    def with_claims(*claims: Verdict) -> Verdict:
        return asked(outcome(cells, scale="paper", claims=claims), "none", "mnli")

    assert with_claims(GOOD, UNRUN) is GOOD
    assert with_claims(GOOD, UNRUN, BAD) is BAD
    assert with_claims(UNRUN) is Verdict.INCONCLUSIVE, "nothing was compared"


def test_of_table_3_only_columns_can_be_asked_for(asked: Asked) -> None:
    found = outcome(
        {("none", "xnli"): GOOD, ("best", "xnli"): GOOD, ("best", "panx"): BAD}, experiment="table3"
    )
    assert asked(found, "*,xnli") is GOOD
    assert asked(found, "*,xnli", "*,panx") is BAD


@pytest.mark.slow
def test_the_store_keeps_what_results_rest_on_from_before_they_are_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, steps = Store(tmp_path / "store"), ["labels/first"]
    store.root.mkdir()

    def measure(*_: object) -> Measured:
        return Measured([], [], [], [], steps=frozenset(steps))

    monkeypatch.setattr(module.pkgutil, "resolve_name", lambda _: measure)
    whole = open_session(TABLE2, Choices("mini"), Machine(store.root), tmp_path)

    def kept(session: Session) -> list[str]:
        reproduce(session)
        (entry,) = published(store)
        return sorted(entry.addresses)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):

        def killed(publication: Publication, data: bytes) -> None:
            raise KeyboardInterrupt

        patch.setattr(Publication, "commit", killed)
        reproduce(whole)
    assert [entry.addresses for entry in published(store)] == [{"labels/first"}]
    steps[:] = ["labels/all"]
    assert kept(whole) == ["labels/all"], "in place of what was there"
    steps[:] = ["labels/more"]
    assert kept(replace(whole, only=("none",))) == ["labels/all", "labels/more"]
