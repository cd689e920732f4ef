"""The glossary: every word once, in one sentence, owned by a module that is there."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

GLOSSARY = Path(__file__).resolve().parents[2] / "docs" / "glossary.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in GLOSSARY.read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| word ")
]


def test_every_word_has_a_sentence_and_an_owner_that_exists() -> None:
    package = resources.files("stilts_artifact")
    assert len(ROWS) > 70
    for word, meaning, owner in ROWS:
        assert meaning.endswith(".") and len(meaning) > 20, word
        (path,) = re.findall(r"^`([a-z0-9_/]+\.py)`$", owner)
        assert package.joinpath(path).is_file(), f"{word}: no {path}"


def test_no_word_is_explained_twice() -> None:
    words = [word.lower() for word, *_ in ROWS]
    assert sorted(set(words)) == sorted(words)
