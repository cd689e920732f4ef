"""The shipped covariates, computed again from the real text and treebanks they were computed on."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from stilts_artifact.checking.sums import expected_root, read_protected
from stilts_artifact.studies.complexity import (
    Word,
    mattr,
    measure_treebank,
    missing_annotation,
    word_entropy,
    words,
)
from stilts_artifact.studies.covariates import Facts, parse_facts

pytestmark = pytest.mark.slow

FACTS = parse_facts(read_protected(expected_root() / "studies" / "covariates.csv"), "covariates")
PARALLEL = [code for code, facts in FACTS.items() if facts.ntrex is not None]
MEASURED = [facts for facts in FACTS.values() if facts.treebank is not None]


def parallel_lines(data: Path, language: str) -> list[str]:
    """A language's sentences of NTREX."""
    text = gzip.decompress((data / "parallel" / "ntrex" / f"{language}.tsv.gz").read_bytes())
    return [line.split("\t", 1)[1] for line in text.decode().split("\n") if line]


def treebank(data: Path, name: str) -> list[list[Word]]:
    """The syntactic words of a treebank's sentences."""
    found = []
    for path in sorted((data / "udpos" / name).glob("*.conllu.gz")):
        for block in gzip.decompress(path.read_bytes()).decode().split("\n\n"):
            columns = [line.split("\t") for line in block.split("\n") if line[:1].isdigit()]
            # A multiword token has a range, an empty node a decimal number.
            own = [Word(c[1], c[2], c[3], c[5]) for c in columns if c[0].isdigit()]
            if own:
                found.append(own)
    return found


def test_39_languages_have_parallel_text() -> None:
    assert len(PARALLEL) == 39


@pytest.mark.parametrize("language", PARALLEL)
def test_measures_of_parallel_text_are_the_shipped_ones(real_data: Path, language: str) -> None:
    lines, shipped = parallel_lines(real_data, language), FACTS[language].ntrex
    assert shipped is not None and len(lines) == 1997
    tokens = [word for line in lines for word in words(line)]
    assert sum(len(line.encode()) for line in lines) == shipped.bytes
    assert len(tokens) == shipped.words
    assert mattr(tokens) == pytest.approx(shipped.mattr_500, abs=5.1e-5)
    assert word_entropy(tokens) == pytest.approx(shipped.word_entropy, abs=5.1e-5)


@pytest.mark.parametrize("language", ["en", "fi", "my", "yo"])
def test_subwords_of_parallel_text_are_the_shipped_ones(
    real_data: Path, packed_encoder: Path, language: str
) -> None:
    from tokenizers import Tokenizer

    packed = gzip.decompress((packed_encoder / "tokenizer.json.gz").read_bytes())
    tokenizer = Tokenizer.from_str(packed.decode())
    encoded = tokenizer.encode_batch(parallel_lines(real_data, language), add_special_tokens=False)
    shipped = FACTS[language].ntrex
    assert shipped is not None
    assert sum(len(line.ids) for line in encoded) == shipped.subwords


@pytest.mark.parametrize("facts", MEASURED, ids=lambda facts: facts.code)
def test_measures_of_treebanks_are_the_shipped_ones(real_data: Path, facts: Facts) -> None:
    shipped = facts.treebank
    assert shipped is not None
    found = measure_treebank(treebank(real_data, shipped.name), shipped.name)
    assert found.msp == pytest.approx(shipped.msp, abs=5.1e-4)
    assert found.inflection == pytest.approx(shipped.features_on_verbs, abs=5.1e-3)


@pytest.mark.parametrize(
    "name", ["UD_Thai-PUD", "UD_Chinese-PUD", "UD_Hindi-PUD", "UD_Korean-PUD", "UD_Vietnamese-VTB"]
)
def test_treebanks_without_annotation_do_not_pass_the_gate(real_data: Path, name: str) -> None:
    assert missing_annotation(treebank(real_data, name)) is not None


def test_without_the_gate_thai_would_have_497_forms_a_lemma(real_data: Path) -> None:
    thai = treebank(real_data, "UD_Thai-PUD")
    ungated = [[word._replace(lemma="l", feats="A=B") for word in sentence] for sentence in thai]
    assert measure_treebank(ungated, "UD_Thai-PUD").msp == pytest.approx(497, abs=20)
