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
from stilts_artifact.model.hub import PhaseOne

MINI = load_benchmark("mini")


@pytest.fixture(scope="session")
def builder() -> StepBuilder:
    scale = load_scale("mini")
    pins = {name: name for name in MINI.sources}
    return StepBuilder(MINI, scale, PhaseOne.of(scale.encoder), pins)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Table 2 at mini scale, in an empty results folder."""
    store = tmp_path / "results" / ".store"
    library = Library(MINI.sources, FileStore(store))
    scale = load_scale("mini")
    return Session(
        experiment=EXPERIMENTS["table2"],
        scale=scale,
        reason="a test",
        benchmark=MINI,
        encoder=PhaseOne.of(scale.encoder),
        library=library,
        machine=Machine(store),
        results=tmp_path / "results",
    )


def nothing_missing(_: Iterable[Part]) -> list[Source]:
    return []
