"""Two rows compared: from verified predictions, like with like, and the same at every run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

import stilts_artifact
from benchmarks.checking import file_records
from stilts_artifact.checking.compare import Gain, RowComparison, compare_rows
from stilts_artifact.checking.results import load_results
from stilts_artifact.checking.sums import refresh_sums
from stilts_artifact.cli import main
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.errors import ConfigError, IntegrityError, MissingDataError
from stilts_artifact.forms.pair import Pair
from stilts_artifact.metrics.tables import table_values
from tests.unit.checking.small import ROWS, SmallSet

PAGE = Path(__file__).parents[3] / "docs" / "comparing-rows.md"
only_table2 = pytest.mark.parametrize("small", ["table2"], indirect=True)


def compare(small: SmallSet, *columns: str, languages: tuple[str, ...] = ()) -> RowComparison:
    first, second = ROWS[small.experiment]
    return compare_rows(small.results_file, (first, second), columns, languages)


def edit(small: SmallSet, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(small.results_file.read_text())
    change(document)
    small.results_file.write_text(json.dumps(document))


def by_place(compared: RowComparison) -> dict[tuple[str, str | None], Gain]:
    return {(gain.column, gain.language): gain for gain in compared.gains}


@pytest.mark.slow
def test_differences_are_those_of_the_cells_in_every_column_and_language(small: SmallSet) -> None:
    results = load_results(small.results_file)
    rows = ROWS[small.experiment]
    values = table_values(small.run, results.benchmark, results.defined, rows, results.seeds)
    gains = by_place(compare(small, languages=("*",)))
    assert {(key.column, key.language) for key in values} == gains.keys()
    for (column, language), gain in gains.items():
        first, second = (values[CellKey(row, column, language)].seeds for row in rows)
        assert (gain.first, gain.second) == pytest.approx((fmean(first), fmean(second)))
        apart = [b - a for a, b in zip(first, second, strict=True)]
        assert gain.seeds == pytest.approx(apart)
        assert gain.difference.value == pytest.approx(fmean(apart))
        assert gain.difference.low < gain.difference.value < gain.difference.high
        assert 0 < gain.p <= gain.corrected <= 1


@pytest.mark.slow
@only_table2
def test_an_interval_without_zero_and_a_small_p_go_together(small: SmallSet) -> None:
    gains = compare(small, languages=("*",)).gains
    clear = [gain for gain in gains if gain.difference.low > 0 or gain.difference.high < 0]
    assert 0 < len(clear) < len(gains)
    for gain in gains:
        assert gain.p < 0.1 if gain in clear else gain.p > 0.02


@pytest.mark.slow
@only_table2
def test_names_decide_the_draws_and_only_holm_knows_what_else_is_shown(small: SmallSet) -> None:
    whole, few = by_place(compare(small)), compare(small, "xquad*", "average")
    assert [gain.column for gain in few.gains] == ["xquad", "xquad_f1", "xquad_em", "average"]
    for gain in few.gains:
        same = whole[gain.column, None]
        assert (gain.difference, gain.p) == (same.difference, same.p)
        assert gain.corrected <= same.corrected


@only_table2
def test_rows_of_unlike_signatures_are_refused_in_words(small: SmallSet) -> None:
    def of_another_encoder(document: dict[str, Any]) -> None:
        for cell in document["cells"]:
            if cell["row"] == "mnli":
                cell["signature"] = cell["signature"].replace("|enc:made-up|", "|enc:another|")

    edit(small, of_another_encoder)
    with pytest.raises(ConfigError, match="cannot be averaged or compared: encoder differs"):
        compare(small, "xnli")


@only_table2
def test_a_prediction_that_was_touched_is_refused(small: SmallSet) -> None:
    path = small.run / "predictions/mnli/seed-0/xnli/dev-qaa.tsv"
    path.write_text("neutral\n" * len(path.read_text().splitlines()))
    with pytest.raises(IntegrityError, match="not the one the results rest on"):
        compare(small)


@only_table2
def test_a_prediction_that_changes_between_verifying_and_counting_is_refused(
    small: SmallSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, count = small.run / "predictions/mnli/seed-0/xnli/dev-qaa.tsv", Pair.count_together

    def late(form: Pair, *rest: Any) -> Any:
        path.write_text("neutral\n" * len(path.read_text().splitlines()))
        return count(form, *rest)

    monkeypatch.setattr(Pair, "count_together", late)
    with pytest.raises(IntegrityError, match="not the one the results rest on"):
        compare(small, "xnli")


@only_table2
def test_a_value_that_predictions_do_not_give_is_refused(small: SmallSet) -> None:
    def raise_one(document: dict[str, Any]) -> None:
        document["cells"][0]["value"] += 1

    edit(small, raise_one)
    with pytest.raises(IntegrityError, match="predictions do not give"):
        compare(small)


@only_table2
def test_labels_that_are_not_the_benchmarks_are_refused(small: SmallSet) -> None:
    small.labels.write_text(re.sub(r"[0-9a-f]{64}", "0" * 64, small.labels.read_text()))
    refresh_sums(small.expected)
    with pytest.raises(IntegrityError, match="not the benchmark's"):
        compare(small)


@only_table2
@pytest.mark.parametrize(
    ("rows", "columns", "languages", "words"),
    [
        (("none", "mnil"), (), (), "unknown row 'mnil', did you mean 'mnli'"),
        (("none", "none"), (), (), "compared with itself"),
        (("none", "mnli"), ("xnil",), (), "unknown column 'xnil', did you mean 'xnli'"),
        (("none", "mnli"), (), ("qab",), "unknown language 'qab'"),
    ],
)
def test_unknown_names_are_usage_errors_with_a_hint(
    small: SmallSet,
    rows: tuple[str, str],
    columns: tuple[str, ...],
    languages: tuple[str, ...],
    words: str,
) -> None:
    with pytest.raises(ConfigError, match=words):
        compare_rows(small.results_file, rows, columns, languages)


@only_table2
def test_rows_columns_and_languages_are_named_as_people_type_them(small: SmallSet) -> None:
    typed = compare_rows(
        small.results_file, ("XLM-R", "MNLI"), ("pos",), ("Invented language qaa",)
    )
    named = compare_rows(small.results_file, ("none", "mnli"), ("udpos",), ("qaa",))
    assert (typed.first, typed.second) == ("none", "mnli")
    assert typed.gains == named.gains and len(named.gains) == 2


@only_table2
def test_a_row_that_was_not_run_is_missing(small: SmallSet) -> None:
    with pytest.raises(MissingDataError, match="row qqp was not run") as caught:
        compare_rows(small.results_file, ("none", "qqp"))
    assert caught.value.fix is not None and "reproduce --table 2" in caught.value.fix


@pytest.mark.slow
@only_table2
def test_columns_that_one_row_lacks_are_said_and_the_others_compared(small: SmallSet) -> None:
    shutil.rmtree(small.run / "predictions/mnli/seed-0/xnli")

    def without_xnli(document: dict[str, Any]) -> None:
        records = file_records(small.folder, small.run)
        document["files"] = [record.model_dump() for record in records]
        for cell in document["cells"]:
            if cell["row"] == "mnli" and cell["column"] in ("xnli", "average"):
                cell.update(value=None, signature="", reason="not asked for")

    edit(small, without_xnli)
    compared = compare(small)
    assert list(compared.absent) == ["xnli", "average"]
    assert "mnli has no value: no file predictions/mnli/" in compared.absent["xnli"]
    assert "xnli" not in by_place(compared) and ("tatoeba", None) in by_place(compared)
    with pytest.raises(MissingDataError, match="no column has a value of both rows"):
        compare(small, "xnli")


@only_table2
def test_the_library_compares_the_results_of_the_one_scale_that_is_there(small: SmallSet) -> None:
    found = stilts_artifact.compare_rows(small.folder, "none", "mnli", columns=["tatoeba"])
    assert found.gains == compare(small, "tatoeba").gains
    (small.folder / "table2.paper.json").touch()
    with pytest.raises(ConfigError, match="which scale is meant"):
        stilts_artifact.compare_rows(small.folder, "none", "mnli", columns=["tatoeba"])


@pytest.mark.slow
@only_table2
def test_the_example_of_the_page_runs_as_it_stands(
    small: SmallSet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(small.folder.parent)
    commands = re.findall(r"^(stilts-artifact compare .*)$", PAGE.read_text(), flags=re.M)
    assert len(commands) == 3
    printed = []
    for command in commands:
        monkeypatch.setattr(sys, "argv", shlex.split(command.partition(" #")[0]))
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        printed.append(capsys.readouterr())
    last = printed[0].out.splitlines()[-1]
    assert re.fullmatch(r"verdict: 16 differences, \d+ with a corrected p below 0.05; exit 0", last)
    assert "one seed: nothing here says how much another seed would change" in printed[0].out
    assert "mini: not evidence about the paper" in printed[0].out
    gains = json.loads(printed[2].out)["gains"]
    assert {(gain["column"], gain["language"]) for gain in gains} == {
        ("xnli", None),
        ("panx", None),
    }
