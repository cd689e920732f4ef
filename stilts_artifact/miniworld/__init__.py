"""The mini world: eight invented languages, eighteen tasks with exact gold, made from a seed."""

from stilts_artifact.miniworld.files import FILES, SCHEME, build, serve
from stilts_artifact.miniworld.grammar import SEED, grammar, realise
from stilts_artifact.miniworld.languages import SOURCE_LANGUAGE, languages
from stilts_artifact.miniworld.passages import passages
from stilts_artifact.miniworld.scenes import meanings

__all__ = [
    "FILES",
    "SCHEME",
    "SEED",
    "SOURCE_LANGUAGE",
    "build",
    "grammar",
    "languages",
    "meanings",
    "passages",
    "realise",
    "serve",
]
