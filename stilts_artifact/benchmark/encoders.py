"""The public encoders: a repository on the hub at one commit, and the sha256 of all that is read.

A name vouches for nothing, nor does a folder's own manifest: both are written by whoever made the
folder. What runs as one of these encoders has these bytes, or is refused; and a number that was not
made by them is never held against published ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_WEIGHTS = "model.safetensors"
# XLM-R base and large have one tokenizer.
_TOKENIZER_SHA256 = "a898ea75433890f6610f4e470b8ebeb0c21dce5c8dd61f892eb09eb5919d2e2c"


@dataclass(frozen=True, slots=True)
class Pinned:
    """A repository on the hub at one commit.

    Args:
        files: name -> sha256 of every file that is taken of it: no pickle, no code.
    """

    repository: str
    revision: str
    files: Mapping[str, str]

    @property
    def weights(self) -> str:
        """Sha256 of the weights."""
        return self.files[_WEIGHTS]


PINNED: Mapping[str, Pinned] = MappingProxyType(
    {
        # The heads of main when this was written; ten public repositories pin the large one. MIT.
        # Sums: the hub's own file pages; those of configuration and tokenizer stand in several
        # public repositories that pin these commits too.
        "xlm-roberta-large": Pinned(
            "FacebookAI/xlm-roberta-large",
            "c23d21b0620b635a76227c604d44e43a9f0ee389",
            {
                "config.json": "ec7c3a99c58a38ebb702a2297f1c4586944e841b5eb29d201ff87e0f9c9abe0e",
                "tokenizer.json": _TOKENIZER_SHA256,
                _WEIGHTS: "2dfa19f172412917cab174da04b46e2134811b723666965fd0aabd97caa6e23b",
            },
        ),
        "xlm-roberta-base": Pinned(
            "FacebookAI/xlm-roberta-base",
            "e73636d4f797dec63c3081bb6ed5c7b0bb3f2089",
            {
                "config.json": "d66ed8cd4f2a93b358c245e50736fa389ed4f35c0bae7aad0b32abb20c62b579",
                "tokenizer.json": _TOKENIZER_SHA256,
                _WEIGHTS: "6fd4797bc397c3b8b55d6bb5740366b57e6a3ce91c04c77f22aafc0c128e6feb",
            },
        ),
    }
)


def pinned_as(repository: str, revision: str | None) -> str | None:
    """Key of :data:`PINNED` of a repository at a commit, ``None`` if it is not pinned here."""
    for name, pin in PINNED.items():
        if (pin.repository, pin.revision) == (repository, revision):
            return name
    return None


def fingerprint(files: Mapping[str, str]) -> str:
    """One name for all files that decide what an encoder computes.

    That of ``sha256sum FILES | sha256sum``, the files in the order of their names.

    Args:
        files: name -> sha256.

    Example:
        >>> fingerprint(PINNED["xlm-roberta-base"].files)[:12]
        '9421f82f1b10'
    """
    lines = "".join(f"{files[name]}  {name}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()
