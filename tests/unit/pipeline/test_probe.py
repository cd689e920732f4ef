"""The probe on an encoder of a few weights: what it measures, and that it leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stilts_artifact.config.load import load_scale
from stilts_artifact.errors import ResourceError
from stilts_artifact.pipeline import probe as module
from stilts_artifact.pipeline.costs import load_costs
from stilts_artifact.pipeline.probe import Shape, Subject, probe, shapes_of
from stilts_artifact.pipeline.rates import KINDS, Architecture, ProbeRecord, find_probe

CONFIG: dict[str, Any] = {
    "model_type": "xlm-roberta",
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 300,
    "max_position_embeddings": 66,
    "pad_token_id": 1,
}
ARCHITECTURE = Architecture(layers=2, hidden=16, inner=32, vocabulary=300)
SHAPES = [
    Shape(kind, 8, width, 4 if kind == "choice" else 1) for width in (8, 16) for kind in KINDS
]


def subject(shapes: list[Shape] = SHAPES, **fields: Any) -> Subject:
    values: dict[str, Any] = {
        "config": CONFIG,
        "name": "tiny",
        "architecture": ARCHITECTURE,
        "scale": load_scale("mini"),
        "shapes": shapes,
        "device": "cpu",
        "threads": 1,
    }
    return Subject(**values | fields)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def record(store: Path) -> ProbeRecord:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_import_seconds", lambda: 4.0)
        return probe(subject(), store)


@pytest.mark.slow
def test_every_kind_of_pass_is_measured_in_both_modes(record: ProbeRecord) -> None:
    found = {(own.kind, own.mode) for own in record.passes}
    trained = {(kind, "train") for kind in KINDS if kind != "sentences"}
    assert found == trained | {(kind, "predict") for kind in KINDS}
    assert not record.left_out
    assert {own.rows for own in record.passes if own.mode == "train"} == {1, 4, 8}
    assert all(own.seconds > 0 and own.examples_per_second > 0 for own in record.passes)


@pytest.mark.slow
def test_what_was_measured_becomes_rates(record: ProbeRecord) -> None:
    rates = record.rates
    assert rates.train.keys() == rates.predict.keys() == set(KINDS)
    for own in record.passes:
        said = (rates.train if own.mode == "train" else rates.predict)[own.kind]
        assert said.seconds(own.rows * own.width, own.width) > 0
    own = (rates.update, rates.whole_update, rates.decay, rates.load, rates.save, rates.flops)
    assert min(own) > 0
    assert set(record.speeds) == {"float32", "bfloat16", "thread", "write", "read"}
    assert record.threads == 1 and record.dtype == "float32" and record.imports == 4.0


def test_nothing_is_left_but_the_record(record: ProbeRecord, store: Path) -> None:
    assert [path for path in store.rglob("*") if path.is_file()] == []
    record.save(store / "probes")
    again = find_probe(store / "probes", record.machine, "cpu", 1, ARCHITECTURE)
    assert again == record


def session(shapes: list[Shape], bound: float) -> Any:
    return module._Probe(subject(shapes), FakeClock(), bound, lambda _: None)


class FakeClock:
    """Stands still."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_least_of_the_repetitions_counts() -> None:
    own = session([], bound=60)
    own._clock = iter([0.0, 5.0, 10.0, 12.0]).__next__
    assert own._best(lambda: None) == 2.0


def test_when_the_time_is_over_what_is_known_is_not_measured_again() -> None:
    own = session([Shape("pair", 8, 8), Shape("pair", 8, 16)], bound=-1)
    ran: list[Shape] = []

    def make(shape: Shape) -> Any:
        return lambda: ran.append(shape)

    own._pass("train", Shape("pair", 1, 8), make)
    own._pass("train", Shape("pair", 8, 16), make)
    assert set(ran) == {Shape("pair", 1, 8)}
    assert own.left_out == ["pair, train: 8 x 16: no time was left"]


def test_what_takes_too_long_has_fewer_rows() -> None:
    own = session([Shape("pair", 64, 8)], bound=60)
    own._remaining = 10
    own.passes.append(module.Measured("pair", "train", 1, 8, 1, 0.8, None))
    # 0.1 s a token; 6 s for each of ten passes, which are run three times: 20 tokens of 8 a row.
    assert own._short("train", Shape("pair", 64, 8)) == Shape("pair", 2, 8)
    own._clock.now = 30.0
    assert own._short("train", Shape("pair", 64, 8)) == Shape("pair", 1, 8)


def test_what_memory_does_not_hold_is_halved() -> None:
    own = session([], bound=60)

    def make(shape: Shape) -> Any:
        def run() -> None:
            if shape.rows > 2:
                raise MemoryError

        return run

    own._pass("train", Shape("pair", 8, 8), make)
    assert [measured.rows for measured in own.passes] == [2]
    assert own.left_out == [
        "pair, train: 8 x 8: more than memory holds",
        "pair, train: 4 x 8: more than memory holds",
    ]


def test_one_example_that_memory_does_not_hold_is_refused() -> None:
    own = session([], bound=60)

    def run() -> None:
        raise MemoryError

    with pytest.raises(ResourceError, match="not even one example"):
        own._pass("train", Shape("choice", 8, 8, 4), lambda _: run)
    assert own.left_out == ["choice, train: 8 x 8: more than memory holds"]


def test_an_encoder_that_memory_does_not_hold_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "_import_seconds", lambda: 4.0)
    monkeypatch.setattr(module, "_free_memory", lambda _: 1000)
    with pytest.raises(ResourceError, match="tiny does not fit into memory"):
        probe(subject(), tmp_path)


@pytest.mark.parametrize("name", ["mini", "small", "paper"])
def test_shapes_are_those_of_the_scale(name: str) -> None:
    scale = load_scale(name)
    shapes = shapes_of(scale, load_costs(scale))
    assert {shape.kind for shape in shapes[: len(KINDS)]} == set(KINDS), "the mean ones come first"
    longest = max(
        tuning.max_length for tuning in (*scale.intermediate.values(), *scale.targets.values())
    )
    assert all(8 <= shape.width <= max(longest, scale.retrieval.max_length) for shape in shapes)
    assert all(shape.rows % shape.inputs == 0 for shape in shapes)
    assert len(set(shapes)) == len(shapes), "nothing is measured twice"


def test_a_shape_within_a_number_of_tokens_keeps_whole_examples() -> None:
    assert Shape("choice", 64, 10, 4).within(130) == Shape("choice", 12, 10, 4)
    assert Shape("choice", 64, 10, 4).within(1) == Shape("choice", 4, 10, 4)
