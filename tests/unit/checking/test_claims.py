"""Claims: each shipped one can reach every verdict; missing data are named, never guessed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest

from stilts_artifact.benchmark.experiments import AVERAGE, BEST, NONE, OVERALL
from stilts_artifact.checking.claims import (
    DRAWS,
    RULES,
    Cells,
    Claim,
    Claims,
    claims_path,
    decisive,
    draws_of,
    judge_claims,
    load_claims,
    plain_row,
)
from stilts_artifact.checking.results import CellRecord, ClaimRecord, Results, RowRecord
from stilts_artifact.checking.statistics import NO_NOISE, Noise
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.domain.signature import Signature
from stilts_artifact.errors import ArtifactError, ConfigError
from tests.unit.checking.signed import made_by_pinned

CLAIMS = load_claims(claims_path())
SINGLES = (
    "anli_plus",
    "mnli",
    "qqp",
    "squad_v2",
    "squad_v1",
    "hellaswag",
    "ccg",
    "cosmosqa",
    "commonsenseqa",
)
PLAIN = (*SINGLES, "multi")
WITH_MLM = tuple(f"{row}+mlm" for row in PLAIN)
TRANSLATED = tuple(
    f"{task}@{language}" for task in ("mnli", "qqp", "hellaswag") for language in ("de", "ru", "sw")
)
TARGETS = ("xnli", "pawsx", "udpos", "panx", "xquad", "mlqa", "tydiqa", "bucc2018", "tatoeba")
BASE = 50.0
Values = Mapping[tuple[str, str], float]


def signed(scale: str, column: str, seeds: tuple[int, ...] | None) -> str:
    signature = Signature(
        task=column,
        split="dev",
        languages=("en",),
        metric="m",
        seeds=seeds,
        scale=scale,
        version="1",
        **made_by_pinned(scale),  # type: ignore[arg-type]  # all of them texts
    )
    return signature.short()


def results(
    experiment: str,
    changed: Values,
    *,
    scale: str = "paper",
    rows: Iterable[str] | None = None,
    spread: float = 0.3,
) -> Results:
    """A table of cells at 50 but for those that are changed; three seeds, ``spread`` apart."""
    columns = (*TARGETS, AVERAGE) if experiment == "table2" else (*TARGETS, OVERALL)
    names = tuple(
        rows
        or (
            (NONE, *PLAIN, "mlm", *WITH_MLM, *TRANSLATED)
            if experiment == "table2"
            else (NONE, BEST)
        )
    )
    cells = []
    for row in names:
        for column in columns:
            value = changed.get((row, column), BASE)
            cells.append(
                CellRecord(
                    row=row,
                    column=column,
                    value=value,
                    expected=None,
                    limit=None,
                    verdict=Verdict.NOT_CHECKABLE,
                    reason="",
                    signature=signed(scale, column, (1, 2, 3)),
                    seeds=(value - spread, value, value + spread),
                )
            )
    return Results(
        experiment=experiment,
        scale=scale,
        scale_reason="",
        stamp=f"{scale}: stamped",
        verdict=Verdict.REPRODUCED,
        rows=[RowRecord(row=row, title=row.upper(), group="g") for row in names],
        cells=cells,
        claims=[],
        inputs=[],
        environment={},
    )


def of(rows: Iterable[str], column: str, value: float) -> dict[tuple[str, str], float]:
    return {(row, column): value for row in rows}


def single(row: str, value: float) -> dict[tuple[str, str], float]:
    return {(row, AVERAGE): value}


def on_retrieval(
    retrieval: float, answering: float, other: float = 50.0
) -> dict[tuple[str, str], float]:
    """Values of the single tasks' rows on the kinds of targets."""
    kinds = dict.fromkeys(TARGETS, other) | dict.fromkeys(("xquad", "mlqa", "tydiqa"), answering)
    kinds |= {"bucc2018": retrieval, "tatoeba": retrieval}
    return {
        place: value
        for column in TARGETS
        for place, value in of(SINGLES, column, kinds[column]).items()
    }


def best_three(value: float) -> dict[tuple[str, str], float]:
    return {**single("mnli", value), **single("squad_v2", 57.0), **single("hellaswag", 57.0)}


# claim -> cells on which it is REPRODUCED, NOT_REPRODUCED and INCONCLUSIVE
EXAMPLES: Mapping[str, tuple[Values, Values, Values]] = {
    "improves": (of(SINGLES, AVERAGE, 55), of(SINGLES, AVERAGE, 45), of(SINGLES, AVERAGE, 50.05)),
    "squad-gain": (single("squad_v1", 58), single("squad_v1", 53), single("squad_v1", 55.2)),
    "mnli-gain": (single("mnli", 57), single("mnli", 65), single("mnli", 60.5)),
    "hellaswag-gain": (single("hellaswag", 57), single("hellaswag", 50), single("hellaswag", 54)),
    "multi-gain": (single("multi", 58), single("multi", 87), single("multi", 61.6)),
    "multi-best": (
        {**single("multi", 59), **single("mnli", 57)},
        {**single("multi", 55), **single("mnli", 57)},
        {**single("multi", 57.1), **single("mnli", 57)},
    ),
    "best-three": (best_three(57), best_three(48), best_three(50.1)),
    "best-gain": ({(BEST, OVERALL): 73.6}, {(BEST, OVERALL): 68.0}, {(BEST, OVERALL): 75.5}),
    "best-improves": ({(BEST, OVERALL): 53.0}, {(BEST, OVERALL): 47.0}, {(BEST, OVERALL): 50.1}),
    "largest-on-retrieval": (on_retrieval(70, 53), on_retrieval(52, 60), on_retrieval(53.1, 53.0)),
    "moderate-on-qa": (on_retrieval(70, 53), on_retrieval(70, 48), on_retrieval(70, 50.05)),
    "tydiqa-from-many": (
        of(SINGLES[:7], "tydiqa", 55),
        of(SINGLES[:9], "tydiqa", 45),
        of(SINGLES[:5], "tydiqa", 50.1),
    ),
    "xnli-from-none": (
        of(SINGLES, "xnli", 48),
        of(SINGLES[:1], "xnli", 55),
        of(SINGLES[:1], "xnli", 51.0),
    ),
    "mlm-no-consistent-gain": (
        of(WITH_MLM[:5], AVERAGE, 45),
        of(WITH_MLM, AVERAGE, 55),
        of(WITH_MLM[:8], AVERAGE, 55) | of(WITH_MLM[8:], AVERAGE, 50.1),
    ),
    "translated-no-consistent-gain": (
        of(TRANSLATED[:5], AVERAGE, 45),
        of(TRANSLATED, AVERAGE, 55),
        of(TRANSLATED[:7], AVERAGE, 55) | of(TRANSLATED[7:], AVERAGE, 50.0),
    ),
    "english-over-mlm": (
        of(WITH_MLM, AVERAGE, 48),
        of(WITH_MLM, AVERAGE, 52),
        of(WITH_MLM, AVERAGE, 49.95),
    ),
    "english-over-translated": (
        of(TRANSLATED, AVERAGE, 48),
        of(TRANSLATED, AVERAGE, 52),
        of(TRANSLATED, AVERAGE, 49.95),
    ),
}


def claim_named(name: str) -> Claim:
    return next(claim for claim in CLAIMS.claims if claim.id == name)


def only(name: str) -> Claims:
    return Claims(CLAIMS.scale, CLAIMS.citation, CLAIMS.seed_sd, (claim_named(name),))


def judge(name: str, result: Results) -> ClaimRecord:
    [record] = judge_claims([result], only(name))
    return record


@pytest.mark.parametrize(
    "verdict", [Verdict.REPRODUCED, Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE]
)
@pytest.mark.parametrize("claim", CLAIMS.claims, ids=lambda claim: claim.id)
def test_every_claim_reaches_every_verdict(claim: Claim, verdict: Verdict) -> None:
    order = (Verdict.REPRODUCED, Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE)
    data = EXAMPLES[claim.id][order.index(verdict)]
    record = judge(claim.id, results(claim.experiment, data))
    assert record.verdict is verdict, record.reason
    assert record.numbers
    assert record.cells
    assert (claim.inconclusive in record.reason) is (verdict is Verdict.INCONCLUSIVE)


def test_the_shipped_claims_are_those_of_the_paper() -> None:
    assert {claim.id for claim in CLAIMS.claims} == set(EXAMPLES)
    assert {claim.id for claim in CLAIMS.claims} == set(RULES)
    assert sum(claim.about == "size" for claim in CLAIMS.claims) == 5
    assert CLAIMS.of_experiment("table3").claims == (
        claim_named("best-gain"),
        claim_named("best-improves"),
    )
    assert len(CLAIMS.of_experiment("table2").claims) == len(CLAIMS.claims) - 2


@pytest.mark.parametrize(
    ("claim", "size"),
    [
        ("squad-gain", 8.2),
        ("mnli-gain", 7.5),
        ("hellaswag-gain", 7.0),
        ("multi-gain", 8.7),
        ("best-gain", 5.4),
    ],
)
def test_sizes_are_the_reported_ones(claim: str, size: float) -> None:
    experiment = claim_named(claim).experiment
    assert judge(claim, results(experiment, {})).numbers["reported"] == size


@pytest.mark.parametrize("world_name", ["xtreme", "mini"])
def test_every_cell_a_claim_needs_is_a_cell_of_its_table(world_name: str) -> None:
    from stilts_artifact.benchmark import load_benchmark
    from stilts_artifact.benchmark.experiments import rows, targets
    from stilts_artifact.forms import form_of

    benchmark = load_benchmark(world_name)
    names = [row.name for row in rows(benchmark)]
    scores = {column for task in targets(benchmark) for column in form_of(task).columns(task)}
    known = {"table2": (names, scores | {AVERAGE}), "table3": ([NONE, BEST], scores | {OVERALL})}
    for claim in CLAIMS.claims:
        known_rows, known_columns = known[claim.experiment]
        for row, column in claim.needs(known_rows).cells:
            assert row in known_rows, claim.id
            assert column in known_columns, claim.id
    translated = [claim.id for claim in CLAIMS.claims if claim.gap]
    assert translated == ["translated-no-consistent-gain", "english-over-translated"]


def test_a_missing_cell_is_named_and_the_claim_not_run() -> None:
    table = results("table2", {})
    kept = [cell for cell in table.cells if (cell.row, cell.column) != ("qqp", AVERAGE)]
    unmeasured = [
        cell.model_copy(update={"value": None, "seeds": None})
        if (cell.row, cell.column) == ("qqp", AVERAGE)
        else cell
        for cell in table.cells
    ]
    for cells in (kept, unmeasured):
        record = judge("improves", table.model_copy(update={"cells": cells}))
        assert (record.verdict, record.reason) == (Verdict.NOT_RUN, "not measured: QQP, Average")
    record = judge("improves", results("table2", {}, rows=["none"]))
    assert record.reason.startswith("not measured: ANLI+, Average; MNLI, Average; ")
    assert record.reason.endswith(" and 4 more")


def test_without_the_table_a_claim_is_not_run() -> None:
    records = judge_claims([results("table3", {})], CLAIMS)
    without = [
        record.verdict for record in records if record.reason == "there are no results of Table 2"
    ]
    assert without == [Verdict.NOT_RUN] * (len(CLAIMS.claims) - 2)
    assert {record.verdict for record in judge_claims([], CLAIMS)} == {Verdict.NOT_RUN}


def test_translated_rows_that_nobody_has_are_a_known_gap() -> None:
    record = judge(
        "english-over-translated", results("table2", {}, rows=(NONE, *PLAIN, "mlm", *WITH_MLM))
    )
    assert record.verdict is Verdict.NOT_CHECKABLE
    assert "known gap" in record.reason


def test_a_cell_outside_its_band_does_not_sink_a_claim() -> None:
    data = {**EXAMPLES["improves"][0], ("qqp", AVERAGE): 44.0}
    assert judge("improves", results("table2", data)).verdict is Verdict.REPRODUCED


def test_more_spread_makes_a_claim_inconclusive_and_a_collapsed_run_does_not() -> None:
    data = EXAMPLES["best-improves"][0]
    assert (
        judge("best-improves", results("table3", data, spread=4.0)).verdict is Verdict.INCONCLUSIVE
    )
    table = results("table3", data)
    collapsed = [
        cell.model_copy(update={"seeds": [1.0, 53.0, 53.2], "flag": "DEGENERATE"})
        if (cell.row, cell.column) == (BEST, OVERALL)
        else cell
        for cell in table.cells
    ]
    assert (
        judge("best-improves", table.model_copy(update={"cells": collapsed})).verdict
        is Verdict.REPRODUCED
    )


def with_one_seed(table: Results, seeds: tuple[int, ...] | None) -> Results:
    cells = [
        cell.model_copy(
            update={"seeds": None, "signature": signed(table.scale, cell.column, seeds)}
        )
        for cell in table.cells
    ]
    return table.model_copy(update={"cells": cells})


def test_one_seed_has_the_declared_spread_and_no_seed_has_none() -> None:
    table = results("table3", {(BEST, OVERALL): 51.0})
    assert judge("best-improves", table).verdict is Verdict.REPRODUCED
    assert judge("best-improves", with_one_seed(table, (1,))).verdict is Verdict.INCONCLUSIVE
    assert judge("best-improves", with_one_seed(table, None)).verdict is Verdict.REPRODUCED
    undeclared = Claims(CLAIMS.scale, CLAIMS.citation, {}, (claim_named("best-improves"),))
    with pytest.raises(ConfigError, match="no spread over seeds"):
        judge_claims([with_one_seed(table, (1,))], undeclared)


ALL_SINGLES = {(row, AVERAGE): 60.0 for row in ("mnli", "squad_v1", "hellaswag", "multi")}
"""Gains that the paper reports nothing like, for its claims of Table 2 and of Table 3."""


def judged_at(scale: str) -> list[ClaimRecord]:
    """Every claim of both tables, on results of a scale."""
    tables = [results("table2", ALL_SINGLES, scale=scale), results("table3", {}, scale=scale)]
    return judge_claims(tables, CLAIMS)


def test_no_claim_of_the_paper_is_judged_on_mini_results() -> None:
    """Neither for nor against: a size is not even formed, a direction is stamped."""
    for record in judged_at("mini"):
        assert record.verdict is Verdict.NOT_CHECKABLE
        assert record.reason.endswith("[mini: stamped]")
        if claim_named(record.claim).about == "size":
            assert (record.numbers, record.cells) == ({}, [])


def test_mini_claims_decide_nothing() -> None:
    record = judge("multi-best", results("table2", EXAMPLES["multi-best"][0], scale="mini"))
    assert decisive([record], "mini") == []
    assert decisive([record], "paper") == [Verdict.NOT_CHECKABLE]


@pytest.mark.parametrize("scale", ["mini", "base"])
def test_no_number_of_the_paper_enters_a_gain_at_another_scale(scale: str) -> None:
    for record in judged_at(scale):
        assert not {"reported", "baseline"} & record.numbers.keys(), record.claim
        if claim_named(record.claim).about == "size":
            assert record.verdict is Verdict.NOT_CHECKABLE
            assert record.numbers == {}


def test_a_smaller_encoder_is_no_evidence_on_sizes() -> None:
    table = results("table2", {**single("mnli", 57), **single("multi", 60)}, scale="base")
    assert judge("mnli-gain", table).verdict is Verdict.NOT_CHECKABLE
    assert judge("multi-best", table).verdict is Verdict.REPRODUCED


def test_results_of_two_scales_or_twice_one_table_are_refused() -> None:
    with pytest.raises(ConfigError, match="one scale"):
        judge_claims([results("table2", {}), results("table3", {}, scale="mini")], CLAIMS)
    with pytest.raises(ConfigError, match="each experiment"):
        judge_claims([results("table2", {}), results("table2", {})], CLAIMS)


def test_verdicts_do_not_depend_on_the_order_of_cells() -> None:
    table = results("table2", EXAMPLES["multi-best"][2])
    turned = table.model_copy(update={"cells": table.cells[::-1]})
    assert judge_claims([table], CLAIMS) == judge_claims([turned], CLAIMS)


def test_cells_of_single_languages_are_left_aside() -> None:
    table = results("table3", EXAMPLES["best-improves"][0])
    german = [cell.model_copy(update={"language": "de", "value": 1.0}) for cell in table.cells]
    both = table.model_copy(update={"cells": [*table.cells, *german]})
    assert judge("best-improves", both) == judge("best-improves", table)


@pytest.mark.parametrize("scale", ["paper", "base"])
@pytest.mark.parametrize("field", ["encoder", "revision", "weights", "checkpoint"])
def test_no_claim_is_judged_on_the_cells_of_another_encoder(scale: str, field: str) -> None:
    """Not for, not against: of bytes that are not the pinned ones the paper says nothing."""
    table = results("table3", EXAMPLES["best-improves"][0], scale=scale)
    own = getattr(Signature.parse(table.cells[0].signature), field)
    other = [
        cell.model_copy(update={"signature": cell.signature.replace(own, "0" * len(own))})
        for cell in table.cells
    ]
    record = judge("best-improves", table.model_copy(update={"cells": other}))
    assert (record.verdict, record.numbers) == (Verdict.NOT_CHECKABLE, {})
    assert f"{field} 000" in record.reason
    assert judge("best-improves", table).verdict is Verdict.REPRODUCED


def test_claims_on_bytes_without_a_public_sha256_are_judged_and_say_so() -> None:
    """A direction is one between runs of the same bytes; a size, and another encoder, are not."""
    table = results("table2", {**single("mnli", 57), **single("multi", 60)}, scale="small")
    record = judge("multi-best", table)
    assert record.verdict is Verdict.REPRODUCED
    assert "no public sha256 of nreimers/mMiniLMv2" in record.reason
    assert Signature.parse(table.cells[0].signature).weights in record.reason
    assert judge("mnli-gain", table).verdict is Verdict.NOT_CHECKABLE
    for field in ("encoder", "revision"):
        own = getattr(Signature.parse(table.cells[0].signature), field)
        other = [
            cell.model_copy(update={"signature": cell.signature.replace(own, "0" * len(own))})
            for cell in table.cells
        ]
        foreign = judge("multi-best", table.model_copy(update={"cells": other}))
        assert foreign.verdict is Verdict.NOT_CHECKABLE
    pinned = results("table2", {**single("mnli", 57), **single("multi", 60)}, scale="base")
    assert "sha256" not in judge("multi-best", pinned).reason


def test_unlike_rows_of_a_column_are_not_compared() -> None:
    """All multi-task cells in another arithmetic: no number is formed, and the field is named."""
    table = results("table2", EXAMPLES["multi-best"][0])
    other = [
        cell.model_copy(update={"signature": f"{cell.signature}|dtype:bfloat16"})
        if cell.row == "multi"
        else cell
        for cell in table.cells
    ]
    record = judge("multi-best", table.model_copy(update={"cells": other}))
    assert (record.verdict, record.numbers) == (Verdict.INCONCLUSIVE, {})
    assert "cannot be averaged or compared: dtype differs" in record.reason
    assert "multi/average" in record.cells
    assert judge("improves", table.model_copy(update={"cells": other})).numbers


def test_an_untrained_row_has_no_seeds_and_is_compared_all_the_same() -> None:
    table = results("table2", EXAMPLES["largest-on-retrieval"][0])
    cells = [
        cell.model_copy(update={"signature": signed("paper", cell.column, None)})
        if cell.row == NONE
        else cell
        for cell in table.cells
    ]
    record = judge("largest-on-retrieval", table.model_copy(update={"cells": cells}))
    assert record.verdict is Verdict.REPRODUCED


@pytest.mark.parametrize(
    ("row", "plain"),
    [("mnli+mlm", "mnli"), ("multi+mlm", "multi"), ("qqp@de", "qqp"), ("mlm", "none")],
)
def test_the_plain_row_of_a_row_is_the_english_one(row: str, plain: str) -> None:
    assert plain_row(row) == plain


SCORES = {"none": 50.0, "a": 51.0, "b": 55.0, "b@de": 54.0}


def cells_with(noise: Noise) -> Cells:
    sets = {"both": ("a", "b"), "two": ("x", "y"), "translated": ("*@*",), "nine": ("*9",)}
    return Cells(list(SCORES), sets, lambda row, column: draws_of(row, column, SCORES[row], noise))


def test_scores_and_gains_have_the_shapes_that_they_promise() -> None:
    cells = cells_with(NO_NOISE)
    assert cells.score("a", "x").shape == cells.gain("a", "x").shape == (1 + DRAWS,)
    assert cells.scores("both", "x").shape == (2, 1 + DRAWS)
    assert cells.gains("both", "two").shape == (2, 2, 1 + DRAWS)
    assert cells.gains("both", "two")[:, :, 0].tolist() == [[1.0, 1.0], [5.0, 5.0]]
    assert cells.gains("translated", "x", plain_row)[:, 0, 0].tolist() == [-1.0]


def test_draws_have_the_noise_of_their_cell_and_start_with_what_was_measured() -> None:
    for noise, sd in [(Noise(2.0), 2.0), (Noise(2.0, 10), 2.0 * np.sqrt(10 / 8))]:
        drawn = cells_with(noise).score("a", "x")
        assert drawn[0] == 51
        assert float(np.std(drawn[1:])) == pytest.approx(sd, rel=0.06)
        assert float(np.mean(drawn[1:])) == pytest.approx(51, abs=0.15)


def test_what_two_gains_share_cancels() -> None:
    cells = cells_with(Noise(3.0))
    of_gains = cells.gain("a", "x") - cells.gain("b", "x")
    assert np.allclose(of_gains, cells.score("a", "x") - cells.score("b", "x"))


def test_cells_are_drawn_independently_and_always_alike() -> None:
    first, second = (cells_with(Noise(1.0)).score(row, "x")[1:] for row in ("a", "b"))
    assert abs(float(np.corrcoef(first, second)[0, 1])) < 0.06
    # Whatever was drawn before it.
    assert np.array_equal(second, cells_with(Noise(1.0)).score("b", "x")[1:])


def test_every_cell_that_is_needed_is_named_in_the_order_of_use() -> None:
    assert claim_named("best-gain").needs([NONE, BEST]) == (
        ((BEST, OVERALL), (NONE, OVERALL)),
        None,
    )
    needed, absent = claim_named("english-over-translated").needs([NONE, "mnli", "mnli@de"])
    assert (needed, absent) == ((("mnli@de", AVERAGE), ("mnli", AVERAGE)), None)


def test_a_set_of_which_the_table_has_no_row_is_named() -> None:
    assert claim_named("english-over-translated").needs([NONE, "mnli"]).absent == "translated"


def test_every_claim_says_when_it_holds() -> None:
    for claim in CLAIMS.claims:
        assert claim.condition.endswith("."), claim.id
        assert "Source" not in claim.condition


GOOD = """\
scale: paper
citation: c
sources: {s: the source}
sets: {both: [mnli, qqp]}
seed_sd: {average: 0.5}
seed_sd_reason: assumed
claims:
  - id: mnli-gain
    title: t
    statement: what it says
    source: s
    experiment: table2
    about: direction
    numbers: {reported: 7.5, tolerance: 3}
    inconclusive: within noise
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "claims.yaml"
    path.write_text(text)
    return path


def test_a_claim_carries_its_source_in_words(tmp_path: Path) -> None:
    [claim] = load_claims(write(tmp_path, GOOD)).claims
    assert (claim.id, claim.source, claim.experiment) == ("mnli-gain", "the source", "table2")
    assert claim.numbers == {"reported": 7.5, "tolerance": 3.0}


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("source: s", "source: z", "mnli-gain"),
        ("id: mnli-gain", "id: mnly-gain", "did you mean 'mnli-gain'"),
        (", tolerance: 3", "", "mnli-gain"),
        ("tolerance: 3", "tolerence: 3", "numbers that decide"),
        ("tolerance: 3", "tolerance: 3, at_least: 5", "numbers that decide"),
        ("tolerance: 3", "tolerance: '3'", "tolerance"),
        ("tolerance: 3", "tolerance: .inf", "finite"),
        ("experiment: table2", "experiment: table9", "table9"),
        ("about: direction", "about: both", "about"),
        ("title: t", "titel: t", "titel|title"),
        ("scale: paper", "scale: huge", "scale"),
        ("    title: t\n", "    title: t\n    title: u\n", "duplicate"),
        ("claims:\n", "claims:\n" + GOOD.partition("claims:\n")[2], "given twice"),
    ],
)
def test_a_file_that_is_not_strict_is_refused(
    tmp_path: Path, old: str, new: str, place: str
) -> None:
    assert old in GOOD
    with pytest.raises(ArtifactError, match=place):
        load_claims(write(tmp_path, GOOD.replace(old, new, 1)))
