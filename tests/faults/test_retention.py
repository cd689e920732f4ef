"""Trained models are dropped once nothing needs them, and whatever happens nothing else is."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stilts_artifact.errors import IntegrityError, ResourceError
from stilts_artifact.files import LockedFile, size_below
from stilts_artifact.pipeline import upkeep
from stilts_artifact.pipeline.plan import Need, simulate
from stilts_artifact.pipeline.runs import Ask, Runs
from stilts_artifact.pipeline.scheduler import missing
from stilts_artifact.pipeline.step import Graph, KeepModels, KeyedStep, Step
from stilts_artifact.pipeline.store import Store
from stilts_artifact.pipeline.upkeep import (
    damaged,
    hold,
    prune,
    published,
    results,
    take_stock,
)
from tests.faults.retention_model import (
    KINDS,
    InlineClient,
    go,
    held,
    killed_at,
    models_of,
    row,
)


def graph_of(*steps: Step) -> Graph:
    return Graph(steps, KINDS, models_of(list(steps)))


def client(workers: int = 2) -> InlineClient:
    return InlineClient(workers, {})


def texts(root: Path, steps: list[Step], graph: Graph) -> list[str]:
    store = Store(root)
    return [(store.read(graph.address(step)) / "text").read_text() for step in steps]


@pytest.mark.parametrize(
    ("keep", "left"), [("all", {"encoder", "target"}), ("encoders", {"encoder"}), ("none", set())]
)
def test_models_that_are_not_kept_are_dropped_and_a_second_run_makes_nothing(
    root: Path, keep: KeepModels, left: set[str]
) -> None:
    steps = [*row("a "), *row("b ")]
    graph, store = graph_of(*steps), Store(root)
    assert len(go(graph, root, client(), keep).made) == len(graph.steps)
    assert {step.kind for step in held(store, graph)} == left
    assert texts(root, steps, graph)[0] == "0 0 data a  0 predicted"
    again = go(graph, root, client(), keep)
    assert (again.made, len(again.found)) == ((), len(graph.steps))
    assert sorted(path.name for path in root.iterdir() if any(path.iterdir())) == (
        ["store"] if keep == "all" else ["dropped", "store"]
    )


def test_a_model_that_is_needed_again_is_made_again_with_the_same_bytes(root: Path) -> None:
    first = row("a ")
    go(graph_of(*first), root, client())
    store, target = Store(root), models_of(first)[0]
    address = graph_of(*first).address(target)
    record = store.dropped(address)
    assert record is not None and record.first.size == len("0 data a  0 ")
    assert "--keep-models was none" in record.why
    more = Step("predict", {"text": "more"}, {"model": target})
    graph = graph_of(*first, more)
    made = [step.kind for step in go(graph, root, client(), "all").made]
    assert made == ["encoder", "target", "predict"], "the data were here"
    assert store.manifest(address).files == record.first.files


def test_a_model_that_is_made_again_otherwise_is_refused(root: Path) -> None:
    first = row("a ")
    graph, store = graph_of(*first), Store(root)
    go(graph, root, client())
    target = graph.keyed(models_of(first)[0])
    with store.draft(target) as draft:
        (draft.out / "text").write_text("other")
        with pytest.raises(IntegrityError, match="not as it was before it was dropped"):
            draft.publish(1.0)
    assert not store.has(target.address)
    # Other versions do not promise the same bytes, nor another machine, and nor does a GPU.
    path = root / "dropped" / f"{target.address}.json"
    before = path.read_text()
    made = json.loads(before)["manifest"]["made"]
    for other in (made | {"versions": {"python": "2.7"}}, made | {"host": "elsewhere"}):
        record = json.loads(before)
        record["manifest"]["made"] = other
        path.write_text(json.dumps(record))
        with store.draft(target) as draft:
            (draft.out / "text").write_text("other")
            assert draft.publish(1.0) is not None
        shutil.rmtree(store.path(target.address))
    path.write_text(before)
    with store.draft(target) as draft:
        (draft.out / "text").write_text("other")
        said = draft.publish(1.0, exact=False)
    assert said is not None and said.startswith("made again, and not as before")
    assert store.manifest(target.address).made["unlike_first"] == "text"


def test_a_failed_prediction_keeps_the_models_that_it_read(root: Path) -> None:
    good, bad = row("a ")
    target = bad.inputs["model"]
    bad = Step("predict", {"text": "", "seconds": "none"}, {"model": target})
    graph = graph_of(good, bad)
    report = go(graph, root, client())
    assert [failure.step for failure in report.failures] == [graph.keyed(bad)]
    assert held(Store(root), graph) == [
        step for step in graph.steps.values() if step.address == graph.address(target)
    ]


def test_what_another_run_has_yet_to_read_stays_until_it_has(root: Path) -> None:
    mine, theirs = row("a "), row("a ", 3)
    graph, other, store = graph_of(*mine), graph_of(*theirs), Store(root)
    encoder = graph.address(models_of(mine)[-1])
    with pytest.raises(ZeroDivisionError), Runs(Store(root)).entered(Ask.of(other, "none")):
        go(graph, root, client())
        assert [step.address for step in held(store, graph)] == [encoder]
        raise ZeroDivisionError
    # It has ended, but not done what it was to do: what was here then is spared still.
    go(graph_of(*mine, Step("predict", {}, {"model": models_of(mine)[-1]})), root, client())
    assert [step.address for step in held(store, graph)] == [encoder]
    made = [step.kind for step in go(other, root, client()).made]
    assert made == ["data", "target", "predict"]
    assert held(store, other) == []
    assert not list((root / "runs").iterdir())


def test_a_dead_run_of_none_takes_no_model_from_one_that_keeps_all(root: Path) -> None:
    mine, theirs = row("a "), [row("a ")[0], row("b ")[0]]
    graph, store = graph_of(*mine), Store(root)
    with (
        pytest.raises(ZeroDivisionError),
        Runs(Store(root)).entered(Ask.of(graph_of(*theirs), "none")),
    ):
        raise ZeroDivisionError
    for _ in range(2):
        # While it runs, and where all is there already.
        go(graph, root, client(), "all")
        models = {graph.address(model) for model in models_of(mine)}
        assert {step.address for step in held(store, graph)} == models


def test_a_run_that_cannot_be_entered_leaves_nothing_that_others_wait_for(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: LockedFile, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LockedFile, "write", full)
    runs = Runs(Store(root))
    with pytest.raises(ResourceError, match="cannot be entered"):
        runs.entered(Ask.of(graph_of(*row("a ")), "none")).__enter__()
    assert Runs(Store(root)).live() == {} and not list((root / "runs").iterdir())


def test_nothing_is_dropped_while_nobody_can_tell_who_reads_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = graph_of(*row("a "))
    go(graph, root, client(), "all")
    models, runs = held(Store(root), graph), Runs(Store(root))

    def stale(folder: Path) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", stale)
        assert not any(runs.drop(one.address, "why", own=True) for one in models)
    assert held(Store(root), graph) == models
    assert all(runs.drop(one.address, "why", own=True) for one in models)


def test_a_model_that_is_dropped_under_its_reader_is_made_again(root: Path) -> None:
    steps = row("a ")
    graph, store = graph_of(*steps), Store(root)
    encoder = graph.address(models_of(steps)[-1])

    def drop() -> None:
        # A run on another machine, of which this one's locks know nothing.
        if store.has(encoder) and not store.dropped(encoder):
            store.drop(encoder, "for this test")

    report = go(graph, root, InlineClient(1, {}, drop))
    assert report.failures == () and missing(graph, store) == []
    assert [step.kind for step in report.made].count("encoder") == 2


def test_a_model_that_is_dropped_again_and_again_is_a_failure_in_the_end(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stilts_artifact.pipeline.store._LATE_SECONDS", 0.0)
    steps = row("a ", 1)
    graph, store = graph_of(*steps), Store(root)
    encoder = graph.address(models_of(steps)[-1])
    report = go(graph, root, InlineClient(1, {}, lambda: bool(store.drop(encoder, "again"))))
    assert [failure.step.kind for failure in report.failures] == ["target"]
    assert len(report.made) > len(graph.steps)


def test_a_model_that_cannot_be_made_again_stops_all_that_read_it(root: Path) -> None:
    """The second reader, too, which was ready while the first had it made again."""
    steps = row("a ")
    graph, store = graph_of(*steps), Store(root)
    encoder = graph.keyed(models_of(steps)[-1])

    def drop() -> None:
        # By a run on another machine; what it recorded is not what is made here.
        if store.has(encoder.address) and not store.dropped(encoder.address):
            store.drop(encoder.address, "for this test")
            path = root / "dropped" / f"{encoder.address}.json"
            record = json.loads(path.read_text())
            record["manifest"]["files"]["text"]["sha256"] = "0" * 64
            path.write_text(json.dumps(record))

    report = go(graph, root, InlineClient(1, {}, drop))
    assert [failure.step for failure in report.failures] == [encoder]
    assert sorted(skipped.step.kind for skipped in report.skipped) == [
        *("predict", "predict", "target", "target")
    ]
    assert all(skipped.because == encoder for skipped in report.skipped)


@pytest.mark.slow
def test_killed_at_every_moment_a_run_with_drops_ends_as_if_it_had_not_been(
    tmp_path: Path,
) -> None:
    """Each change of the disk in turn; what is killed leaves nothing half there."""
    steps = row("a ", 1)
    graph, moment = graph_of(*steps), 0
    while True:
        moment += 1
        root = tmp_path / str(moment)
        if not killed_at(moment, lambda root=root: go(graph, root, client())):  # type: ignore[misc]
            break
        for address in graph.steps:
            if Store(root).has(address):
                Store(root).read(address)
        go(graph, root, client())
        assert texts(root, steps, graph) == ["0 0 data a  0 predicted"]
        assert held(Store(root), graph) == []
        assert left_over(root) == []
        shutil.rmtree(root)
    assert moment > 40, "the kills did not reach the drops"


def left_over(root: Path) -> list[str]:
    """What is neither a result nor a record."""
    found = [*(root / "work").iterdir(), *(root / "runs").iterdir()]
    found += [path for path in (root / "dropped").rglob("*") if path.name.startswith(".")]
    return sorted(str(path.relative_to(root)) for path in found)


def test_what_published_results_and_ended_runs_need_stays_and_all_else_goes(root: Path) -> None:
    mine, theirs, third = row("a "), row("b "), row("c ")
    store = Store(root)
    for steps in (mine, theirs, third):
        go(graph_of(*steps), root, client(), "all")
    hold(
        store,
        root.parent / "table2.mini.json",
        [graph_of(*mine).address(one) for one in mine],
    )
    ended = Step("predict", {"text": "late"}, {"model": models_of(theirs)[0]})
    with pytest.raises(ZeroDivisionError), Runs(store).entered(Ask.of(graph_of(ended), "none")):
        with pytest.raises(ResourceError, match="a run is at work"):
            prune(Store(root), KINDS)
        raise ZeroDivisionError
    before = results(store)
    assert len(prune(store, KINDS, dry_run=True).results) == len(before) - 3
    assert results(store) == before, "a dry run removes nothing"
    # What was published before there were entries is known by its files.
    sums = store.manifest(graph_of(*third).address(third[0])).files.files["text"].sha256
    gone = prune(store, KINDS, [sums])
    target = graph_of(*theirs).address(models_of(theirs)[0])
    kept = [graph_of(one).address(one) for one in (*mine, third[0])]
    assert sorted(results(store)) == sorted([*kept, target])
    assert gone.results.keys() == set(before) - set(results(store))
    stock = {kind.kind: kind for kind in take_stock(store).kinds}
    assert (stock["predict"].results, stock["predict"].dropped) == (3, 3)
    assert stock["predict"].published == sum(store.manifest(address).size for address in kept[:2])
    assert stock["target"].unfinished == stock["target"].bytes > 0
    assert [step.kind for step in go(graph_of(ended), root, client()).made] == ["predict"]
    assert list(root.glob("runs/*")) == []


def test_of_two_runs_that_enter_at_once_what_they_rest_on_none_is_lost(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of them writes first, and whether or not one replaces all that was there."""
    store, file = Store(root), root.parent / "table2.mini.json"
    hold(store, file, ["predict/old"])
    assert hold(store, file, ["predict/more"]) == {"predict/old", "predict/more"}
    assert len(list((root / "published").iterdir())) == 1
    for alone in (None, b"{}"):
        file.write_bytes(b"{}")
        write = upkeep.write_file

        def meanwhile(path: Path, data: bytes, write: Callable[..., None] = write) -> None:
            monkeypatch.setattr(upkeep, "write_file", write)
            hold(store, file, ["predict/theirs"])
            write(path, data)

        monkeypatch.setattr(upkeep, "write_file", meanwhile)
        hold(store, file, ["predict/mine"], alone=alone)
        (entry,) = published(store)
        assert entry.addresses >= {"predict/mine", "predict/theirs"}
    # What another has published stays, and else what was there before goes.
    file.write_bytes(b"{} ")
    hold(store, file, ["predict/mine"], alone=b"{}")
    assert "predict/theirs" in published(store)[0].addresses
    assert hold(store, file, ["predict/new"], alone=b"{} ") == {"predict/new"}
    assert published(store)[0].addresses == {"predict/new"}
    assert len(list((root / "published").iterdir())) == 1


def test_an_entry_that_cannot_be_read_stays_until_all_of_the_results_is_entered_anew(
    root: Path,
) -> None:
    store, file = Store(root), root.parent / "table2.mini.json"
    hold(store, file, ["predict/old"])
    (path,) = (root / "published").iterdir()
    path.write_text("{")
    hold(store, file, ["predict/more"])
    for look in (lambda: published(store), lambda: prune(store, KINDS)):
        with pytest.raises(IntegrityError, match="cannot be read") as told:
            look()
        assert told.value.where == str(path)
    file.write_bytes(b"{}")
    hold(store, file, ["predict/all"], alone=b"{}")
    assert [entry.addresses for entry in published(store)] == [{"predict/all"}]


def test_what_a_rehearsal_left_is_counted_and_goes_unless_one_is_at_work_there(root: Path) -> None:
    store, place = Store(root), root / "rehearsal" / "table2.paper"
    graph = graph_of(*row("a "))
    go(graph, place, client(), "all")
    size = size_below(place)
    assert (take_stock(store).rehearsal_bytes, take_stock(store).kinds) == (size, ())
    assert prune(store, KINDS, dry_run=True).rehearsals == {"table2.paper": size}
    with Runs(Store(place)).session():
        assert prune(store, KINDS).rehearsals == {}
    assert missing(graph, Store(place)) == []
    assert prune(store, KINDS).bytes == size
    assert not place.exists() and take_stock(store).rehearsal_bytes == 0
    assert list(store.work.iterdir()) == []


def left_by(root: Path, graph: Graph, keep: KeepModels = "none") -> Path:
    """The file of a run that was ended."""
    file = LockedFile(root / "runs", "run")
    file.write(Ask.of(graph, keep).dump())
    file.release()
    return file.path


def test_a_run_of_another_version_is_told_and_nothing_goes_that_it_may_need(root: Path) -> None:
    steps, more = row("a "), row("a ", 3)
    go(graph_of(*steps), root, client(), "all")
    models = held(Store(root), graph_of(*steps))
    path = left_by(root, graph_of(*row("b ")))
    path.write_text(path.read_text().replace('"format": 1', '"format": 0'))
    for look in (lambda: prune(Store(root), KINDS), lambda: take_stock(Store(root))):
        with pytest.raises(IntegrityError, match="cannot be read") as told:
            look()
        assert told.value.where == str(path)
    go(graph_of(*more), root, client())
    # Its own model is gone, and what was here before is spared.
    assert held(Store(root), graph_of(*more)) == models
    path.unlink()
    assert prune(Store(root), KINDS).results


def test_what_a_run_left_that_was_killed_before_it_said_anything_is_nothing(root: Path) -> None:
    go(graph_of(*row("a ")), root, client())
    path = left_by(root, graph_of(*row("b ")))
    path.write_text(path.read_text()[:-3])
    assert prune(Store(root), KINDS).results, "it is not taken for a run at work"
    assert not path.exists()


def test_a_run_whose_work_another_has_done_is_not_counted_as_unfinished(root: Path) -> None:
    graph = graph_of(*row("a "))
    left_by(root, graph)
    assert take_stock(Store(root)).unfinished == 1
    go(graph, root, client(), "all")
    left_by(root, graph)
    assert take_stock(Store(root)).unfinished == 0


def test_a_run_that_fails_again_and_again_is_one_unfinished_run(root: Path) -> None:
    good = row("a ")[0]
    bad = Step("predict", {"text": "", "seconds": "none"}, {"model": good.inputs["model"]})
    for steps in ([bad], [good, bad], [good, bad]):
        assert go(graph_of(*steps), root, client()).failures
        (ask,) = Runs(Store(root)).dead.values()
        assert ask == Ask.of(graph_of(*steps), "none")


def test_a_dead_run_takes_no_model_that_this_one_is_about_to_read(root: Path) -> None:
    first, more = row("a "), row("a ", 3)
    go(graph_of(*first), root, client(), "all")
    left_by(root, graph_of(*first))
    made = [step.kind for step in go(graph_of(*more), root, client()).made]
    assert made == ["data", "target", "predict"], "the encoder was here"


def checkpoint_of(store: Store, step: KeyedStep) -> None:
    with store.draft(step) as draft:
        (draft.work / "checkpoint").write_text("7")


def test_prune_takes_what_crashes_left_and_spares_what_an_unfinished_run_has(root: Path) -> None:
    mine, other = row("a "), row("b ")
    graph, store = graph_of(*mine), Store(root)
    go(graph_of(mine[0], *other), root, client(), "all")
    done, coming = map(graph.address, mine)
    damaged_one = graph_of(*other).address(other[0])
    (store.path(damaged_one) / "manifest.json").write_text("{}")
    broken = graph_of(*other).address(other[1])
    (store.path(broken) / "files" / "text").write_text("else")
    with pytest.raises(IntegrityError, match="now lies in"):
        store.read(broken)
    go(graph_of(other[1]), root, client(), "all")
    left_by(root, graph)
    left_by(root, graph_of(other[1]))  # all that it was to make is here
    checkpoint_of(store, graph.steps[coming])
    checkpoint_of(store, graph.keyed(Step("data", {"text": "0 "})))
    for folder in ("published", "dropped/predict"):
        LockedFile(root / folder, ".entry.json").release()
    rest = size_below(root / "aside")
    assert rest > 0 and prune(store, KINDS, dry_run=True).rest_bytes >= rest
    prune(store, KINDS)
    assert store.has(done), "a target of a run that is to be resumed"
    assert not store.path(damaged_one).exists() and not (root / "aside").exists()
    assert [path.name.split(".")[0] for path in store.work.iterdir()] == [graph.steps[coming].key]
    assert [ask and ask.targets for ask in Runs(store).dead.values()] == [graph.targets]
    assert not [
        path for path in root.rglob("*.part") if path.parent.name in ("published", "predict")
    ]


def test_a_run_that_begins_while_a_store_is_pruned_ends_that(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(graph_of(*row("a ")), root, client(), "all")
    before, drop, began = results(Store(root)), Store.drop, ExitStack()

    def begin(store: Store, address: str, why: str) -> int:
        began.enter_context(Runs(store).session())
        return drop(store, address, why)

    monkeypatch.setattr(Store, "drop", begin)
    with began, pytest.raises(ResourceError, match="a run is at work"):
        prune(Store(root), KINDS)
    assert len(results(Store(root))) == len(before) - 1


def test_nothing_is_pruned_while_results_are_made_of_what_lies_there(root: Path) -> None:
    steps = row("a ")
    go(graph_of(*steps), root, client())
    with Runs(Store(root)).session(), pytest.raises(ResourceError, match="a run is at work"):
        prune(Store(root), KINDS)
    assert prune(Store(root), KINDS).results


def test_what_is_damaged_is_named_and_left_where_it_is(root: Path) -> None:
    steps = row("a ")
    graph, store = graph_of(*steps), Store(root)
    go(graph, root, client())
    addresses = [graph.address(step) for step in steps]
    (store.path(addresses[0]) / "files" / "text").write_text("other")
    (store.path(addresses[1]) / "manifest.json").unlink()
    record = next((root / "dropped" / "target").iterdir())
    record.write_text(json.dumps(json.loads(record.read_text()) | {"report": "else"}))
    before = sorted(root.rglob("*"))
    faults = {address: error for address, error in damaged(Store(root)) if error is not None}
    assert set(faults) == {*addresses, f"target/{record.stem}"}
    assert sorted(root.rglob("*")) == before


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Step], Graph]:
    """Any graph of a few data, models and predictions; wanted are some that are no models."""
    made: list[Step] = []
    for number in range(draw(st.integers(3, 9))):
        kind = draw(st.sampled_from(sorted(KINDS)))
        inputs = draw(st.lists(st.sampled_from(made), max_size=3)) if made else []
        own = {str(index): step for index, step in enumerate(inputs)}
        made.append(Step(kind, {"text": f"{number} "}, own))
    plain = [step for step in made if KINDS[step.kind].model is None]
    wanted = draw(st.lists(st.sampled_from(plain), min_size=1)) if plain else []
    reported = [step for step in made if KINDS[step.kind].model is not None]
    chosen = draw(st.lists(st.sampled_from(reported))) if reported else []
    return wanted, Graph(wanted, KINDS, chosen)


def expected(step: Step) -> str:
    return "".join(expected(other) for _, other in sorted(step.inputs.items())) + str(
        step.params["text"]
    )


ACTS = st.sampled_from(["first", "second", "prune"])
QUIET = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.slow
@QUIET
@given(
    graphs(),
    graphs(),
    st.lists(st.tuples(ACTS, st.integers(1, 60)), max_size=4),
    st.integers(1, 3),
    st.sampled_from(["none", "encoders"]),
)
def test_whatever_is_killed_nothing_that_is_wanted_is_lost(
    first: tuple[list[Step], Graph],
    second: tuple[list[Step], Graph],
    kills: list[tuple[str, int]],
    workers: int,
    keep: KeepModels,
) -> None:
    """Two commands on one store and prunes between them, all killed at any moments.

    The results of the first are published: nothing that they rest on goes, and to repeat it is to
    run nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        root, store = Path(folder), Store(Path(folder))
        acts: dict[str, Callable[[], object]] = {
            "first": lambda: go(first[1], root, client(workers), keep),
            "second": lambda: go(second[1], root, client(workers), keep),
            "prune": lambda: prune(Store(root), KINDS),
        }
        acts["first"]()
        hold(store, root / "results.json", first[1].targets)
        for name, moment in kills:
            killed_at(moment, acts[name])
            assert texts(root, *first) == [expected(step) for step in first[0]]
            assert missing(first[1], store) == []
        go(second[1], root, client(workers), keep)
        for steps, graph in (first, second):
            assert texts(root, steps, graph) == [expected(step) for step in steps]
            assert missing(graph, store) == []
            for address in graph.reported:
                assert store.has_report(address)
            dropped = {"target"} if keep == "encoders" else {"target", "encoder"}
            assert not {step.kind for step in held(store, graph)} & dropped
        assert list(root.glob("runs/*")) == []
        prune(store, KINDS)
        assert set(results(store)) == set(first[1].targets)
        assert go(first[1], root, client(workers), keep).made == ()
        assert [error for _, error in damaged(store) if error] == left_over(root) == []


@QUIET
@given(graphs(), st.integers(1, 3), st.data())
def test_no_run_holds_more_than_was_simulated(
    chosen: tuple[list[Step], Graph], workers: int, data: st.DataObject
) -> None:
    graph = chosen[1]
    times = {address: data.draw(st.sampled_from([0.5, 1.0, 3.0])) for address in graph.steps}
    sizes = {
        address: float(KINDS[step.kind].model is not None) for address, step in graph.steps.items()
    }
    need = Need(times.__getitem__, lambda _: False, sizes.__getitem__, lambda _: 0.0)
    # As planned: what a run starts next follows from the plan's seconds, too.
    costs = SimpleNamespace(seconds=lambda step, graph: times[step.address])
    with tempfile.TemporaryDirectory() as folder:
        root, store = Path(folder), Store(Path(folder))
        most = 0

        def watch() -> None:
            nonlocal most
            most = max(most, len(held(store, graph)))

        go(graph, root, InlineClient(workers, times, watch), costs=costs)
        wanted = list(graph.steps)
    assert most <= simulate(graph, wanted, workers, need, "none").peak
