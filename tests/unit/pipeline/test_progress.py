"""What a run shows while it goes on."""

from __future__ import annotations

import io
import re
import sys

import pytest

from stilts_artifact.pipeline.progress import Snapshot, describe, step_progress


def state(
    done: int,
    failed: int = 0,
    running: tuple[str, ...] = (),
    left: float | None = 75.0,
    note: str = "",
) -> Snapshot:
    return Snapshot(
        total=10, done=done, running=running, failed=failed, workers=2, seconds_left=left, note=note
    )


def test_line_of_a_run() -> None:
    line = describe(state(4, failed=2, running=("a", "b")))
    assert (
        line == "4 of 10 steps done, about 1 min 15 s left, 2 running, 2 to go, 2 failed or blocked"
    )
    assert ", time left not known yet, " in describe(state(4, left=None))
    assert ", waiting for a worker, " in describe(state(4, note="waiting for a worker"))
    assert describe(state(10, left=0.0)) == "10 of 10 steps done"


def test_lines_in_a_log_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    now = 1000.0
    monkeypatch.setattr("stilts_artifact.pipeline.progress.time.monotonic", lambda: now)
    with step_progress("table 2") as watch:
        for done in range(10):
            now += 10
            watch(state(done, failed=int(done >= 5)))
        watch(state(9, failed=1))
    lines = stream.getvalue().splitlines()
    assert [line.split(" of ")[0] for line in lines] == [
        f"table 2: {done}" for done in (0, 3, 5, 8, 9, 9)
    ]
    assert "1 failed" in lines[2]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bar_on_a_terminal_shows_labels_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with step_progress("table 2") as watch:
        watch(state(4, running=("train [bold]x", "b", "c", "d")))
    shown = stream.getvalue()
    assert "4 of 10 steps done" in shown
    assert "train [bold]x; b; c; 1 more" in shown


def test_verbose_is_a_line_for_each_step_with_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with step_progress("table 2", verbose=True) as watch:
        for done in (0, 0, 1, 2, 2, 3):
            watch(state(done, running=("train\x1b x",)))
    lines = stream.getvalue().splitlines()
    assert [line.split(" of ")[0] for line in lines[-3:]] == [f"table 2: {n}" for n in (1, 2, 3)]
    assert "; train" in lines[-1] and "\x1b" not in lines[-1]


@pytest.mark.parametrize("columns", ["80", "200"])
def test_a_terminal_of_any_width_shows_the_time_left(
    columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", columns)
    with step_progress("Table 3, selection on development data") as watch:
        watch(state(4, failed=1, running=("target " * 20,), left=12_345.0))
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()).replace("\r", "\n").split("\n")
    assert "  about 3 h 25 min left, 1 running, 4 to go, 1 failed or blocked" in map(
        str.rstrip, lines
    )
    assert any("4 of 10 steps done" in line and "Table 3" in line for line in lines)
    assert max(map(len, lines)) <= int(columns)
