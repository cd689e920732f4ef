"""What is assumed and kept of a machine's speed, and whose a probe is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.config.load import load_scale
from stilts_artifact.model.inference import TOKENS
from stilts_artifact.pipeline.costs import architecture_of, load_costs
from stilts_artifact.pipeline.rates import (
    EMBEDDED,
    PREDICTED,
    TRAINED,
    Architecture,
    Identity,
    Measured,
    ProbeRecord,
    find_probe,
    fit_pass,
    gpu_names,
    guess,
)
from stilts_artifact.retrieval.encode import Batching, fit_of
from stilts_artifact.training.batches import FITS
from tests.unit.pipeline.test_plan import RATES

LARGE = Architecture(layers=24, hidden=1024, inner=4096, vocabulary=250_002)
MACHINE = Identity("a processor", 8, ("a card",), "2.13.0")
RECORD = ProbeRecord(
    machine=MACHINE,
    date="2026-11-28",
    load=1.5,
    device="cpu",
    dtype="float32",
    threads=1,
    encoder="any",
    architecture=LARGE,
    rates=RATES,
    speeds={"float32": 1e11, "bfloat16": 1e12, "thread": 7e10, "write": 1e9, "read": 1e9},
    imports=4.0,
    passes=(Measured("choice", "train", 8, 30, 4, 0.5, 1 << 20),),
    left_out=("text: no time was left",),
)


def test_micro_batches_are_planned_as_large_as_they_are_made() -> None:
    assert {device: fit.tokens for device, fit in FITS.items()} == dict(TRAINED)
    assert dict(TOKENS) == dict(PREDICTED)
    # What one batch may hold, and what its device takes.
    embedded = {name: min(Batching().tokens, fit_of(name).tokens) for name in EMBEDDED}
    assert embedded == dict(EMBEDDED)


def test_sizes_of_xlm_r_large() -> None:
    # Conneau et al. 2020: 550 M parameters, 256 M of them in the vocabulary.
    assert round(LARGE.body / 1e6) == 302 and round(LARGE.embeddings / 1e6) == 256
    assert Architecture.of({"hidden_size": 4}) is None


@given(st.floats(1e-4, 1e-1), st.floats(1e-6, 1e-3), st.floats(1e-9, 1e-5), st.floats(0.97, 1.03))
def test_a_fit_finds_the_costs_behind_what_was_measured(
    overhead: float, token: float, width: float, noise: float
) -> None:
    shapes = [(1, 10), (30, 10), (30, 20), (30, 80), (100, 40)]
    points = [
        (
            rows * length,
            length,
            (overhead + rows * length * (token + width * length))
            * (noise if number % 2 else 1 / noise),
        )
        for number, (rows, length) in enumerate(shapes)
    ]
    found = fit_pass(points)
    assert min(found.overhead, found.token, found.width) >= 0
    for tokens, length, seconds in points:
        assert found.seconds(tokens, length) == pytest.approx(seconds, rel=0.07)


def test_of_too_few_passes_as_much_is_said_as_they_tell() -> None:
    two = fit_pass([(10, 10, 0.3), (1000, 20, 10.2)])
    assert (two.overhead, two.token, two.width) == pytest.approx((0.2, 0.01, 0))
    one = fit_pass([(10, 10, 0.3)])
    assert (one.overhead, one.token, one.width) == pytest.approx((0, 0.03, 0))


def test_costs_are_never_negative_whatever_was_measured() -> None:
    found = fit_pass([(10, 10, 1.0), (100, 10, 0.9), (1000, 100, 0.8)])
    assert found.overhead > 0 and found.token == found.width == 0


def test_a_longer_row_and_a_larger_encoder_take_longer() -> None:
    small = replace(LARGE, layers=12, hidden=384, inner=1536)
    for device in ("cpu", "cuda"):
        large, less = guess(LARGE, device), guess(small, device)
        assert large.train["pair"].seconds(1000, 500) > large.train["pair"].seconds(1000, 10)
        assert large.train["pair"].seconds(1000, 50) > less.train["pair"].seconds(1000, 50)
        assert large.whole_update > large.update > less.update > 0
        assert large.train["text"].token > large.train["pair"].token


def test_rates_are_carried_to_another_encoder_in_proportion_to_the_guesses() -> None:
    small = replace(LARGE, layers=12)
    before, now = guess(LARGE, "cpu"), guess(small, "cpu")
    carried = before.times(2).carried(before, now)
    assert carried.train["pair"].token == pytest.approx(2 * now.train["pair"].token)
    assert carried.predict["span"].overhead == pytest.approx(2 * now.predict["span"].overhead)
    assert (carried.update, carried.load) == pytest.approx((2 * now.update, now.load))


def test_of_a_gpu_the_fixed_costs_of_a_step_outweigh_short_rows() -> None:
    own = guess(LARGE, "cuda").train["tagging"]
    assert own.overhead > 4 * own.seconds(32 * 12, 12, batches=0)


def test_a_probe_is_found_again_on_the_same_machine_alone(tmp_path: Path) -> None:
    RECORD.save(tmp_path)
    assert find_probe(tmp_path, MACHINE, "cpu", 1, LARGE) == RECORD
    # Two questions of four choices, in half a second.
    assert [own["examples_per_second"] for own in RECORD.to_json()["passes"]] == [4.0]
    others = [
        (replace(MACHINE, cores=4), "cpu", 1, LARGE),
        (replace(MACHINE, torch="2.14.0"), "cpu", 1, LARGE),
        (replace(MACHINE, gpus=()), "cpu", 1, LARGE),
        (MACHINE, "cuda", 1, LARGE),
        (MACHINE, "cpu", 2, LARGE),
        (MACHINE, "cpu", 1, replace(LARGE, layers=12)),
    ]
    assert [find_probe(tmp_path, *other) for other in others] == [None] * len(others)  # type: ignore[arg-type]


def test_a_probe_of_another_machine_is_not_taken_under_this_ones_name(tmp_path: Path) -> None:
    path = RECORD.save(tmp_path)
    content = json.loads(path.read_text())
    content["machine"]["processor"] = "another"
    path.write_text(json.dumps(content))
    assert find_probe(tmp_path, MACHINE, "cpu", 1, LARGE) is None


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 1}', '{"format": 2}', '{"format": 1, "a": 1}']
)
def test_a_file_that_is_no_probe_is_none(text: str, tmp_path: Path) -> None:
    RECORD.save(tmp_path).write_text(text)
    assert find_probe(tmp_path, MACHINE, "cpu", 1, LARGE) is None


def test_names_of_gpus_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "0000:01").mkdir()
    (tmp_path / "0000:01/information").write_text("Model: \t\t NVIDIA H200\nIRQ: 1\n")
    assert gpu_names(tmp_path) == ("NVIDIA H200",)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu_names(tmp_path) == ()


def test_a_probe_decides_the_times() -> None:
    mini = load_scale("mini")
    costs = load_costs(mini, probe=RECORD)
    assert (costs.basis, costs.rates) == ("probed", RATES)
    assert costs.imports == 4.0 and costs.faster == pytest.approx(7e10 / 1.4e11)
    assert costs.basis_of("target") == "probed" and costs.basis_of("prepare") == "tabled"
    small = load_costs(load_scale("small"), probe=RECORD)
    assert small.basis_of("prepare") == "guessed", "at this scale nobody measured it"


def test_the_scales_own_encoders_have_known_sizes() -> None:
    from stilts_artifact.model.hub import PhaseOne

    for name, layers in (("mini", 4), ("small", 12), ("base", 12), ("paper", 24)):
        found = architecture_of(PhaseOne.of(load_scale(name).encoder))
        assert found is not None and found.layers == layers
    cut = PhaseOne.of(load_scale("mini").smaller)  # type: ignore[arg-type]
    assert architecture_of(cut).layers == 2  # type: ignore[union-attr]
