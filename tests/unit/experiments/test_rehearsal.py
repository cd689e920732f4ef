"""A rehearsal: what of a scale it keeps and what it cuts, and that nobody takes it for results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stilts_artifact.benchmark.experiments import EXPERIMENTS
from stilts_artifact.benchmark.lengths import example_tokens
from stilts_artifact.cli import options
from stilts_artifact.cli import rehearsal as command
from stilts_artifact.config.load import (
    definition,
    is_evidence,
    load_scale,
    parse_definition,
    rehearsal_name,
)
from stilts_artifact.config.schema import SCALE_NAME, Scale
from stilts_artifact.data.fetch import Stock
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.errors import ConfigError, ExitCode, ResourceError
from stilts_artifact.experiments import rehearsal
from stilts_artifact.experiments.rehearsal import Offer, Rehearsal, Use
from stilts_artifact.experiments.session import Machine, Session
from stilts_artifact.experiments.setup import Choices, open_session
from stilts_artifact.experiments.stand_ins import EVALUATED
from stilts_artifact.model.hub import PhaseOne, shipped_encoder
from stilts_artifact.pipeline.kinds import KINDS
from stilts_artifact.pipeline.runs import Runs
from stilts_artifact.pipeline.step import Graph, Step
from stilts_artifact.pipeline.store import Store
from stilts_artifact.training.determinism import fixed_arithmetic
from stilts_artifact.training.numerics import Difference, compare_forms
from stilts_artifact.training.schedule import Share
from tests.conftest import Run
from tests.unit.pipeline.test_store import publish

TABLE2 = EXPERIMENTS["table2"]
ENCODER = PhaseOne("random weights as FacebookAI/xlm-roberta-large", "0" * 64, {})
LAYERS = 302_000_000  # weights of XLM-R large outside its embeddings


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    place = tmp_path_factory.mktemp("paper")
    return open_session(TABLE2, Choices("paper"), Machine(place / ".store"), place)


def test_every_training_run_takes_two_steps_and_keeps_its_batch_on_a_gpu(session: Session) -> None:
    scale = rehearsal._reduced(session, ENCODER, 0)
    for section in ("intermediate", "targets"):
        for name, numbers in getattr(scale, section).items():
            own = getattr(session.scale, section)[name]
            share = Share(
                name, numbers.train_rows, numbers.epochs, numbers.batch, scale.mixture.cap
            )
            assert share.steps == 2
            assert (numbers.batch, numbers.max_length) == (own.batch, own.max_length)
    assert (scale.checkpoint_every, scale.training.evaluate_every) == (1, 1)
    assert (len(scale.seeds), scale.evaluation_rows) == (1, EVALUATED)
    assert (session.scale.device, scale.device) == ("gpu", "any"), "where there is none, on cores"
    assert scale.retrieval == session.scale.retrieval and scale.dtype == "bfloat16"
    # A paragraph of each of forty languages.
    assert Share("mlm", 40, 1, scale.mlm.batch, scale.mixture.cap_with_mlm).steps == 2


def test_a_cpu_has_batches_that_it_can_do_and_they_are_said(session: Session) -> None:
    scale = rehearsal._reduced(session, ENCODER, LAYERS)
    tasks = session.benchmark.tasks
    for name, numbers in {**scale.intermediate, **scale.targets}.items():
        tokens = example_tokens(name, tasks[name].form, numbers.max_length) * numbers.batch
        assert numbers.batch == 1 or 6 * LAYERS * tokens <= 5e11
        assert Share(name, numbers.train_rows or 0, 1, numbers.batch).steps == 2
    said = rehearsal._smaller(session.scale, scale)
    assert said["xnli"] == (scale.targets["xnli"].batch, 32) and 1 < said["xnli"][0] < 32
    small = rehearsal._reduced(session, ENCODER, 1000)
    assert rehearsal._smaller(session.scale, small) == {"mlm": (20, 24)}  # half of 40 languages


def test_a_rehearsal_is_called_one_and_is_evidence_of_nothing(session: Session) -> None:
    scale = rehearsal._reduced(session, ENCODER, 0)
    assert (scale.name, scale.extends, scale.expected) == ("paper-rehearsal", "paper", ())
    assert not scale.evidence and not is_evidence(scale.name)
    assert scale.stamp == (
        "paper-rehearsal: random weights and generated text, whose scores mean nothing"
    )
    # Whatever a file says of its worth.
    kept = definition(scale)
    assert kept is not None
    forged = {**kept, "meaning": "evidence about the paper", "evidence": True}
    again = parse_definition(json.dumps(forged), "results.json")
    assert (again.meaning, again.evidence, again.expected) == (scale.meaning, False, ())
    longest = "a" * 40
    assert Scale.model_validate({**kept, "name": rehearsal_name(longest)}).name != longest
    assert SCALE_NAME.endswith("{0,39}$") and len(rehearsal_name(longest)) == 40
    assert rehearsal_name("a" * 39) != rehearsal_name(longest), "results in files of their own"


def test_a_scale_of_ones_own_may_not_be_called_a_rehearsal(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("{name: my-rehearsal, extends: mini}")
    with pytest.raises(ConfigError, match="a name that rehearsals have"):
        load_scale(str(own))


def test_own_data_are_not_rehearsed(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "xnli.dev-qaa.tsv").write_text("a\tb\tneutral\n")
    choices = Choices("mini", own_data=tmp_path / "own")
    opened = open_session(TABLE2, choices, Machine(tmp_path / "store"), tmp_path)
    with pytest.raises(ConfigError, match="leave --own-data out"):
        rehearsal.rehearse(opened)


def rehearsed(**changes: Any) -> Rehearsal:
    results = SimpleNamespace(experiment="table2", scale="mini-rehearsal")
    outcome = SimpleNamespace(results=results, errors=changes.pop("errors", []))
    fields: dict[str, Any] = {
        "outcome": outcome,
        "failed": (),
        "uses": (Use("target", 6, 30.0, 90.0, 12 << 30, 0, 40_000_000_000, 13_000_000_000),),
        "smaller": {"xnli": (6, 32)},
        "device": "cpu",
        "seconds": 500.0,
        "disk": 20_000_000_000,
        "weights": 560_000_000,
        "plan": None,
        "stock": Stock(69, (), ()),
        "offers": (Offer((), 24 << 30, 50_000_000_000),),
    }
    return Rehearsal(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({}, ExitCode.REPRODUCED, "the machinery works; exit 0"),
        ({"failed": ("mnli xnli: failed",)}, ExitCode.INCOMPLETE, "fails at 1 cells; exit 6"),
        (
            {"failed": ("mnli xnli: failed",), "errors": [ResourceError("out of memory")]},
            ExitCode.RESOURCE,
            "fails at 1 cells; exit 5",
        ),
        (
            {"rounding": (Difference("tagging", 0.02, 0.03, 0.1, 0.2, layers=24),)},
            ExitCode.REPRODUCED,
            "bfloat16 against float32, tagging: scores 2.00% of at most 5.44%",
        ),
        (
            {"rounding": (Difference("tagging", 0.02, 0.3, 0.1, 0.2, layers=24),)},
            ExitCode.RESOURCE,
            "not all is as it should be, see above; exit 5",
        ),
    ],
)
def test_the_exit_code_says_whether_the_machinery_works(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    changes: dict[str, Any],
    code: ExitCode,
    said: str,
) -> None:
    monkeypatch.setattr(rehearsal, "rehearse", lambda _: rehearsed(**changes))
    machine = Machine(tmp_path / "store")
    ended = command.run_rehearsal(TABLE2, Choices("mini"), machine, tmp_path, as_json=False)
    shown = capsys.readouterr().out
    assert ended == code and said in shown
    # Where no cell failed, the store is gone.
    assert ("goes on where it was" in shown) == ("failed" in changes)
    assert "xnli 6 of 32" in shown


def test_a_quiet_rehearsal_says_errors_and_the_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = rehearsed(failed=("mnli xnli: failed",), errors=[ResourceError("out of memory")])
    monkeypatch.setattr(rehearsal, "rehearse", lambda _: found)
    monkeypatch.setattr(options, "detail", lambda: options.Detail.QUIET)
    machine = Machine(tmp_path / "store")
    command.run_rehearsal(TABLE2, Choices("mini"), machine, tmp_path, as_json=False)
    error, reason, verdict = capsys.readouterr().out.splitlines()
    assert error == "error: out of memory" and reason == "no value: mnli xnli: failed"
    assert verdict.startswith("verdict: rehearsal of Table 2: the machinery fails at 1 cells")


def test_what_a_failed_rehearsal_left_is_not_taken_for_another_encoders(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The encoder there is taken as it is, and the steps' numbers are counted."""
    roots: list[Path] = []

    def stop(_: PhaseOne, folder: Path) -> PhaseOne:
        roots.append(folder)
        assert Runs(Store(folder.parent)).at_work(), "store prune leaves it alone"
        raise ResourceError("stop")

    monkeypatch.setattr(rehearsal, "make_encoder", stop)
    other_encoder = replace(session, encoder=replace(session.encoder, revision="1" * 40))
    other_scale = replace(session, scale=session.scale.model_copy(update={"name": "own"}))
    for one in (session, other_encoder, other_scale, session):
        with pytest.raises(ResourceError, match="stop"):
            rehearsal.rehearse(one)
    assert len({*roots[:3]}) == 3 and roots[3] == roots[0]


def test_what_steps_took_is_told_of_those_that_were_asked_for(
    session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A rehearsal that failed may have left more, when it was asked for other cells."""
    *asked, before = (Step("labels", {"task": task}) for task in ("xnli", "mlqa", "pawsx"))
    graph, own = Graph([*asked, before], KINDS), replace(session.machine, store=tmp_path)
    for step in (*asked, before):
        publish(Store(tmp_path), graph.keyed(step), {"text": "made"})
    monkeypatch.setattr(rehearsal, "steps_of", lambda *_: asked)
    uses = rehearsal._uses(replace(session, machine=own))
    # Each took 1.5 s and held 7 bytes.
    assert uses == (Use("labels", 2, 1.5, 3.0, 7, 0, 0, 8),)


@pytest.mark.parametrize("failed", [(), ("mnli xnli: failed",)])
def test_the_store_of_a_rehearsal_stays_where_the_same_command_can_go_on(
    failed: tuple[str, ...], session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def write_encoder(_: PhaseOne, folder: Path) -> PhaseOne:
        folder.mkdir(parents=True)
        return ENCODER

    own = replace(session, machine=replace(session.machine, store=tmp_path))
    done: dict[str, Any] = {
        "require_packages": None,
        "weights_of": (LAYERS, LAYERS),
        "_session": own,
        "reproduce": None,
        "_failed": failed,
        **dict.fromkeys(("_uses", "_rounding", "_offers"), ()),
        **dict.fromkeys(("_plan", "_stock")),
    }
    monkeypatch.setattr(rehearsal, "make_encoder", write_encoder)
    for name, made in done.items():
        monkeypatch.setattr(rehearsal, name, lambda *_, made=made: made)
    assert rehearsal.rehearse(own).failed == failed
    assert rehearsal._place(own).exists() == bool(failed)


@pytest.mark.parametrize(("memory", "threads"), [(128, 1), (32, 4), (4, 8)])
def test_steps_on_a_cpu_share_cores_as_memory_holds_them(
    memory: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """XLM-R large takes some 15 GiB of a worker that trains it."""
    monkeypatch.setattr(rehearsal, "default_workers", lambda: 8)
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", memory << 30)
    assert rehearsal._threads(560_000_000) == threads


@pytest.mark.slow
def test_a_rehearsal_on_a_gpu_holds_bfloat16_against_float32_there(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def on_a_cpu(encoder: Any, device: str) -> Any:
        asked.append(device)
        with fixed_arithmetic(1):  # threads of a crowded machine wait for each other
            return list(compare_forms(encoder, "cpu"))

    monkeypatch.setattr("stilts_artifact.training.numerics.compare_forms", on_a_cpu)
    found = rehearsal._rounding(shipped_encoder(), session, "cuda")
    assert asked == ["cuda"]
    assert len(found) == 4 and all(one.within for one in found), [str(one) for one in found]
    assert rehearsal._rounding(shipped_encoder(), session, "cpu") == ()
    far = replace(session, machine=replace(session.machine, scheduler="tls://login:8786"))
    assert rehearsal._rounding(shipped_encoder(), far, "cuda") == ()


def test_what_is_needed_is_held_against_every_machine() -> None:
    machines = (Offer((80 << 30, 80 << 30), 64 << 30, 1000), Offer((80 << 30,), 8 << 30, 2000))
    found = rehearsed(offers=machines)
    needs = {
        what: (needed, here, enough) for what, needed, here, enough in command._needs(found, "gpu")
    }
    assert needs["GPU memory"] == ("24.0 GB", "3 of 85.9 GB", "yes")
    # The one with the least: any worker may get the largest step.
    assert needs["memory of a worker, as here"] == ("12.9 GB", "8.59 GB", "no")
    alone = dict((row[0], row) for row in command._needs(rehearsed(), "gpu"))
    assert alone["GPU memory"][2:] == ("no GPU", "no")
    assert "GPU memory" not in dict((row[0], row) for row in command._needs(rehearsed(), "any"))
    # Measured is better than estimated.
    measured = Use("target", 1, 1.0, 1.0, 1, 31 << 30, 1, 1)
    assert rehearsed(uses=(measured,)).gpu_memory == 31 << 30


def test_cells_without_a_value_are_failures_if_they_were_asked_for(session: Session) -> None:
    cells = [
        SimpleNamespace(
            key=CellKey(row, "xnli"), row=row, column="xnli", value=value, reason="failed: why"
        )
        for row, value in (("none", 50.0), ("mnli", None), ("qqp", None))
    ]
    outcome: Any = SimpleNamespace(results=SimpleNamespace(cells=cells))
    asked: Any = SimpleNamespace(
        benchmark=session.benchmark, experiment=session.experiment, only=("none,xnli", "mnli,xnli")
    )
    assert rehearsal._failed(outcome, asked) == ("mnli/xnli: failed: why",)


def test_files_are_counted_that_somebody_has_to_bring(session: Session, tmp_path: Path) -> None:
    generated = open_session(TABLE2, Choices("mini"), Machine(tmp_path / "store"), tmp_path)
    assert rehearsal._stock(generated) == Stock(0, (), ())
    stock = rehearsal._stock(session)
    assert stock.absent and stock.by_hand and not stock.here
    rows = {row[0]: row[1:] for row in command._needs(rehearsed(stock=stock), "gpu")}
    assert rows["files to download"] == (f"{len(stock.absent)}", "0", "no")
    assert rows["files to be brought by hand"][0] == f"{len(stock.by_hand)} more"


@pytest.mark.slow
def test_a_row_is_rehearsed_through_the_whole_of_a_run_and_nothing_takes_it_for_results(
    artifact: Run, tmp_path: Path
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("{name: tiny, extends: mini}")
    ask = ("reproduce", "--table", "2", "--scale", own, "--only", "multi+mlm", "--offline")
    ask += ("--keep-models", "none")
    ran = artifact(*ask, "--rehearse", "--json", "--results", tmp_path / "results")
    assert ran.returncode == 0, ran.stderr
    assert "verdict: rehearsal of Table 2: the machinery works; exit 0" in ran.stderr
    said = json.loads(ran.stdout)
    uses = {use["kind"]: use for use in said["uses"]}
    # Nine tasks and text together, then six targets, for nine columns.
    steps = {kind: use["steps"] for kind, use in uses.items()}
    assert (steps["intermediate"], steps["target"], steps["predict"]) == (1, 6, 7)
    assert (steps["encoder"], steps["text"], steps["retrieve"], steps["labels"]) == (1, 1, 2, 9)
    for use in uses.values():
        assert use["memory"] > 10 << 20 and use["seconds"] > 0 and use["results"] > 0
    if Path("/proc/self/io").is_file():
        # A checkpoint holds the weights, the best ones and two moments of each: the result, one.
        assert uses["target"]["written"] > 3 * uses["target"]["results"]
    # Models are dropped on the way, as in the real run.
    models = sum(uses[kind]["results"] for kind in ("encoder", "intermediate", "target"))
    assert said["weights"] * 4 < said["peak_disk_bytes"] and models > 8 * said["weights"]
    assert said["plan"]["peak_disk_bytes"] > 0 and said["failed"] == []
    # It leaves nothing that is in the way of the real run, and nothing beside its own folder.
    assert [path.name for path in (tmp_path / "results").glob("[!.]*")] == ["rehearsal"]
    assert not list((tmp_path / "results" / ".store" / "rehearsal").iterdir())
    place = tmp_path / "results" / "rehearsal"
    file = place / "table2.tiny-rehearsal.json"
    document = json.loads(file.read_text())
    values = [cell for cell in document["cells"] if cell["value"] is not None]
    assert len(values) > 40
    for cell in values:
        assert "|scale:tiny-rehearsal|" in cell["signature"]
        assert "enc:random weights as mini|" in cell["signature"]
        assert (cell["verdict"], cell["expected"]) == ("NOT_CHECKABLE", None)
    for asked in (("check",), ("report",), ("compare", "--table", "2", "none", "multi+mlm")):
        refused = artifact(*asked, "--results", place)
        assert refused.returncode == ExitCode.USAGE, refused.stdout
        assert "results of a rehearsal" in refused.stderr
    # Nor under another name.
    file.rename(place / "table2.mini.json")
    recorded = artifact("record", "--table", "2", "--scale", "mini", "--results", place)
    assert recorded.returncode in (ExitCode.USAGE, ExitCode.INTEGRITY)
