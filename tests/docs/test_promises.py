"""Every promise of docs/reviewers.md names a test, and that test is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def promises() -> list[tuple[str, str, str]]:
    """Each promise with the file and the name of its test."""
    text = (ROOT / "docs" / "reviewers.md").read_text(encoding="utf-8")
    section = text.partition("## Promises\n")[2].partition("\n## ")[0]
    items = re.split(r"^[0-9]+\. ", section, flags=re.MULTILINE)[1:]
    found = []
    for item in items:
        match = re.fullmatch(r"(.+): `(\S+\.py)::(test_\w+)`\.", " ".join(item.split()))
        assert match is not None, f"a promise without a test: {item}"
        found.append((match[1], match[2], match[3]))
    return found


@pytest.mark.parametrize(("promise", "file", "name"), promises(), ids=lambda value: str(value)[:40])
def test_a_promise_has_its_test(promise: str, file: str, name: str) -> None:
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_there_are_promises() -> None:
    assert len(promises()) > 20
