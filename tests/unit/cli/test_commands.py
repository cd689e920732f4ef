"""What commands say and return when they are used wrongly, or lack what they need."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stilts_artifact.cli import main
from stilts_artifact.cli.app import app
from tests.conftest import Run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["reproduce", "--table", "1", "--scale", "papper"], "did you mean 'paper'"),
        (["fetch", "--scale", "minni"], "did you mean 'mini'"),
        (["fetch", "--task", "xnlli"], "did you mean 'xnli'"),
        (["check", "--scale", "papper"], "did you mean 'paper'"),
        (
            ["score", "--predictions", "p", "--labels", "l", "--benchmark", "xtrem"],
            "did you mean 'xtreme'",
        ),
        (["reprodce"], "Did you mean 'reproduce'"),
        (["reproduce", "--tabel", "1"], "--table"),
        (["reproduce", "--table", "1; rm -rf /"], "expected: one of 1"),
        (["reproduce", "--table", ""], "expected: one of 1"),
        (["reproduce", "--table", "\u0661"], "expected: one of 1"),  # a digit one, in Arabic
    ],
)
def test_an_unknown_name_is_a_usage_error_with_a_hint(
    artifact: Run, arguments: list[str], suggestion: str
) -> None:
    answer = artifact(*arguments)
    assert answer.returncode == 2
    assert suggestion in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.slow
def test_a_data_folder_must_exist(artifact: Run, tmp_path: Path) -> None:
    answer = artifact("fetch", "--data", tmp_path / "none", "--offline")
    assert answer.returncode == 2
    assert str(tmp_path / "none") in answer.stderr


@pytest.mark.slow
def test_offline_fetch_lists_everything_missing_at_once(artifact: Run, tmp_path: Path) -> None:
    """In a few lines, a group of files each; every file with its sums in the JSON."""
    from stilts_artifact.benchmark import load_benchmark
    from stilts_artifact.data.fetch import sources_of

    answer = artifact("fetch", "--scale", "paper", "--offline", "--store", tmp_path)
    assert answer.returncode == 3
    lines = answer.stdout.splitlines()
    assert len(lines) < 40
    assert "11 files xquad.ar.json ... xquad.zh.json (13.3 MB)" in answer.stdout
    assert "40 files wikipedia.af.txt ... wikipedia.zh.txt" in answer.stdout
    assert "3 files FacebookAI/xlm-roberta-large/config.json" in answer.stdout
    assert lines[-1].startswith("verdict: 115 files missing: 0 of 115 downloadable files are here")
    detailed = artifact("fetch", "--scale", "paper", "--offline", "--store", tmp_path, "--json")
    report = json.loads(detailed.stdout)
    listed = {file["source"]: file for file in report["failures"] + report["by_hand"]}
    of_the_paper = sources_of(load_benchmark("xtreme"), [])
    assert len(listed) == len(of_the_paper) + 3, "and those of the encoder"
    for source in of_the_paper:
        assert source.obtain in listed[source.name]["fix"]
        assert source.bytes is None or f"{source.bytes:,}" in listed[source.name]["expected"]


@pytest.mark.slow
def test_fetch_doctor_and_auto_count_the_same_files(artifact: Run, tmp_path: Path) -> None:
    from stilts_artifact.benchmark import load_benchmark
    from stilts_artifact.benchmark.experiments import EXPERIMENTS
    from stilts_artifact.experiments.session import Display, Machine
    from stilts_artifact.experiments.setup import choose_scale

    source = load_benchmark("xtreme").sources["xquad.de.json"]
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / str(source.sha256)).write_text("counted, and not read")
    counted = "1 of 115 downloadable files are here, 41 to be brought by hand"
    doctor = artifact("doctor", "--results", tmp_path, "--store", tmp_path)
    assert counted in doctor.stdout
    machine = Machine(tmp_path)
    assert counted in choose_scale("auto", EXPERIMENTS["table1"], machine, Display())[1]
    (tmp_path / "files" / str(source.sha256)).unlink()
    fetched = artifact("fetch", "--scale", "paper", "--offline", "--store", tmp_path)
    assert counted.replace("1", "0", 1) in fetched.stdout


def test_auto_asks_for_what_a_study_reads_only_where_a_study_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from dataclasses import replace

    from stilts_artifact.benchmark import load_benchmark
    from stilts_artifact.benchmark.experiments import EXPERIMENTS
    from stilts_artifact.experiments import setup
    from stilts_artifact.experiments.session import Display, Machine

    paper = load_benchmark("xtreme")
    source = replace(paper.sources["xquad.de.json"], name="study.json", sha256="1" * 64)
    part = replace(paper.tasks["xquad"].parts["test", "de"][0], source=source.name)
    task = replace(paper.tasks["xquad"], name="xquad_xr", parts={("test", "de"): (part,)})
    task = replace(task, study=True)
    more = replace(
        paper,
        tasks={**paper.tasks, task.name: task},
        sources={**paper.sources, source.name: source},
    )
    monkeypatch.setattr(setup, "benchmark_of", lambda _: more)
    study = replace(EXPERIMENTS["table2-test"], name="study", columns=("xquad", "xquad_xr"))
    for experiment, files in ((EXPERIMENTS["table2"], 115), (study, 116)):
        _, reason = setup.choose_scale("auto", experiment, Machine(tmp_path), Display())
        assert f"0 of {files} downloadable files are here" in reason


@pytest.mark.slow
def test_the_list_of_missing_files_is_also_json(artifact: Run, tmp_path: Path) -> None:
    answer = artifact(
        "fetch", "--scale", "paper", "--task", "xquad", "--offline", "--store", tmp_path, "--json"
    )
    report = json.loads(answer.stdout)
    assert (report["present"], report["downloaded"]) == ([], [])
    assert {failure["exit_code"] for failure in report["failures"]} == {3}
    assert len(report["failures"]) == 12  # SQuAD's training file and eleven languages


@pytest.mark.slow
def test_a_store_that_cannot_be_made_is_a_resource_error(artifact: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    answer = artifact("fetch", "--scale", "mini", "--task", "tatoeba", "--store", tmp_path / "file")
    assert answer.returncode == 5
    assert "file" in answer.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("option", "name"), [("--crate", "table1.mini.json"), ("--out", "a.tsv")])
def test_a_report_never_replaces_a_results_file(
    artifact: Run, tmp_path: Path, option: str, name: str
) -> None:
    (tmp_path / name).write_text("mine", encoding="utf-8")
    done = artifact("report", "--results", tmp_path, option, tmp_path / name)
    assert (done.returncode, (tmp_path / name).read_text(encoding="utf-8")) == (2, "mine")
    assert "unknown kind of" in done.stderr


@pytest.mark.slow
def test_doctor_finds_this_machine_fit_for_the_mini_scale(artifact: Run, tmp_path: Path) -> None:
    answer = artifact("doctor", "--results", tmp_path, "--json")
    findings = {finding["subject"]: finding for finding in json.loads(answer.stdout)}
    assert answer.returncode == 0
    assert (
        findings["python"]["level"]
        == findings["disk"]["level"]
        == findings["results folder"]["level"]
        == "ok"
    )
    assert findings["data (paper)"]["level"] == "note"
    assert answer.stderr.splitlines()[-1] == "verdict: this machine can run the mini scale; exit 0"


@pytest.mark.slow
def test_doctor_fails_where_nothing_can_be_written(artifact: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    answer = artifact("doctor", "--results", tmp_path / "file")
    assert answer.returncode == 5
    assert "cannot be written" in answer.stdout


def heed_interrupts() -> None:
    """In a child before its program: a test run in the background inherits SIGINT as ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
def test_an_interrupt_exits_130(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "stilts_artifact",
        "fetch",
        "--scale",
        "mini",
        "--store",
        str(tmp_path),
    ]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    ) as process:
        while not any(tmp_path.rglob("*")) and process.poll() is None:
            time.sleep(0.05)  # until it works
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors and "verdict: interrupted" in errors


def test_a_plan_needs_no_torch_and_a_probe_says_that_it_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(*options: str) -> int:
        command = ["stilts-artifact", "plan", "--table", "2", "--scale", "mini", "--store"]
        monkeypatch.setattr(sys, "argv", [*command, str(tmp_path), "--only", "none", *options])
        with pytest.raises(SystemExit) as caught:
            main()
        return int(caught.value.code or 0)

    monkeypatch.setitem(sys.modules, "torch", None)
    assert answer() == 0
    said = capsys.readouterr().out
    assert "--probe measures this machine" in " ".join(said.split())
    assert "right within a factor of 2" in " ".join(said.split())
    assert " 0.0" not in said
    assert answer("--probe") == 5
    assert "a probe of this machine needs packages" in capsys.readouterr().err


def test_a_short_plan_has_times_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["stilts-artifact", "plan", "--calibration", "--scale", "paper", "--store"]
    monkeypatch.setattr(sys, "argv", [*command, str(tmp_path)])
    with pytest.raises(SystemExit) as caught:
        main()
    said = capsys.readouterr().out
    assert caught.value.code in (0, None)
    assert re.search(r"GPU time in all: [1-9]\d* min", said) and " 0.0" not in said


@pytest.mark.slow
def test_a_plan_of_all_studies_counts_once_what_they_share(artifact: Run, tmp_path: Path) -> None:
    def targets(study: str) -> int:
        options = ("--scale", "mini", "--results", tmp_path, "--json")
        found = artifact("plan", "--study", study, *options)
        assert found.returncode == 0, found.stderr
        return {kind["kind"]: kind["steps"] for kind in json.loads(found.stdout)["kinds"]}["target"]

    first, second = targets("000"), targets("003")
    assert max(first, second) < targets("all") < sum(map(targets, ("000", "001", "003", "004")))


@pytest.mark.slow
def test_no_default_is_swallowed_by_the_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich reads ``[default: ...]`` within a help text as markup, and shows nothing of it."""
    import typer.main
    from typer.testing import CliRunner

    from stilts_artifact.cli.app import app

    monkeypatch.setenv("COLUMNS", "300")
    group = typer.main.get_command(app)
    shown = 0
    for name, command in group.commands.items():  # type: ignore[attr-defined]  # click's group
        page = " ".join(CliRunner().invoke(app, [name, "--help"]).output.split())
        for option in command.params:
            assert "[" not in (getattr(option, "help", None) or "")
            said = getattr(option, "show_default", None)
            if isinstance(said, str):
                shown += 1
                assert f"[default: ({said})]" in page, (name, option.name)
    assert shown > 10


def test_what_a_list_of_commands_shows_of_each_is_one_line() -> None:
    """Typer keeps a line break there, and shows the first paragraph alone."""
    groups = [app, *(group.typer_instance for group in app.registered_groups)]
    commands = [command.callback for group in groups for command in group.registered_commands]
    assert [one for one in commands if "\n" in str(one.__doc__).strip().partition("\n\n")[0]] == []
