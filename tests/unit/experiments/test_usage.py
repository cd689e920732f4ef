"""What a run took: sums over every step that its results rest on, whoever made it, and when."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from stilts_artifact.checking.usage import Usage, load_usage, together, usage_csv, usage_path
from stilts_artifact.errors import ConfigError, DataError
from stilts_artifact.experiments.outcome import Took
from stilts_artifact.files import hash_bytes
from stilts_artifact.pipeline.kinds import KINDS
from stilts_artifact.pipeline.meter import Meter
from stilts_artifact.pipeline.step import Graph, Step
from stilts_artifact.pipeline.store import Store

DATA = Step("prepare", {"task": "xnli"})
MODEL = Step("target", {"task": "xnli"}, {"data": DATA})
SCORED = Step("predict", {"task": "xnli"}, {"model": MODEL})
OTHER = Step("labels", {"task": "panx"})
GRAPH = Graph([SCORED, OTHER], KINDS)
TOOK: Mapping[Step, tuple[float, dict[str, int]]] = {
    # A worker that trained before prepares data on a CPU all the same.
    DATA: (2.0, {"memory": 5, "gpu_memory": 9, "cpu_ms": 1500}),
    MODEL: (100.0, {"memory": 70, "gpu_memory": 30, "cpu_ms": 90_000, "written": 8}),
    SCORED: (10.0, {"memory": 60, "gpu_memory": 40, "cpu_ms": 9_000, "written": 1}),
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One step after another, the model dropped once it was used."""
    store = Store(tmp_path / "store")
    for step, took in TOOK.items():
        with store.draft(GRAPH.keyed(step)) as draft:
            (draft.out / "file").write_text(step.kind)
            draft.publish(*took)
    store.drop(GRAPH.address(MODEL), "not needed")
    return store


@pytest.fixture
def usage(store: Store) -> Usage:
    took = Took(made={GRAPH.address(SCORED), GRAPH.address(MODEL)}, seconds=111.0)
    return took.usage(store, [GRAPH.address(SCORED)], b"results")


def test_every_step_below_counts_once_with_what_it_took(usage: Usage) -> None:
    assert [one.kind for one in usage.steps] == ["prepare", "target", "predict"]
    assert [one.run for one in usage.steps] == ["earlier", "this", "this"]
    every = together(usage.steps)
    assert (every.steps, usage.earlier, usage.unknown) == (3, 1, 0)
    assert (every.seconds, every.cpu_seconds, every.gpu_seconds) == (112.0, 100.5, 110.0)
    assert (every.memory, every.gpu_memory, every.written) == (70, 40, 9)
    assert usage.seconds == 111.0
    assert len(usage.machines) == 1 and " of memory" in usage.machines[0]


def test_what_is_not_known_is_said(store: Store) -> None:
    with store.draft(GRAPH.keyed(OTHER)) as draft:
        (draft.out / "file").write_text("labels")
        draft.publish(1.0, {"memory": 7})
    addresses = [GRAPH.address(one) for one in (SCORED, OTHER)]
    usage = Took().usage(store, [*addresses, "predict/" + "0" * 64], b"results")
    assert usage.unknown == 1
    labels = usage.kinds["labels"]
    assert (labels.cpu_seconds, labels.gpu_seconds) == (None, 0.0)
    assert together(usage.steps).cpu_seconds is None
    assert usage.kinds["target"].cpu_seconds == 90.0
    lines = list(csv.DictReader(io.StringIO(usage_csv(usage))))
    assert [line["kind"] for line in lines] == ["prepare", "labels", "target", "predict"]
    assert [line["cpu_seconds"] for line in lines] == ["1.5", "", "90.0", "9.0"]


def test_a_manifest_from_before_machines_were_noted_is_counted(store: Store) -> None:
    path = store.path(GRAPH.address(SCORED)) / "manifest.json"
    document = json.loads(path.read_text())
    for name in ("machine", "used"):
        del document["made"][name]
    path.write_text(json.dumps(document))
    last = Took().usage(store, [GRAPH.address(SCORED)], b"results").steps[-1]
    assert (last.kind, last.machine, last.seconds, last.cpu_seconds) == ("predict", None, 10, None)


def test_the_file_is_of_these_results_or_is_not_read(usage: Usage, tmp_path: Path) -> None:
    results = tmp_path / "table2.mini.json"
    own = hash_bytes(b"results").sha256
    assert load_usage(results, own) is None
    path = usage_path(results)
    assert path.name == "table2.mini.usage.json"
    path.write_bytes(usage.dump())
    assert load_usage(results, own) == usage
    assert load_usage(results, "0" * 64) is None
    path.write_bytes(usage.dump().replace(b'"seconds": 111.0', b'"seconds": -1'))
    with pytest.raises(ConfigError, match="seconds"):
        load_usage(results, own)
    path.write_bytes(b"{")
    with pytest.raises(DataError):
        load_usage(results, own)


def test_time_of_processors_is_that_of_the_step() -> None:
    first = Meter()
    sum(range(3_000_000))
    spent = first.used()["cpu_ms"]
    assert spent > 0
    assert Meter().used()["cpu_ms"] < spent
