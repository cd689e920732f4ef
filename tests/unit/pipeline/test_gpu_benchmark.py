"""benchmarks/gpu.py runs where no GPU is: whoever has one finds no slip of the pen in it."""

from __future__ import annotations

import re

import pytest
import torch

from benchmarks import gpu
from stilts_artifact.documents import parse_yaml
from stilts_artifact.pipeline import probe
from stilts_artifact.pipeline.rates import KINDS, Measured, Rates


@pytest.mark.slow
def test_it_runs_tiny_and_prints_rates_that_the_table_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(probe, "_import_seconds", lambda: 5.0)
    gpu.main(["--tiny", "--seconds", "2", "--sentences", "64"])
    said = capsys.readouterr().out
    for kind in ("pair", "span", "tagging"):
        for mode in ("train", "predict"):
            assert re.search(rf"  {kind} +{mode} .* tokens/s +[0-9.]+% of the peak", said)
    assert "NOT WITHIN" not in said and said.count("scores ") == 4
    assert re.search(r"embedding: 64 sentences, layer 1, \w+: .* sentences/s", said)
    assert re.search(r"mining: 64 x 64 x 32, .* 100.0% of the planted pairs", said)
    table = said[said.index("      rates:") :]
    rates = Rates.read(parse_yaml(table.encode(), "printed")["rates"])
    assert set(rates.train) == set(rates.predict) == set(KINDS)
    assert rates.flops > 0


def test_operations_are_those_of_the_products() -> None:
    """Of XLM-R large: 302 million weights beside the embeddings, counted on the model itself."""
    of = gpu.architecture_of(gpu.LARGE)
    with torch.device("meta"):
        model = gpu.XLMRobertaModel(gpu.XLMRobertaConfig(**gpu.LARGE))
    assert of.body == sum(own.numel() for own in model.encoder.parameters() if own.ndim > 1)
    passed = Measured("pair", "predict", 2, 100, 1, 1.0, None)
    attention = 4 * 24 * 1024 * 100
    assert gpu.operations(passed, of) == 200 * (2 * of.body + attention)
    trained = Measured("text", "train", 2, 100, 1, 1.0, None)
    words = 2 * 0.15 * 250_002 * 1024
    assert gpu.operations(trained, of) == pytest.approx(3 * 200 * (2 * of.body + attention + words))
