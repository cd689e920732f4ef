"""``sweep`` and ``mine`` by the command line, a real encoder, numbers that were made elsewhere."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run
from tests.real.plain import read_pairs, search_accuracies

pytestmark = pytest.mark.slow

LANGUAGES = {"jv": "jav", "te": "tel", "sw": "swh"}
"""The smallest of Tatoeba, by XTREME's code and its publisher's."""
PREFIX = "query: "
TOLERANCE = 0.3
# F1 at the oracle threshold, last layer, mean, no prefix, k=4, ratio, max: computed apart from this
# package, README of ../shared/encoder.
MINED = {"zh": 91.3, "sw": 96.0}


@pytest.fixture(scope="module")
def plain(real_encoder: Path) -> tuple[Any, Any]:
    """Tokenizer and model as transformers alone loads them."""
    from transformers import AutoModel, AutoTokenizer

    return AutoTokenizer.from_pretrained(real_encoder), AutoModel.from_pretrained(real_encoder)


def published(packed: Path) -> dict[str, dict[str, str]]:
    """The table of direct computations that lies beside the encoder, by publisher's code."""
    lines = (packed / "mteb_tatoeba.tsv").read_text(encoding="utf-8").split("\n")
    rows = csv.DictReader([line for line in lines if not line.startswith("#")], delimiter="\t")
    return {row["language"]: row for row in rows}


@pytest.mark.parametrize(("prefix", "direction"), [("", "from-english"), (PREFIX, "to-english")])
def test_tatoeba_is_within_the_tolerance_of_a_plain_computation(
    artifact: Run,
    real_encoder: Path,
    packed_encoder: Path,
    real_data: Path,
    plain: tuple[Any, Any],
    tmp_path: Path,
    prefix: str,
    direction: str,
) -> None:
    languages = [option for code in LANGUAGES for option in ("--language", code)]
    asked = ("--direction", direction, "--layers", "last", "--prefix", prefix)
    places = ("--data", real_data, "--results", tmp_path)
    done = artifact("sweep", "--encoder", real_encoder, *asked, *languages, *places, "--json")
    assert done.returncode == 0, done.stderr
    assert "LOAD REPORT" not in done.stderr
    [view] = json.loads(done.stdout)["views"]
    measured = view["languages"]
    name = direction.replace("-", "_")
    direct = published(packed_encoder)
    kind = "direct" if prefix else "no_prefix"
    for code, publisher in LANGUAGES.items():
        sides = read_pairs(real_data / "tatoeba", publisher)
        expected = getattr(search_accuracies(*plain, *sides, prefix), name)
        assert measured[code] == pytest.approx(expected, abs=TOLERANCE), code
        table = float(direct[publisher][f"{kind}_{name}"])
        assert measured[code] == pytest.approx(table, abs=TOLERANCE), code


@pytest.mark.parametrize("language", MINED)
def test_mining_reaches_the_f1_that_was_computed_elsewhere(
    artifact: Run, real_encoder: Path, packed_encoder: Path, tmp_path: Path, language: str
) -> None:
    make = [sys.executable, str(packed_encoder / "comparable.py"), str(tmp_path), language]
    subprocess.run(make, check=True)
    files = {name: tmp_path / f"{language}.{name}" for name in ("src", "trg", "gold")}
    texts = [part for name, path in files.items() for part in (f"--{name}", path)]
    out = ("--out", tmp_path / "pairs.tsv", "--plot", tmp_path / "plot.svg", "--json")
    done = artifact("mine", "--encoder", real_encoder, *texts, "--layer", "last", *out)
    assert done.returncode == 0, done.stderr
    assert "LOAD REPORT" not in done.stderr
    found = json.loads(done.stdout)
    assert found["gold"]["best"]["f1"] == pytest.approx(MINED[language], abs=0.5)
    assert (found["cut"], found["sentences"]) == (
        {"source": 0, "target": 0},
        {"source": 360, "target": 360},
    )
