"""Collections of running text for masked language modelling: which languages, from which parts.

Two of them need nothing that the benchmark does not have: the words of treebanks and of PAN-X, as
the tasks read them and without their tags. Words stand apart by spaces there, in Chinese, Japanese
and Thai, too: so the tasks' own models read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stilts_artifact.benchmark.languages import FAMILY_CODES
from stilts_artifact.benchmark.tasks import PANX, UD, treebanks
from stilts_artifact.domain.tasks import Part, Split, Task, Text

WIKIPEDIA = "wikipedia"
"""The paper's kind of text, one file a language, brought by hand: its own was never published."""
TREEBANKS = "treebanks-en"
"""The sentences that POS is trained on."""
TARGETS = "targets"
"""Unlabelled training sentences of the tagging targets, in every language but the source one."""
TARGETS_ENGLISH = "targets-en"
"""The same of the source language alone."""

_TAGGED = ("panx", "udpos")
# UD r2.5 has no training treebank in these: of invented languages in none but the source
# one; of the real ones as huggingface/datasets counted them (8803c182e6^:
# datasets/xtreme/dataset_infos.json, udpos.Thai, udpos.Tagalog, udpos.Yoruba).
_WITHOUT_TREEBANK = frozenset(
    ["th", "tl", "yo", "qaa", "qab", "qac", "qad", "qae", "qaf", "qag", *FAMILY_CODES]
)


def make_texts(tasks: Mapping[str, Task], wikipedia: Mapping[str, Part]) -> dict[str, Text]:
    """Every collection of a benchmark by name.

    Args:
        tasks: of the benchmark, with the parts that they really read.
        wikipedia: language -> running text that is brought by hand, of every language.

    Example:
        >>> from stilts_artifact.benchmark import load_benchmark
        >>> found = load_benchmark("xtreme").texts["targets"]
        >>> [part.member for part in found.parts["tl"]]
        ['tl.tar.gz!train']
    """
    udpos = tasks["udpos"]
    english = udpos.source_language
    tagged = dict.fromkeys(code for name in _TAGGED for code in tasks[name].languages)
    return {
        WIKIPEDIA: Text({language: (part,) for language, part in wikipedia.items()}),
        TREEBANKS: Text({english: udpos.parts[Split.TRAIN, english]}, task=udpos.name),
        TARGETS: _targets(tasks, [code for code in tagged if code != english]),
        TARGETS_ENGLISH: _targets(tasks, [english]),
    }


def _targets(tasks: Mapping[str, Task], languages: Iterable[str]) -> Text:
    """Training sentences of the tagging targets, but for those that a target is judged by."""
    parts: dict[str, tuple[Part, ...]] = {}
    held_out: dict[str, tuple[Part, ...]] = {}
    for code in languages:
        own = [tasks[name] for name in _TAGGED]
        parts[code] = tuple(
            part
            for task in own
            for part in task.parts.get((Split.TRAIN, code)) or _unlabelled(task, code)
        )
        held_out[code] = tuple(
            part
            for task in own
            for split in (Split.DEV, Split.TEST)
            for part in task.parts.get((split, code), ())
        )
    return Text(parts, held_out)


def _unlabelled(task: Task, language: str) -> tuple[Part, ...]:
    """Training data of a language that the task itself does not train on."""
    if language not in task.languages:
        return ()
    if task.name == "panx":
        return (Part(PANX, "panx", f"{language}.tar.gz!train"),)
    if language in _WITHOUT_TREEBANK:
        return ()
    options = (("language", language),)
    return (Part(UD, "conllu", treebanks(language, "train"), options),)
