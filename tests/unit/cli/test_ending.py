"""Whatever ends a command, it ends with a message and a code of its own, and 1 is a verdict."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from stilts_artifact import isolation
from stilts_artifact.cli import ending
from stilts_artifact.cli.ending import as_artifact_error, run
from stilts_artifact.errors import ConfigError, ExitCode
from stilts_artifact.experiments import diagnosis, setup
from stilts_artifact.isolation import TYPED
from tests.conftest import Run

COMMAND = [sys.executable, "-m", "stilts_artifact"]


def ended(monkeypatch: pytest.MonkeyPatch, error: BaseException, *, debug: bool = False) -> int:
    """The exit code of a command that raises."""

    def fail(arguments: Any) -> int:
        raise error

    monkeypatch.setattr(ending, "_call", fail)
    return run([], debug=debug)


def libraries() -> list[Exception]:
    """What Python and libraries raise, none of it foreseen."""
    return [
        RuntimeError("boom"),
        ValueError(),
        KeyError("x"),
        AssertionError(),
        RecursionError("maximum recursion depth exceeded"),
        UnicodeEncodeError("ascii", "ä", 0, 1, "ordinal not in range"),
        StopIteration(),
        EOFError(),
        ZeroDivisionError("division by zero"),
        ModuleNotFoundError("no module", name="stilts_artifact.nowhere"),
        ImportError("cannot import name", name="stilts_artifact.errors"),
    ]


@pytest.mark.parametrize("error", libraries(), ids=lambda error: type(error).__name__)
def test_a_fault_of_the_program_exits_70_and_says_what_to_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    assert ended(monkeypatch, error) == ExitCode.FAULT
    message = capsys.readouterr().err
    assert message.startswith("error: a fault of this program")
    assert type(error).__name__ in message
    assert "test_ending.py:" in message
    assert "--debug" in message
    assert "Traceback" not in message
    assert message.endswith("verdict: failed, exit 70 (FAULT)\n")


def test_debug_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(monkeypatch, RuntimeError("boom"), debug=True) == ExitCode.FAULT
    assert "Traceback" in capsys.readouterr().err
    assert ended(monkeypatch, ConfigError("no such row"), debug=True) == ExitCode.USAGE
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModuleNotFoundError("No module", name="torch"), "no torch"),
        (ImportError("libcudart.so.12: cannot open", name="torch._C"), "libcudart.so.12"),
        (OSError(errno.ENOSPC, "No space left on device", "/results/x"), "/results/x"),
        (PermissionError(errno.EACCES, "Permission denied", "/results"), "Permission denied"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/gone"), "/gone"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "whoever read the output"),
        (MemoryError(), "out of memory"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_the_machine_or_the_installation_lacks_exits_5(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    said: str,
) -> None:
    assert ended(monkeypatch, error) == ExitCode.RESOURCE
    assert said in capsys.readouterr().err


def test_the_plain_wheel_names_the_extra() -> None:
    error = as_artifact_error(ModuleNotFoundError("No module named 'torch'", name="torch"))
    assert "stilts-artifact[cpu]" in (error.fix or "")


def test_an_interrupt_exits_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(TYPED, raising=False)
    interrupted(monkeypatch, ["reproduce", "--only", "*,xnli"])
    said = capsys.readouterr().err
    resumes = "to resume: stilts-artifact reproduce --only '*,xnli'"
    assert said == f"verdict: interrupted, exit 130; {resumes}\n"


def test_an_interrupted_command_is_given_back_as_it_was_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that runs this program says what its own user typed; a terminal is told no more."""
    monkeypatch.setenv(TYPED, "./reproduce.sh --table 2\x1b[2J")
    interrupted(monkeypatch, ["reproduce", "--table", "2"])
    said = capsys.readouterr().err
    assert said.startswith("verdict: interrupted, exit 130; to resume: ./reproduce.sh --table 2")
    assert "\x1b" not in said and said.count("\n") == 1


def interrupted(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    """Interrupt a command with these arguments."""

    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(ending, "_call", interrupt)
    before = signal.getsignal(signal.SIGINT)
    try:
        assert run(arguments, debug=False) == ExitCode.INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("called", "again"),
    [
        (["/usr/bin/nowhere/stilts-artifact", "check"], "/usr/bin/nowhere/stilts-artifact check"),
        (["{on_path}", "check", "--results", "a b"], "stilts-artifact check --results 'a b'"),
        (["/x/stilts_artifact/__main__.py", "check"], "{python} -m stilts_artifact check"),
    ],
)
def test_what_was_typed_is_known_after_the_program_starts_itself_again(
    called: list[str], again: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "stilts-artifact"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    started: dict[str, str] = {}
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(TYPED, raising=False)
    monkeypatch.setattr(sys, "argv", [one.format(on_path=own) for one in called])
    monkeypatch.setattr(os, "execve", lambda _, __, environment: started.update(environment))
    monkeypatch.setattr("stilts_artifact.isolation._call", lambda _: None)
    isolation.main()
    assert started[TYPED] == again.format(python=sys.executable)


@pytest.fixture(autouse=True)
def _sigterm() -> Any:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.slow
def test_a_closed_pipe_exits_5() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    answer = subprocess.run([*COMMAND, "--help"], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert answer.returncode == ExitCode.RESOURCE
    assert "whoever read the output has closed it" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert "ignored" not in answer.stderr


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("arguments", [["--version"], ["--help"]])
def test_a_full_disk_under_standard_output_exits_5(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        answer = subprocess.run(
            [*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert answer.returncode == ExitCode.RESOURCE
    assert "No space left on device" in answer.stderr
    assert "Traceback" not in answer.stderr


def closed(descriptors: str) -> subprocess.CompletedProcess[str]:
    command = f'"$0" -m stilts_artifact --version {descriptors}'
    return subprocess.run(
        ["sh", "-c", command, sys.executable], capture_output=True, text=True, check=False
    )


def test_a_closed_standard_output_exits_5_before_any_work() -> None:
    answer = closed(">&-")
    assert answer.returncode == ExitCode.RESOURCE
    assert "standard output is closed" in answer.stderr


@pytest.mark.slow
def test_a_closed_standard_error_or_input_changes_nothing() -> None:
    for descriptors in ("2>&-", "<&-", "2>&- <&-"):
        answer = closed(descriptors)
        assert (answer.returncode, answer.stdout) == (0, closed("").stdout)


def told_to_end(command: str) -> tuple[int, str, str]:
    """The exit code and the words of a command that is told to end once, after its first line."""
    script = (
        "import sys, time\n"
        "from stilts_artifact.cli import ending\n"
        f"def command(arguments):\n{textwrap.indent(command, '    ')}\n"
        "ending._call = command\n"
        "ending.end(ending.run([], debug=False))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    printed, said = process.communicate()
    return process.returncode, printed, said


def test_an_interruption_that_a_library_swallows_is_heard_the_next_time() -> None:
    swallowing = """
try:
    print("begun", flush=True)
    time.sleep(600)
except BaseException:
    print("swallowed", flush=True)
time.sleep(600)
"""
    code, printed, said = told_to_end(swallowing)
    assert (code, printed) == (ExitCode.INTERRUPTED, "swallowed\n")
    assert said.startswith("verdict: interrupted")


@pytest.mark.parametrize("raised", ["raise", "raise ValueError from None"])
def test_what_an_interruption_puts_away_is_not_interrupted(raised: str) -> None:
    putting_away = f"""
try:
    print("begun", flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    try:
        {raised}
    finally:
        for _ in range(25):
            time.sleep(0.1)
        print("put away", flush=True)
"""
    code, printed, _said = told_to_end(putting_away)
    assert printed == "put away\n"
    assert code == (ExitCode.INTERRUPTED if raised == "raise" else ExitCode.FAULT)


@pytest.mark.slow
def test_a_terminated_run_says_that_it_resumes(artifact: Run, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            *COMMAND,
            "pretrain",
            "--quick",
            "--out",
            str(tmp_path / "out"),
            "--results",
            str(tmp_path),
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    process.stderr.readline()  # it has begun
    process.send_signal(signal.SIGTERM)
    said = process.stderr.read()
    assert process.wait() == ExitCode.INTERRUPTED, said
    line = said.splitlines()[-1]
    assert line.startswith("verdict: interrupted, exit 130; to resume: ")
    assert line.endswith(f" pretrain --quick --out {tmp_path / 'out'} --results {tmp_path}")


@pytest.mark.slow
def test_what_is_not_understood_is_one_message(artifact: Run) -> None:
    answer = artifact("reproduce", "--tabel\x1b[31m", "1")
    assert answer.returncode == ExitCode.USAGE
    assert "\x1b" not in answer.stderr
    assert answer.stderr.endswith("verdict: failed, exit 2 (USAGE)\n")


@pytest.mark.slow
def test_without_arguments_the_help_is_shown(artifact: Run) -> None:
    answer = artifact()
    assert answer.returncode == ExitCode.USAGE
    assert "Usage: stilts-artifact" in answer.stdout + answer.stderr


def test_a_working_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    command = 'mkdir gone && cd gone && rmdir ../gone && "$0" -m stilts_artifact doctor'
    answer = subprocess.run(
        ["sh", "-c", command, sys.executable], cwd=tmp_path, capture_output=True, text=True
    )
    assert answer.returncode == ExitCode.RESOURCE
    assert "the working folder is gone" in answer.stderr


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """As if these were not installed."""
    find = setup.find_spec
    monkeypatch.setattr(setup, "find_spec", lambda name: None if name in packages else find(name))


def test_a_missing_extra_is_said_before_anything_is_fetched(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    without(monkeypatch, "torch", "faiss")
    places = ["--scale", "mini", "--results", str(tmp_path / "results")]
    assert run(["reproduce", "--table", "2", *places], debug=False) == ExitCode.RESOURCE
    message = capsys.readouterr().err
    assert "no torch, faiss" in message
    assert "stilts-artifact[cpu]" in message
    assert list((tmp_path / "results").iterdir()) == []


def test_doctor_says_what_an_installation_cannot_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    command = ["doctor", "--results", str(tmp_path)]
    without(monkeypatch, "torch", "faiss")
    assert run(command, debug=False) == ExitCode.RESOURCE
    assert "not installed: torch, faiss" in capsys.readouterr().out
    without(monkeypatch, *setup.RUN_PACKAGES)
    assert run(command, debug=False) == ExitCode.INCOMPLETE
    assert "Tables 2 and 3 need the extra cpu or gpu; exit 6" in capsys.readouterr().out


def test_doctor_finds_a_package_that_does_not_load(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    load = importlib.import_module

    def broken(name: str, *rest: str) -> Any:
        if name == "transformers":
            raise OSError("libcudart.so.12: cannot open shared object file")
        return load(name, *rest)

    monkeypatch.setattr(diagnosis.importlib, "import_module", broken)
    assert run(["doctor", "--results", str(tmp_path)], debug=False) == ExitCode.RESOURCE
    assert "transformers does not load: OSError: libcudart" in capsys.readouterr().out
