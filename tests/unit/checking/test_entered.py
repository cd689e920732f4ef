"""Values entered from the paper: the right cell, once, as printed; the shipped file as it was."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import EXPERIMENTS, headings
from stilts_artifact.benchmark.titles import column_title, find_name
from stilts_artifact.checking.entered import (
    count_filled,
    enter,
    parse_cell,
    read_entries,
    template,
)
from stilts_artifact.checking.expected import (
    ENTERED,
    Entry,
    expected_path,
    expected_root,
    load_expected,
    load_shipped,
)
from stilts_artifact.checking.sums import SUMS, refresh_sums, verify_sums
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.errors import (
    ArtifactError,
    ConfigError,
    DataError,
    IntegrityError,
    ResourceError,
)

SOURCE = "Table 2 of arXiv 2005.13013v2, page 5"
TASKS = ("xnli", "pawsx", "udpos", "panx", "xquad", "mlqa", "tydiqa", "bucc2018", "tatoeba")


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    """A copy of the shipped expected values with its sums."""
    folder = tmp_path / "expected_results"
    shutil.copytree(expected_root(), folder)
    refresh_sums(folder)
    return folder / "paper"


def entry(cell: str, printed: str, source: str = SOURCE) -> Entry:
    return Entry(CellKey(*cell.split(",")), printed, source, "--cell")


def overlay(folder: Path) -> list[str]:
    """The lines of the entered values, without the header."""
    return (folder / ENTERED).read_text().splitlines()[1:]


@pytest.mark.slow
def test_a_null_cell_is_filled_and_nothing_else_changes(paper: Path) -> None:
    path = paper / "table2.yaml"
    shipped, before = path.read_bytes(), load_expected(path)
    assert enter(path, [entry("mnli,xnli", "80.1")]) == [CellKey("mnli", "xnli")]
    after = load_expected(path)
    cell = after.cells[CellKey("mnli", "xnli")]
    assert (cell.value, cell.decimals, cell.source, cell.reason) == (80.1, 1, SOURCE, None)
    assert [key for key in after.cells if after.cells[key] != before.cells[key]] == [cell.key]
    assert list(after.cells) == list(before.cells)
    assert path.read_bytes() == shipped
    assert overlay(paper) == [f'table2,mnli,xnli,,80.1,,"{SOURCE}"']
    assert verify_sums(paper.parent) > 0


def test_every_source_is_read_back_as_it_was(paper: Path) -> None:
    path = paper / "table2.yaml"
    enter(path, [entry("mnli,xnli", "80.1"), entry("mnli,pawsx", "80.2")])
    enter(
        path, [entry("mnli,udpos", "80.3"), entry("mnli,panx", "80.4", 'page 6: "Table 2" {x}, #y')]
    )
    cells = load_expected(path).cells
    assert cells[CellKey("mnli", "xnli")].source == SOURCE
    assert cells[CellKey("mnli", "panx")].source == 'page 6: "Table 2" {x}, #y'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "printed", "source", "fault"),
    [
        ("mnly,xnli", "80.1", SOURCE, "no such cell"),
        ("mnli,xnly", "80.1", SOURCE, "no such cell"),
        ("mnli,xnli,de", "80.1", SOURCE, "no such cell"),
        ("mnli,xnli", "801.1", SOURCE, "not a score"),
        ("mnli,xnli", "-0.1", SOURCE, "not a printed number"),
        ("mnli,xnli", "nan", SOURCE, "not a printed number"),
        ("mnli,xnli", "1e1", SOURCE, "not a printed number"),
        ("mnli,xnli", "080.1", SOURCE, "not a printed number"),
        ("mnli,xnli", "8_0.1", SOURCE, "not a printed number"),
        ("mnli,xnli", "9" * 5000, SOURCE, "not a printed number"),
        ("mnli,xnli", "80,1", SOURCE, "not a printed number"),
        ("mnli,xnli", "\u0668\u0660.1", SOURCE, "not a printed number"),
        ("mnli,xnli", "80.1, tolerance: 99", SOURCE, "not a printed number"),
        ("mnli,xnli", "80.12", SOURCE, "decimals"),
        ("mnli,xnli", "80", SOURCE, "decimals"),
        ("mnli,xnli", "80.1", "", "needs its source"),
        ("mnli,xnli", "80.1", "page\n5", "needs its source"),
        ("mnli,xnli", "80.1", "x" * 501, "needs its source"),
        ("none,bucc2018", "71.4", SOURCE, "has another value"),
        ("none,bucc2018", "71.50", SOURCE, "decimals"),
    ],
)
@pytest.mark.parametrize("as_printed", [False, True])
def test_a_wrong_entry_is_refused_and_nothing_is_written(
    paper: Path, cell: str, printed: str, source: str, fault: str, as_printed: bool
) -> None:
    path = paper / "table2.yaml"
    entries = [entry("mnli,pawsx", "85.0"), entry(cell, printed, source)]
    with pytest.raises(ConfigError, match=fault) as caught:
        enter(path, entries, as_printed=as_printed)
    assert (caught.value.where or "").startswith("--cell: ")
    assert not (paper / ENTERED).exists()
    verify_sums(paper.parent)


@pytest.mark.slow
def test_a_value_is_replaced_only_on_request(paper: Path) -> None:
    path = paper / "table2.yaml"
    assert enter(path, [entry("none,bucc2018", "71.5")]) == [], "the same value is no change"
    assert enter(path, [entry("none,bucc2018", "71.4")], replace=True) == [
        CellKey("none", "bucc2018")
    ]
    assert load_expected(path).cells[CellKey("none", "bucc2018")].value == 71.4
    assert overlay(paper) == [f'table2,none,bucc2018,,71.4,71.5,"{SOURCE}"'], "said to be replaced"


@pytest.mark.slow
def test_an_entered_value_is_replaced_only_on_request_too(paper: Path) -> None:
    path = paper / "table2.yaml"
    enter(path, [entry("mnli,xnli", "80.1"), entry("mnli,pawsx", "85.0")])
    with pytest.raises(ConfigError, match="has another value"):
        enter(path, [entry("mnli,xnli", "80.2")])
    enter(path, [entry("mnli,xnli", "80.2")], replace=True)
    assert [line.split(",")[4:6] for line in overlay(paper)] == [["80.2", ""], ["85.0", ""]]


def test_experiments_share_the_file_and_do_not_meet(paper: Path) -> None:
    # The groups that the table prints are not the means of its rounded tasks.
    enter(paper / "table3.yaml", [entry("none,bucc2018", "66.0")], as_printed=True)
    enter(paper / "table2.yaml", [entry("mnli,xnli", "80.1")])
    assert [line.partition(",")[0] for line in overlay(paper)] == ["table2", "table3"]
    assert load_expected(paper / "table3.yaml").cells[CellKey("none", "bucc2018")].value == 66.0
    assert load_expected(paper / "table2.yaml").cells[CellKey("none", "bucc2018")].value == 71.5


def test_a_cell_cannot_be_entered_twice(paper: Path) -> None:
    with pytest.raises(ConfigError, match="twice"):
        enter(paper / "table2.yaml", [entry("mnli,xnli", "80.1"), entry("mnli,xnli", "80.1")])


def whole_row(average: str) -> list[Entry]:
    """Nine scores of 70.0 to 78.0, whose mean is 74, and an average."""
    scores = [entry(f"mnli,{task}", f"{70 + number}.0") for number, task in enumerate(TASKS)]
    return [*scores, entry("mnli,average", average)]


@pytest.mark.slow
@pytest.mark.parametrize("average", ["73.9", "74.0", "74.1"])
def test_an_average_may_differ_by_rounding(paper: Path, average: str) -> None:
    assert len(enter(paper / "table2.yaml", whole_row(average))) == 10


@pytest.mark.slow
@pytest.mark.parametrize("average", ["73.8", "74.2", "47.0"])
def test_an_average_that_its_cells_do_not_give_is_an_error(paper: Path, average: str) -> None:
    path = paper / "table2.yaml"
    with pytest.raises(ConfigError, match="not the mean") as caught:
        enter(path, whole_row(average))
    assert "mnli/average" in str(caught.value)
    assert not (paper / ENTERED).exists()
    assert len(enter(path, whole_row(average), as_printed=True)) == 10


@pytest.mark.slow
def test_the_last_cell_of_a_row_completes_the_check(paper: Path) -> None:
    path = paper / "table2.yaml"
    row = whole_row("74.0")
    enter(path, [*row[:3], *row[4:]])
    with pytest.raises(ConfigError, match="not the mean"):
        enter(path, [entry("mnli,panx", "37.0")])
    enter(path, [row[3]])


def test_a_score_that_its_two_parts_do_not_give_is_an_error(paper: Path) -> None:
    parts = [entry("mnli,xquad_f1", "76.0"), entry("mnli,xquad_em", "60.0")]
    enter(paper / "table2.yaml", [*parts, entry("mnli,xquad", "68.0")])
    with pytest.raises(ConfigError, match="mnli/xquad"):
        enter(paper / "table2.yaml", [entry("mnli,xquad", "86.0")], replace=True)


def test_counts_have_no_upper_end(paper: Path) -> None:
    path = paper / "table1.yaml"
    null = next(key for key, cell in load_expected(path).cells.items() if cell.value is None)
    name = ",".join(part for part in (null.row, null.column, null.language) if part)
    assert enter(path, [entry(name, "392702")]) == [null]
    assert str(load_expected(path).cells[null].value) == "392702"


def test_an_edited_file_is_not_summed_anew(paper: Path) -> None:
    path = paper / "table2.yaml"
    path.write_text(path.read_text().replace("value: 71.5", "value: 17.5"))
    with pytest.raises(IntegrityError):
        enter(path, [entry("mnli,xnli", "80.1")])


@pytest.mark.slow
def test_an_edited_overlay_is_noticed_by_whoever_reads_it(paper: Path) -> None:
    path, beside = paper / "table2.yaml", paper / ENTERED
    enter(path, [entry("mnli,xnli", "80.1")])
    beside.write_text(beside.read_text().replace("80.1", "80.9"))
    for read in (load_expected, lambda path: enter(path, [entry("mnli,pawsx", "85.0")])):
        with pytest.raises(IntegrityError):
            read(path)
    beside.unlink()
    with pytest.raises(DataError, match="cannot read"):
        load_expected(path)


def test_an_overlay_that_nobody_summed_is_refused(paper: Path) -> None:
    (paper / ENTERED).write_text(HEADER)
    with pytest.raises(IntegrityError):
        load_expected(paper / "table2.yaml")


HEADER = "experiment,row,column,language,value,replaces,source\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("table2,mnli,xnli,,80.1,,p. 5\n" * 2, "twice"),
        ("table9,mnli,xnli,,80.1,,p. 5\n", "unknown experiment"),
        ("table2,mnly,xnli,,80.1,,p. 5\n", "for no cell"),
        ("table2,mnli,xnli,,80.12,,p. 5\n", "decimals"),
        ("table2,mnli,xnli,,nan,,p. 5\n", "not an entered value"),
        ("table2,mnli,xnli,,80.1,,\n", "not an entered value"),
        ("table2,mnli,xnli,,80.1,79.9,p. 5\n", "changed since"),
        ("table2,none,bucc2018,,71.4,,p. 5\n", "changed since"),
        ("table2,mnli,xnli,80.1,,p. 5\n", "another length"),
        ('table2,mnli,xnli,,80.1,,"p. 5\n', "not CSV"),
    ],
)
def test_a_malformed_overlay_is_refused_by_line(paper: Path, lines: str, fault: str) -> None:
    (paper / ENTERED).write_text(HEADER + lines)
    refresh_sums(paper.parent)
    with pytest.raises(ArtifactError, match=fault) as caught:
        load_expected(paper / "table2.yaml")
    assert f"{ENTERED}:" in str(caught.value)


def test_recorded_values_are_not_entered(paper: Path) -> None:
    with pytest.raises(ConfigError, match="recorded values are not entered"):
        enter(paper.parent / "mini" / "table1.yaml", [entry("mnli,train,qen", "3")])


def test_a_baseline_is_not_entered_past_the_command_either(paper: Path) -> None:
    mini = paper.parent / "mini"
    (mini / ENTERED).write_text(HEADER + "table1,mnli,train,qen,3,6000,p. 5\n")
    refresh_sums(paper.parent)
    with pytest.raises(ConfigError, match="over a recorded one"):
        load_expected(mini / "table1.yaml")


def test_a_full_disk_changes_nothing(paper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path, sums = paper / "table2.yaml", paper.parent / SUMS
    enter(path, [entry("mnli,pawsx", "85.0")])
    before = (paper / ENTERED).read_bytes(), sums.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError):
        enter(path, [entry("mnli,xnli", "80.1")])
    assert ((paper / ENTERED).read_bytes(), sums.read_bytes()) == before


def csv_file(folder: Path, text: str) -> Path:
    path = folder / "values.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_many_values_come_from_csv(paper: Path, tmp_path: Path) -> None:
    path = paper / "table2.yaml"
    table = csv_file(
        tmp_path, '\ufeffrow,column,value,source\nmnli,xnli,80.1,"p. 5, top"\nmnli,pawsx,86.1,\n'
    )
    entries = read_entries(table, SOURCE, load_expected(path))
    assert [item.source for item in entries] == ["p. 5, top", SOURCE]
    assert len(enter(path, entries)) == 2


def lines_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_template_has_every_cell_without_a_value_as_the_paper_prints_it() -> None:
    table = load_shipped(expected_path("paper", "table2"))
    lines = lines_of(template(table))
    empty = [str(key) for key, cell in table.cells.items() if cell.value is None]
    assert [line["cell"] for line in lines] == empty
    assert {line["value"] + line["source"] for line in lines} == {""}
    printed = {line["cell"]: (line["row"], line["column"]) for line in lines}
    assert printed["none/udpos"] == ("XLM-R", "POS")
    assert printed["squad_v2+mlm/tydiqa_f1"] == ("SQuAD v2.0 + MLM", "TyDiQA F1")
    assert printed["multi/average"] == ("Multi-task", "Average")


def test_the_template_of_counts_names_the_language() -> None:
    lines = lines_of(template(load_shipped(expected_path("paper", "table1"))))
    assert {
        "row": "POS",
        "column": "dev",
        "language": "fr",
        "cell": "udpos/dev/fr",
    }.items() <= next(line for line in lines if line["cell"] == "udpos/dev/fr").items()


def test_a_recorded_table_has_no_template() -> None:
    with pytest.raises(ConfigError, match="recorded values are not entered"):
        template(load_shipped(expected_path("mini", "table1")))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["table1", "table2", "table3"])
def test_a_filled_template_enters_every_cell(paper: Path, tmp_path: Path, name: str) -> None:
    path = paper / f"{name}.yaml"
    table = load_expected(path)
    lines = template(table).splitlines()
    digits = "70" if EXPERIMENTS[name].is_counted else "70.0"
    # Value and source are the two empty fields before the last.
    filled = [f",{digits},,".join(line.rsplit(",,,", 1)) for line in lines[1:]]
    entries = read_entries(csv_file(tmp_path, "\n".join([lines[0], *filled])), SOURCE, table)
    assert len(enter(path, entries, as_printed=True)) == len(lines) - 1
    after = load_expected(path)
    assert template(after).splitlines() == lines[:1]
    total = len(after.cells)
    assert (
        count_filled(after) == f"{total} of {total} cells of {EXPERIMENTS[name].title} have a value"
    )


def test_lines_without_a_value_are_skipped(tmp_path: Path) -> None:
    table = load_shipped(expected_path("paper", "table2"))
    text = template(table).replace("MNLI,POS,,,,", "MNLI,POS,,75.1,p. 5,")
    [only] = read_entries(csv_file(tmp_path, text), None, table)
    assert (only.key, only.printed, only.source) == (CellKey("mnli", "udpos"), "75.1", "p. 5")
    with pytest.raises(ConfigError, match="no line has a value"):
        read_entries(csv_file(tmp_path, template(table)), SOURCE, table)


def test_the_zeros_that_a_spreadsheet_drops_are_put_back(paper: Path, tmp_path: Path) -> None:
    path = paper / "table2.yaml"
    found = read_entries(
        csv_file(tmp_path, "row,column,value\nMNLI,POS,80\nMNLI,NER,60.12\n"),
        SOURCE,
        load_expected(path),
    )
    assert [item.printed for item in found] == ["80.0", "60.12"]
    with pytest.raises(ConfigError, match="another number of decimals"):
        enter(path, found)


def test_a_line_that_was_sorted_apart_is_noticed(tmp_path: Path) -> None:
    text = "row,column,value,cell\nMNLI,POS,75.1,mnli/udpos\nMNLI,NER,60.1,qqp/panx\n"
    with pytest.raises(ConfigError, match="names two cells") as caught:
        table = load_shipped(expected_path("paper", "table2"))
        read_entries(csv_file(tmp_path, text), SOURCE, table)
    assert (caught.value.where or "").endswith("values.csv:3")


def test_every_wrong_line_is_named_and_nothing_is_entered(paper: Path, tmp_path: Path) -> None:
    path = paper / "table2.yaml"
    table = load_expected(path)
    unknown = "row,column,value\nMNLI,POS,75.1\nMNLY,POS,75.2\nQQP,PAWS,75.3\nQQP,X,1\n"
    with pytest.raises(ConfigError, match="3 faults; nothing was entered") as caught:
        read_entries(csv_file(tmp_path, unknown), SOURCE, table)
    assert all(f"values.csv:{line}: " in (caught.value.got or "") for line in (3, 4, 5))
    wrong = "row,column,value\nMNLI,POS,75.1\nMNLI,NER,861\nQQP,POS,75.25\n"
    with pytest.raises(ConfigError, match="2 faults; nothing was entered") as caught:
        enter(path, read_entries(csv_file(tmp_path, wrong), SOURCE, table))
    assert all(f"values.csv:{line}: " in (caught.value.got or "") for line in (3, 4))
    assert not (paper / ENTERED).exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "cell"),
    [
        ("MNLI,POS", "mnli/udpos"),
        ("mnli,pos", "mnli/udpos"),
        ("XLM-R,NER", "none/panx"),
        ("xlmr, paws-x", "none/pawsx"),
        ("SQuAD v2.0,Avg", "squad_v2/average"),
        ("squad_v2, avg.", "squad_v2/average"),
        ("mnli + mlm,BUCC", "mnli+mlm/bucc2018"),
        ("Multi-task,TyDiQA-GoldP", "multi/tydiqa"),
        ("ANLI+,TyDiQA F1", "anli_plus/tydiqa_f1"),
        ("ANLI+ + MLM,Tatoeba", "anli_plus+mlm/tatoeba"),
    ],
)
def test_names_are_taken_as_people_type_them(typed: str, cell: str) -> None:
    assert str(parse_cell(typed, load_shipped(expected_path("paper", "table2")))) == cell


@pytest.mark.slow
def test_a_language_is_taken_by_code_or_name() -> None:
    table = load_shipped(expected_path("paper", "table1"))
    keys = [parse_cell(f"POS,dev,{word}", table) for word in ("fr", "FR", "French")]
    assert {str(key) for key in keys} == {"udpos/dev/fr"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("SQuAD,POS", "SQuAD v2.0 (squad_v2), SQuAD v1.1 (squad_v1), SQuAD v2.0 + MLM"),
        ("mnly,xnli", "did you mean 'mnli'"),
        ("mnli,xnly", "did you mean 'xnli'"),
        ("none,Paws", "PAWS-X (pawsx)"),
    ],
)
def test_a_name_that_is_not_one_alone_lists_what_it_could_be(typed: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_cell(typed, load_shipped(expected_path("paper", "table2")))
    assert said in str(caught.value)
    assert caught.value.where == "--cell"


@pytest.mark.slow
@pytest.mark.parametrize("name", list(EXPERIMENTS))
@pytest.mark.parametrize("benchmark", ["mini", "xtreme"])
def test_everything_that_a_row_or_column_is_called_means_it_alone(
    benchmark: str, name: str
) -> None:
    loaded = load_benchmark("mini" if benchmark == "mini" else "xtreme")
    rows = {row: (found.title,) for row, found in headings(EXPERIMENTS[name], loaded).items()}
    columns = {
        column: column_title(column, loaded).words
        for column in [*loaded.tasks, "xquad_f1", "mlqa_em", *EXPERIMENTS[name].averages]
    }
    for known in (rows, columns):
        for own, words in known.items():
            assert {find_name("name", word, known) for word in (own, *words)} == {own}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("row,column,value,source\nmnli,xnli\n", 2),
        ("row,column,value,source\nmnli,xnli,80.1,a,b\n", 2),
        ("row,column,values,source\n", 1),
        ("row,row,column,value\n", 1),
        ("", 1),
        ('row,column,value,source\nmnli,xnli,"80.1,a\n', 2),
    ],
)
def test_a_malformed_csv_is_refused_by_line(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(DataError, match=rf"values\.csv:{line}"):
        table = load_shipped(expected_path("paper", "table2"))
        read_entries(csv_file(tmp_path, text), SOURCE, table)


def test_a_wrong_line_of_a_csv_is_named(paper: Path, tmp_path: Path) -> None:
    path = paper / "table2.yaml"
    table = csv_file(tmp_path, "row,column,value\nmnli,xnli,80.1\nmnli,pawsx,861\n")
    with pytest.raises(ConfigError, match=r"values\.csv:3"):
        enter(path, read_entries(table, SOURCE, load_expected(path)))


@pytest.mark.slow
@pytest.mark.parametrize("text", ["mnli", "mnli,", "a,b,c,d", "", ",xnli"])
def test_a_cell_has_a_row_and_a_column(text: str) -> None:
    with pytest.raises(ConfigError, match="not a cell"):
        parse_cell(text, load_shipped(expected_path("paper", "table2")))
