"""Steps of the mini benchmark, whatever is on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import EXPERIMENTS
from stilts_artifact.config.load import load_scale
from stilts_artifact.data.library import Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Part, Source
from stilts_artifact.experiments.session import Machine, Session
from stilts_artifact.experiments.steps import StepBuilder

MINI = load_benchmark("mini")


@pytest.fixture(scope="session")
def builder() -> StepBuilder:
    return StepBuilder(MINI, load_scale("mini"), "r" * 64, {name: name for name in MINI.sources})


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Table 2 at mini scale, in an empty results folder."""
    store = tmp_path / "results" / ".store"
    library = Library(MINI.sources, FileStore(store))
    scale = load_scale("mini")
    return Session(
        EXPERIMENTS["table2"], scale, "a test", MINI, library, Machine(store), tmp_path / "results"
    )


def nothing_missing(_: Iterable[Part]) -> list[Source]:
    return []
