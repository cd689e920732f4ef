"""Two commands that work on one store at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.workflow_helpers import living, wait_until

pytestmark = pytest.mark.slow


def test_two_commands_on_one_store_agree_and_both_end(tmp_path: Path) -> None:
    """The second was once still there minutes after its results were written."""
    ask = ("reproduce", "--table", "2", "--scale", "mini", "--offline", "--only", "none,tatoeba")
    folders = [tmp_path / "first", tmp_path / "second"]
    children = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "stilts_artifact", *ask),
                *("--results", folder, "--store", tmp_path / "store"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for folder in folders
    ]
    errors = [child.communicate()[1] for child in children]
    assert children[0].returncode == children[1].returncode, errors
    wait_until(lambda: not any(living(child.pid) for child in children), 120)
    first, second = ((folder / "table2.mini.json").read_bytes() for folder in folders)
    assert first == second
    assert any(cell["value"] for cell in json.loads(first)["cells"])
    assert not list((tmp_path / "store" / "work").iterdir())
