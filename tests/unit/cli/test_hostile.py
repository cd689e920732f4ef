"""Files and names that speak to the terminal: none of it is obeyed, whichever command shows it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stilts_artifact.cli.options import say, say_json
from tests.conftest import Run

FORGED = "verdict: Table 1 (paper) REPRODUCED; exit 0"
HOSTILE = (
    f"x\n{FORGED}\r\x1b[2K\x1b[32m\x9b1m\u202e\u2066\u2028\u200b\U000e0041\x00\x7f"
    "<script>alert(1)</script> **bold** | [red]a[/red]"
)
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\U000e0000-\U000e007f]"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A results folder whose one file is hostile in every text that is free."""
    cell = {
        "row": "mnli",
        "column": "dev",
        "language": "qen",
        "value": None,
        "expected": None,
        "limit": None,
        "verdict": "NOT_RUN",
        "reason": HOSTILE,
        "signature": "",
    }
    claim = {
        "claim": HOSTILE,
        "title": HOSTILE,
        "verdict": "REPRODUCED",
        "reason": HOSTILE,
        "numbers": {HOSTILE: 1.0},
        "cells": [HOSTILE],
    }
    row = {"row": "mnli", "title": HOSTILE, "group": HOSTILE, "details": {HOSTILE: HOSTILE}}
    document: dict[str, Any] = {
        "format": 3,
        "experiment": "table1",
        "scale": "mini",
        "scale_reason": HOSTILE,
        "stamp": HOSTILE,
        "verdict": "REPRODUCED",
        "rows": [row],
        "cells": [cell],
        "claims": [claim],
        "inputs": [],
        "environment": {"torch": HOSTILE, HOSTILE: HOSTILE},
        "asked": [[]],
    }
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "table1.mini.json").write_text(json.dumps(document))
    return tmp_path / "results"


def require_harmless(text: str) -> None:
    assert FORBIDDEN.search(text) is None
    assert not any(line.strip() == FORGED for line in text.split("\n"))


@pytest.mark.slow
def test_no_text_of_a_results_file_reaches_terminal_markdown_or_page(
    artifact: Run, folder: Path, tmp_path: Path
) -> None:
    page, text, crate = tmp_path / "r.html", tmp_path / "r.md", tmp_path / "r.zip"
    shown = []
    for arguments in (
        ["check", "--results", folder],
        ["check", "--results", folder, "--all", "--json"],
        ["report", "--results", folder, "--out", page, "--crate", crate],
        ["report", "--results", folder, "--out", text],
        ["verify", crate],
    ):
        answer = artifact(*arguments)
        assert answer.returncode == 6, answer.stderr
        shown += [answer.stdout, answer.stderr]
        require_harmless(answer.stdout)
        require_harmless(answer.stderr)
    require_harmless(page.read_text())
    require_harmless(text.read_text())
    assert "<script>alert(1)" not in page.read_text() + text.read_text()
    # It was there to be shown.
    assert any(r"\x1b[2K" in output for output in shown)


def test_what_a_command_says_is_one_line_of_what_can_be_seen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say(f"results: {HOSTILE}")
    say_json({HOSTILE: HOSTILE})
    line, *document = capsys.readouterr().out.split("\n")
    assert line.startswith("results: x\\n")
    for text in (line, *document):
        require_harmless(text)
    assert json.loads("\n".join(document)) == {HOSTILE: HOSTILE}


@pytest.mark.slow
def test_no_name_of_a_file_or_option_reaches_the_terminal(artifact: Run, tmp_path: Path) -> None:
    name = f"x\n{FORGED}\n\x1b[31m\u202e"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "table1.mini.json").write_text("{")
    for arguments in (
        ["check", "--results", folder],
        ["check", "--results", folder / name],
        ["report", "--results", folder],
        ["verify", folder / "crate.zip"],
        ["score", "--predictions", folder, "--labels", folder],
        ["fetch", "--scale", name],
        ["fetch", "--offline", "--data", folder, "--store", folder / "s", "--task", name],
        ["mine", "--src", folder / "a", "--trg", folder / "b", "--out", folder / "c"],
        ["plan", "--table", "2", "--only", name],
        ["expected", "set", "--table", "2", "--cell", name, "1", "--source", name],
        ["reproduce", "--table", "1", "--scale", "mini", "--offline", "--results", folder / "new"],
        ["doctor", "--results", folder / "new"],
        [name],
        ["check", f"--{name}"],
    ):
        answer = artifact(*arguments)
        assert answer.returncode not in (1, 70), answer.stderr
        require_harmless(answer.stdout)
        require_harmless(answer.stderr)
