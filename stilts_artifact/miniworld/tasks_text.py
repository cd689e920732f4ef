"""Running text in every language, for masked language modelling beside phase (ii): what Wikipedia is upstream."""

from __future__ import annotations

from stilts_artifact.miniworld.grammar import grammar
from stilts_artifact.miniworld.languages import PIVOT
from stilts_artifact.miniworld.passages import passages
from stilts_artifact.miniworld.splits import owns

LINES = 600


def wikipedia(seed: int, language: str) -> bytes:
    """One passage a line; no two languages tell the same ones, and none holds a sentence that dev or test may own."""
    own, source_language = grammar(language, seed), grammar(PIVOT, seed)
    told = passages(seed, f"wikipedia/{language}")
    lines: list[str] = []
    while len(lines) < LINES:
        passage = next(told)
        if all(owns("train", source_language.text(meaning)) for meaning in passage):
            lines.append(" ".join([own.text(meaning) for meaning in passage]))
    return "".join(f"{line}\n" for line in lines).encode()
