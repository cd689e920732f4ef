"""The mini world: eight invented languages and eighteen tasks with exact gold, generated from a seed."""

from stilts_artifact.miniworld.files import FILES, SCHEME, build, serve
from stilts_artifact.miniworld.grammar import SEED, grammar, realise
from stilts_artifact.miniworld.languages import PIVOT, languages
from stilts_artifact.miniworld.passages import passages
from stilts_artifact.miniworld.scenes import meanings

__all__ = [
    "FILES",
    "PIVOT",
    "SCHEME",
    "SEED",
    "build",
    "grammar",
    "languages",
    "meanings",
    "passages",
    "realise",
    "serve",
]
