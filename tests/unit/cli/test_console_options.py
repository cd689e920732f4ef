"""How much a command says, what can be listed, and what a shell completes words to."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.checking.studies import load_protocol
from stilts_artifact.cli import options, progress
from stilts_artifact.cli.ending import run
from stilts_artifact.cli.ls import LISTS
from stilts_artifact.config import SCALES
from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.tasks import Split, Task
from stilts_artifact.errors import ConfigError

MINI = load_benchmark("mini")


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    options.set_detail(verbose=False, quiet=False)
    yield
    options.set_detail(verbose=False, quiet=False)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(arguments, debug=False)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.slow
@pytest.mark.parametrize("command", [(), ("reproduce",), ("expected",), ("expected", "sums")])
def test_h_is_help_everywhere(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    short = answer(capsys, *command, "-h")
    assert short == answer(capsys, *command, "--help")
    assert short[0] == 0 and "Usage: stilts-artifact" in short[1]


@pytest.mark.parametrize("line", [("--quiet", "schema"), ("schema", "--quiet")])
def test_how_much_is_said_may_stand_anywhere(
    line: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = answer(capsys, *line)
    assert code == 0 and json.loads(out)
    assert options.detail() is options.Detail.QUIET


def test_both_at_once_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = answer(capsys, "schema", "--quiet", "--verbose")
    assert code == 2 and "--verbose and --quiet exclude each other" in err


# What is said of files that come in


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def bring(*files: tuple[str, int, int, str]) -> None:
    with progress.download_progress() as shown:
        for name, total, came, doing in files:
            shown.start(name, total, doing)  # type: ignore[arg-type]
            shown.advance(came)
            shown.finish()


FILES = (
    ("a.zip", 1000, 1000, "generating"),
    ("b.zip", 2000, 2000, "generating"),
    ("c.zip", 3000, 3000, "fetching"),
    ("large.zip", 20_000_000, 20_000_000, "fetching"),
    ("broken.zip", 500, 20, "fetching"),
)


def test_files_are_counted_and_only_large_and_lost_ones_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    bring(*FILES)
    lines = [
        line.partition(" in ")[0].partition(" at ")[0] for line in stream.getvalue().split("\n")
    ]
    assert lines == [
        "fetched large.zip: 20.0 MB",
        "gave up broken.zip: 20 B",
        "generated 2 files, 3.00 kB,",
        "fetched 1 file, 3.00 kB,",
        "",
    ]


def test_verbose_lists_each_file_and_quiet_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    options.set_detail(verbose=True, quiet=False)
    bring(*FILES)
    assert [line.split()[:2] for line in stream.getvalue().splitlines()] == [
        ["generated", "a.zip:"],
        ["generated", "b.zip:"],
        ["fetched", "c.zip:"],
        ["fetched", "large.zip:"],
        ["gave", "up"],
    ]
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    options.set_detail(verbose=False, quiet=True)
    bring(*FILES)
    count(3)
    assert stream.getvalue() == ""


def test_a_terminal_keeps_the_same_lines_and_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    bring(*FILES)
    shown = stream.getvalue()
    assert "generated 2 files, 3.00 kB" in shown and "fetched large.zip: 20.0 MB" in shown
    assert "a.zip:" not in shown


def test_a_bar_is_one_line_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    bring(("bucc2018-qaa-qen.training-gold.tar.bz2", 40_000, 30_000, "generating"))
    drawn = stream.getvalue().partition("gave up")[0]
    assert "generating bucc" in drawn and "tar.bz2" in drawn
    assert "0.0/40.0 kB" in drawn, "sizes are not wrapped"
    assert "\n" not in drawn


def count(rows: int) -> None:
    tasks: list[Task] = list(MINI.tasks.values())[:rows]
    with progress.row_progress(rows) as started:
        for task in tasks:
            started(task)


def test_rows_are_told_of_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute of silence would worry people; eighteen lines in ten seconds bore them."""
    now = 100.0

    def clock() -> float:
        nonlocal now
        now += 12.0
        return now

    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    monkeypatch.setattr(progress.time, "monotonic", clock)
    count(7)
    assert stream.getvalue().splitlines() == [
        "reading QQP (3 of 7)",
        "reading HellaSwag (6 of 7)",
        "read 7 tasks in 1 min 36 s",
    ]


@pytest.mark.parametrize("group", [[], ["expected"], ["container"], ["store"], ["cluster"]])
def test_no_line_about_a_command_is_cut_off(
    group: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = answer(capsys, *group, "--help")
    commands = out.partition("Commands:")[2]
    assert code == 0 and len(commands.splitlines()) > 2
    assert "..." not in commands
    assert commands.rstrip().endswith(".")


# What can be listed


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, str | int]]:
    code, out, err = answer(capsys, "ls", *arguments, "--json")
    assert code == 0, err
    found: list[dict[str, str | int]] = json.loads(out)
    return found


@pytest.mark.slow
def test_names_that_are_listed_are_those_that_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    names = {
        what: [one["name"] for one in listed(capsys, what, "--scale", "mini")] for what in LISTS
    }
    assert names["tasks"] == list(MINI.tasks)
    assert names["scales"] == list(SCALES)
    assert names["studies"] == list(options.studies())
    assert names["rows"][0] == "none" and "mnli@qab" in names["rows"]
    assert names["columns"][:2] == ["xnli", "pawsx"] and names["columns"][-1] == "average"
    study = [one["name"] for one in listed(capsys, "rows", "--study", "001", "--scale", "mini")]
    assert study == ["none", "feats", "upos", "feats-shuffled", "ud-mlm"]


@pytest.mark.slow
@pytest.mark.parametrize("what", LISTS)
def test_a_list_for_people_has_the_same_names(
    what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = answer(capsys, "ls", what, "--scale", "mini")
    assert code == 0
    words = [line.split()[0] for line in out.splitlines() if line.strip() and line[0] != " "]
    assert words == [
        what,
        "name",
        *(one["name"] for one in listed(capsys, what, "--scale", "mini")),
    ]


@pytest.mark.slow
def test_what_is_said_of_a_name_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    def of(name: str, *line: str) -> dict[str, str | int]:
        return next(one for one in listed(capsys, *line, "--scale", "mini") if one["name"] == name)

    said = {"name": "mnli+mlm", "title": "MNLI + MLM", "block": "English + MLM"}
    assert of("mnli+mlm", "rows") == said
    assert of("udpos", "columns")["languages"] == len(MINI.tasks["udpos"].languages_of(Split.DEV))
    assert of("udpos", "columns")["title"] == "POS"
    assert of("udpos", "tasks")["role"] == "target"
    assert "target, of studies" in {one["role"] for one in listed(capsys, "tasks")}
    assert of("mini", "scales")["seeds"] == len(load_scale("mini").seeds)
    protocol = load_protocol("000").protocol
    assert of("000", "studies")["hypotheses"] == len(protocol.hypotheses)
    counts = [one["name"] for one in listed(capsys, "columns", "--table", "1")]
    assert counts == ["train", "dev", "test", "languages"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("taks",), "did you mean 'tasks'?"),
        (("tasks", "--table", "2"), "which table?"),
        (("rows", "--table", "9"), "unknown table '9'"),
    ],
)
def test_what_cannot_be_listed_is_a_usage_error(
    line: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = answer(capsys, "ls", *line)
    assert code == 2 and said in err


def test_a_plan_names_all_studies_where_there_is_no_such_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, _, err = answer(capsys, "plan", "--study", "alll")
    assert code == 2 and "did you mean 'all'?" in err


# Completion


def completed(*words: str) -> list[str]:
    """What bash is told that the last of these words could be."""
    variables = {
        "_STILTS_ARTIFACT_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["stilts-artifact", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [sys.executable, "-m", "stilts_artifact"],
        capture_output=True,
        text=True,
        env=os.environ | variables,
        check=True,
    )
    return done.stdout.split()


def test_a_word_is_completed_from_its_beginning() -> None:
    assert options.completing(lambda: ["mini", "gemini", "minimal"])("mini") == ["mini", "minimal"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "answers"),
    [
        (("repr",), ["reproduce"]),
        (("reproduce", "--table", "2"), ["2", "2-test"]),
        (("reproduce", "--scale", "m"), ["mini"]),
        (("fetch", "--task", "squad"), ["squad_v2", "squad_v1"]),
        (("study", "a"), ["all"]),
        (("ls", "s"), ["scales", "studies"]),
    ],
)
def test_a_shell_is_told_what_a_word_could_be(words: tuple[str, ...], answers: list[str]) -> None:
    assert completed(*words) == answers


@pytest.mark.slow
def test_the_script_for_a_shell_calls_the_program(tmp_path: Path) -> None:
    done = subprocess.run(
        # Asked from a shell, as typer looks for one among the processes above it; not replaced by
        # the program, so that it is still there.
        ["bash", "-c", '"$0" -m stilts_artifact --show-completion bash; exit $?', sys.executable],
        capture_output=True,
        text=True,
        env=os.environ | {"SHELL": "/bin/bash"},
        check=True,
    )
    assert "_STILTS_ARTIFACT_COMPLETE=complete_bash" in done.stdout
    script = tmp_path / "completion.sh"
    script.write_text(done.stdout)
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_an_option_pair_is_an_error_of_usage() -> None:
    with pytest.raises(ConfigError, match="exclude"):
        options.set_detail(verbose=True, quiet=True)


@pytest.mark.slow
@pytest.mark.parametrize("only", [",", "", " , "])
def test_cells_that_name_nothing_are_not_everything(
    only: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    line = ("reproduce", "--table", "2", "--scale", "mini", "--results", str(tmp_path))
    code, _, err = answer(capsys, *line, "--only", only, "--dry-run")
    assert code == 2 and "no name of cells" in err
