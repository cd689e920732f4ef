"""Translation search as a page of plain transformers computes it: the oracle of Tatoeba's numbers.

None of the package's own code: AutoModel, 64 sentences a batch, the mean over the attention mask,
the arg max of the cosines. With ``python -m tests.real.plain ENCODER TATOEBA OUT`` it writes every
language, both directions, with and without prefix: the table to hold a whole sweep against.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

BATCH = 64


class Accuracies(NamedTuple):
    """Points of both directions: the other language asks, or English does."""

    to_english: float
    from_english: float


def sentence_vectors(tokenizer: Any, model: Any, sentences: Sequence[str]) -> Any:
    """Unit vectors [sentences, dimensions] of the last layer, in the order of the sentences."""
    import torch

    order = sorted(range(len(sentences)), key=lambda line: len(sentences[line]))
    vectors = torch.empty(len(sentences), model.config.hidden_size)
    for start in range(0, len(order), BATCH):
        lines = order[start : start + BATCH]
        inputs = tokenizer(
            [sentences[line] for line in lines],
            padding=True,
            truncation=True,
            max_length=512,
            return_tensors="pt",
        )
        with torch.inference_mode():
            states = model(**inputs).last_hidden_state
        mask = inputs["attention_mask"][:, :, None].float()
        vectors[lines] = (states * mask).sum(1) / mask.sum(1)
    return torch.nn.functional.normalize(vectors)


def search_accuracies(
    tokenizer: Any, model: Any, other: Sequence[str], english: Sequence[str], prefix: str = ""
) -> Accuracies:
    """Of two texts that translate each other line by line."""
    import torch

    sides = [
        sentence_vectors(tokenizer, model, [prefix + text for text in side])
        for side in (other, english)
    ]
    cosines = sides[0] @ sides[1].T
    lines = torch.arange(len(other))
    to_english = (cosines.argmax(1) == lines).float().mean().item()
    from_english = (cosines.argmax(0) == lines).float().mean().item()
    return Accuracies(100 * to_english, 100 * from_english)


def read_pairs(folder: Path, code: str) -> tuple[list[str], list[str]]:
    """The two sides of one language of Tatoeba, as its publisher's files have them."""
    return tuple(  # type: ignore[return-value]
        (folder / f"tatoeba.{code}-eng.{side}").read_text(encoding="utf-8").rstrip("\n").split("\n")
        for side in (code, "eng")
    )


def main(encoder: Path, tatoeba: Path, out: Path) -> None:
    """Write one line for each language: its code, then both directions without and with prefix."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(encoder), AutoModel.from_pretrained(encoder)
    model.eval()
    with out.open("w", encoding="utf-8") as file:
        for path in sorted(tatoeba.glob("tatoeba.*-eng.eng")):
            code = path.name.split(".")[1].removesuffix("-eng")
            sides = read_pairs(tatoeba, code)
            points = [
                search_accuracies(tokenizer, model, *sides, prefix) for prefix in ("", "query: ")
            ]
            numbers = (f"{number:.2f}" for pair in points for number in pair)
            print(code, len(sides[0]), *numbers, sep="\t", file=file, flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
