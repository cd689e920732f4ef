"""``--scale auto``: which scale this machine can run, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stilts_artifact.scales import load_scale

if TYPE_CHECKING:
    from stilts_artifact.data.library import Library
    from stilts_artifact.domain.tasks import World
    from stilts_artifact.scales.schema import Scale


def choose_scale(name: str, library_of: Callable[[World], Library]) -> tuple[Scale, str]:
    """The scale to run and the reason for it, in words.

    ``auto`` is ``paper`` when every source of Table 1 that anyone can download is on this machine (a licensed
    corpus may be absent: its cells are then NOT_RUN), and ``mini`` otherwise.

    Raises:
        ConfigError: no such scale.
    """
    if name != "auto":
        return load_scale(name), f"asked for with --scale {name}"
    from stilts_artifact.benchmark import world
    from stilts_artifact.tables.table1 import needed_sources

    paper = load_scale("paper")
    real = world(paper.world)
    obtainable = [source for source in needed_sources(real) if source.urls]
    absent = library_of(real).absent(obtainable)
    if not absent:
        return paper, "auto: every source of the paper scale that can be downloaded is on this machine"
    count = f"{len(absent)} of {len(obtainable)} sources of the paper scale are not on this machine"
    return load_scale("mini"), f"auto: {count} (stilts-artifact fetch --scale paper gets them)"
