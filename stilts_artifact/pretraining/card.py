"""The model card of the mini encoder: written by commands from what they measured, not by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stilts_artifact.documents import dump_json, parse_json, read_document
from stilts_artifact.files import write_file
from stilts_artifact.model.hub import shipped_encoder
from stilts_artifact.model.manifest import WEIGHTS, verify_folder, write_manifest

CARD = "README.md"
FACTS = "pretraining.json"
QUALITY = "quality.json"

_HEAD = """---
license: cc0-1.0
library_name: transformers
pipeline_tag: fill-mask
tags: [xlm-roberta, synthetic-languages]
---
# Mini encoder

A small XLM-R (`XLMRobertaForMaskedLM`, {parameters:,} parameters) for the mini scale of
stilts-artifact. It knows the invented languages {languages} and nothing else.
A result with it says that the machinery works, and is not evidence about the paper. Text and
weights are generated, without any third-party material: CC0.

Made by `stilts-artifact pretrain --out DIR`. Of the text that it was trained on, no sentence is in
a development or test set of the mini world. The pooler is untrained: masked language modelling does
not touch it (nor did it in the public XLM-R).

Its text is not plain text alone. A share of the windows (`joined share`) holds two texts and the
word that joins them (what follows, what is denied, what comes next, a question and its answer),
drawn in all languages by the rules by which the tasks are made. The joining word is to be told from
`<s>`; phrases of the second text tell what stands in their place in the first, and from pool
`contrast from` on, where both agree, the word for *yes*. So the relations that the tasks ask for
were met in every language before any task: fine-tuning takes seconds, and what it gains on top is
no measure of what task data teach a model that has read plain text only.

## Recipe

| what | value |
|---|---|
"""


def render_card(facts: Mapping[str, Any], quality: Mapping[str, Any] | None) -> bytes:
    """The card as Markdown.

    Args:
        facts: of :data:`FACTS`.
        quality: of :data:`QUALITY`, or ``None`` if nothing has been measured yet.
    """
    text = _HEAD.format(parameters=facts["parameters"], languages=", ".join(facts["languages"]))
    rows = {**facts["recipe"], "mean loss of the last steps": facts["final_loss"]}
    text += "".join(f"| {name.replace('_', ' ')} | {value} |\n" for name, value in rows.items())
    text += "\n## Measured quality\n\n"
    text += "Not measured.\n" if quality is None else _render_quality(quality)
    return text.encode()


def _render_quality(quality: Mapping[str, Any]) -> str:
    """One table: measures in rows, languages in columns."""
    codes = quality["languages"]
    lines = [
        f"{quality['how']}\n",
        f"| measure | {' | '.join(codes)} | zero-shot mean |",
        "|---" * (len(codes) + 2) + "|",
    ]
    for row in quality["rows"]:
        cells = [f"{row['scores'][code]:.1f}" if code in row["scores"] else "-" for code in codes]
        lines.append(f"| {row['measure']} | {' | '.join(cells)} | {row['zero_shot']:.1f} |")
    return "\n".join(lines) + "\n"


def compare_with_shipped(out: Path) -> str:
    """How an encoder relates to the one that ships, in words.

    Cards are left out: the shipped one also tells what was measured since.

    Raises:
        IntegrityError: a folder is damaged.
    """
    made, shipped = verify_folder(out), verify_folder(shipped_encoder())
    differing = [name for name in made if name != CARD and made[name] != shipped.get(name)]
    if not differing:
        return "the same as the encoder that ships with the package, bit for bit"
    why = (
        "another processor or version of torch computes other last bits, "
        "and training magnifies them"
    )
    if not set(differing) <= {WEIGHTS, FACTS}:
        why = "not the same text, recipe or version of this package"
    return f"differs from the encoder that ships with the package in {', '.join(differing)}: {why}"


def record_quality(folder: Path, quality: Mapping[str, Any]) -> None:
    """Write measurements into an encoder's folder: as data, in the card, and the manifest anew.

    Raises:
        IntegrityError: the folder was not sound before.
    """
    # Or a damaged folder would get a manifest that vouches for it.
    verify_folder(folder)
    facts = parse_json(read_document(folder / FACTS), str(folder / FACTS))
    write_file(folder / QUALITY, dump_json(dict(quality)))
    write_file(folder / CARD, render_card(facts, quality))
    write_manifest(folder)
