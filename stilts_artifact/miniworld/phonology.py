"""Roots, the regular sound changes from the source language to the far ones, the four scripts."""

from __future__ import annotations

import re
from collections.abc import Mapping

from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.languages import Script

CONSONANTS = "ptkbdgmnszlrfvhjw"
VOWELS = "aeiou"

# Order matters as it does in history: the chain makes u of o, which fronting then makes y of.
SOUND_CHANGES: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    ("raising of final mid vowels", r"[eo]$", {"e": "i", "o": "u"}),
    ("intervocalic voicing", r"(?<=[aeiou])[ptk](?=[aeiou])", {"p": "b", "t": "d", "k": "g"}),
    ("palatalisation", r"[kgs](?=[ei])", {"k": "č", "g": "ž", "s": "š"}),
    ("debuccalisation", r"f", {"f": "h"}),
    ("spirantisation", r"(?<=[aeiou])[bw](?=[aeiou])", {"b": "v", "w": "v"}),
    ("back vowel chain", r"[ao]", {"a": "o", "o": "u"}),
    ("rhotacism", r"(?<=[aeiou])[sz](?=[aeiou])", {"s": "r", "z": "r"}),
    ("l-vocalisation", r"l(?![aeiou])", {"l": "w"}),
    ("fronting", r"u(?!$)", {"u": "y"}),
    ("initial devoicing", r"^[bdg]", {"b": "p", "d": "t", "g": "k"}),
)
"""(name, where, what becomes what), in historical order; a language underwent the first so many."""

# One letter for one sound in every script, so no script is longer or more ambiguous.
_LATIN = "abdefghijklmnoprstuvwyzščž"
_LETTERS: Mapping[Script, str] = {
    "Latin": _LATIN,
    "Cyrillic": "абдефгхийклмнопрстувўызшчж",
    "Greek": "αβδεφγχιϳκλμνοπρστυωϝηζξψθ",
    "Armenian": "աբդեֆգհիյկլմնօպրստւվոըզշչժ",
}
_TABLES = {script: str.maketrans(_LATIN, letters) for script, letters in _LETTERS.items()}
_HARMONY = str.maketrans("aou", "eei")


def change(root: str, changes: int) -> str:
    """The root after the first ``changes`` sound changes.

    >>> change("fapeto", 2)
    'fabedu'
    """
    for sound_change in SOUND_CHANGES[:changes]:
        root = _changed(root, *sound_change)
    return root


def _changed(root: str, _: str, where: str, becomes: Mapping[str, str]) -> str:
    return re.sub(where, lambda match: becomes[match.group()], root)


def write(sounds: str, script: Script) -> str:
    """Sounds in the letters of a script, one letter for one sound."""
    return sounds.translate(_TABLES[script])


def harmonise(suffix: str, stem: str) -> str:
    """The front allomorph of a suffix after a stem whose last vowel is front, else the suffix."""
    # Digits and acronyms may have no vowel; they count as back.
    last = next((sound for sound in reversed(stem) if sound in "aeiouy"), "a")
    return suffix.translate(_HARMONY) if last in "eiy" else suffix


def draw_root(stream: Stream, shape: str) -> str:
    """A root of a shape such as ``CVCV``."""
    return "".join(stream.choice(CONSONANTS if slot == "C" else VOWELS) for slot in shape)
