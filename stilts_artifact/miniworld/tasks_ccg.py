"""A CCGbank of the source language: the folder layout and AUTO files of LDC2005T13."""

from __future__ import annotations

from collections.abc import Sequence

from stilts_artifact.miniworld.archives import tar_gz
from stilts_artifact.miniworld.categorial import derivation
from stilts_artifact.miniworld.grammar import grammar
from stilts_artifact.miniworld.languages import SOURCE_LANGUAGE
from stilts_artifact.miniworld.meanings import Meaning
from stilts_artifact.miniworld.splits import SplitName
from stilts_artifact.miniworld.tables import lines
from stilts_artifact.miniworld.tasks_tagging import sentences

SENTENCES: dict[SplitName, int] = {"train": 1800, "dev": 210, "test": 210}
SECTIONS: dict[SplitName, range] = {"train": range(19), "dev": range(19, 22), "test": range(22, 25)}
"""Sections of the Wall Street Journal for each split, as in jiant v1.3.0 (scripts/ccg)."""
FILES_PER_SECTION = 2


def ccgbank(seed: int) -> bytes:
    """All sections; the sentences of a split are dealt out to the files of its sections in turn."""
    members = {}
    for split, size in SENTENCES.items():
        files = [
            (section, number)
            for section in SECTIONS[split]
            for number in range(1, FILES_PER_SECTION + 1)
        ]
        drawn = list(sentences(seed, ("ccg",), split, size))
        for at, (section, number) in enumerate(files):
            name = f"wsj_{section:02d}{number:02d}"
            path = f"ccgbank_1_1/data/AUTO/{section:02d}/{name}.auto"
            members[path] = _auto(seed, name, drawn[at :: len(files)])
    return tar_gz(members)


def _auto(seed: int, name: str, drawn: Sequence[Meaning]) -> bytes:
    own = grammar(SOURCE_LANGUAGE, seed)
    rows = []
    for number, told in enumerate(drawn, 1):
        rows += [f"ID={name}.{number} PARSER=GOLD NUMPARSE=1", derivation(own, told).auto]
    return lines(rows)
