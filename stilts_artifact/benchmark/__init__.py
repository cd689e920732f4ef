"""The benchmark as literal tables: tasks, languages, splits and the upstream files they are read from."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

from stilts_artifact.errors import unknown_name

if TYPE_CHECKING:
    from stilts_artifact.domain.tasks import World

INTERMEDIATE = (
    "anli_plus",
    "mnli",
    "qqp",
    "squad_v2",
    "squad_v1",
    "hellaswag",
    "ccg",
    "cosmosqa",
    "commonsenseqa",
)
TARGETS = ("xnli", "pawsx", "udpos", "panx", "xquad", "mlqa", "tydiqa", "bucc2018", "tatoeba")
TASKS = (*INTERMEDIATE, *TARGETS)
WORLDS = ("xtreme", "mini")


@cache
def world(name: Literal["xtreme", "mini"]) -> World:
    """One of the two worlds, built at the first call.

    Raises:
        ConfigError: no world has this name, or its pins do not fit its tasks.

    Example:
        >>> world("xtreme").tasks["xquad"].languages[:3]
        ('ar', 'de', 'el')
    """
    from stilts_artifact.benchmark import worlds

    if name == "xtreme":
        return worlds.xtreme_world()
    if name == "mini":
        return worlds.mini_world()
    raise unknown_name("world", name, WORLDS)
