"""Running text in every language, for masked language modelling: what Wikipedia is upstream."""

from __future__ import annotations

from stilts_artifact.miniworld.grammar import grammar
from stilts_artifact.miniworld.languages import SOURCE_LANGUAGE
from stilts_artifact.miniworld.passages import passages
from stilts_artifact.miniworld.splits import owns

LINES = 600


def wikipedia(seed: int, language: str, size: int = LINES) -> bytes:
    """``size`` passages, one a line.

    No two languages tell the same, and no sentence is a development or test set's.
    """
    own, source_language = grammar(language, seed), grammar(SOURCE_LANGUAGE, seed)
    told = passages(seed, f"wikipedia/{language}")
    lines: list[str] = []
    while len(lines) < size:
        passage = next(told)
        # Whatever the language, the source language's text decides, as it does for every task.
        if all(owns("train", source_language.text(meaning)) for meaning in passage):
            lines.append(" ".join([own.text(meaning) for meaning in passage]))
    return "".join(f"{line}\n" for line in lines).encode()
