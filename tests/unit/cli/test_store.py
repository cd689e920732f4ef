"""``store du|verify|prune``: what a person sees of a store, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stilts_artifact.cli.ending import run
from stilts_artifact.domain.units import readable_size
from stilts_artifact.errors import ExitCode
from stilts_artifact.files import size_below
from stilts_artifact.pipeline.runs import Runs
from stilts_artifact.pipeline.step import Graph, Step
from stilts_artifact.pipeline.store import Store
from stilts_artifact.pipeline.upkeep import hold
from tests.unit.pipeline.test_store import KINDS, publish


@pytest.fixture
def made(tmp_path: Path) -> dict[str, str]:
    """A store with two results, one of which a published file rests on: name -> address."""
    store = Store(tmp_path / ".store")
    found = {}
    for name in ("published", "other"):
        step = Step("make", {"name": name})
        keyed = Graph([step], KINDS).keyed(step)
        publish(store, keyed, {"text": name})
        found[name] = keyed.address
    hold(store, tmp_path / "table2.mini.json", [found["published"]])
    return found


def ask(tmp_path: Path, *arguments: str) -> int:
    return run(["store", *arguments, "--results", str(tmp_path)], debug=True)


def test_du_says_for_whom_things_are_kept(
    tmp_path: Path, made: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(tmp_path, "du", "--json") == ExitCode.REPRODUCED
    (kind,) = json.loads(capsys.readouterr().out)["kinds"]
    assert (kind["kind"], kind["results"], kind["bytes"], kind["published"]) == ("make", 2, 14, 9)
    assert ask(tmp_path, "du") == ExitCode.REPRODUCED
    said = capsys.readouterr().out
    assert "published from here: ../table2.mini.json" in said and "verdict: 14 B of steps" in said
    assert "rehearsals" not in said
    failed = tmp_path / ".store" / "rehearsal" / "table2.paper"
    publish(Store(failed), Graph([Step("make")], KINDS).keyed(Step("make")), {"text": "tried"})
    assert ask(tmp_path, "du") == ExitCode.REPRODUCED
    size = readable_size(size_below(failed))
    assert f"rehearsals that failed or are at work: {size} in" in capsys.readouterr().out
    assert ask(tmp_path, "prune") == ExitCode.REPRODUCED
    assert "gone  rehearsal table2.paper" in capsys.readouterr().out and not failed.exists()


def test_prune_drops_what_nobody_needs_and_a_dry_run_nothing(
    tmp_path: Path, made: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / ".store")
    assert ask(tmp_path, "prune", "--dry-run") == ExitCode.REPRODUCED
    assert f"would go  {made['other']}  5 B\nverdict: 1 results would go" in capsys.readouterr().out
    assert all(map(store.has, made.values()))
    with Runs(store).session():
        assert ask(tmp_path, "prune") == ExitCode.RESOURCE
    assert "a run is at work on this store" in capsys.readouterr().err
    assert ask(tmp_path, "prune", "--json") == ExitCode.REPRODUCED
    assert json.loads(capsys.readouterr().out)["results"] == {made["other"]: 5}
    assert [store.has(made[name]) for name in ("published", "other")] == [True, False]


def test_verify_names_what_is_damaged_and_exits_4(
    tmp_path: Path, made: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(tmp_path, "verify") == ExitCode.REPRODUCED
    assert "verdict: 2 results are sound; exit 0" in capsys.readouterr().out
    path = Store(tmp_path / ".store").path(made["other"]) / "files" / "text"
    path.write_text("OTHER")
    assert ask(tmp_path, "verify") == ExitCode.INTEGRITY
    said = capsys.readouterr().out
    assert f"damaged: {made['other']}\nfile is altered\n  where:    {path}\n" in said
    assert "1 results are sound, 1 are damaged" in said and path.exists()


def test_a_store_that_is_not_there_is_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("du", "verify", "prune"):
        assert ask(tmp_path, command) == ExitCode.REPRODUCED
    assert list(tmp_path.iterdir()) == []
