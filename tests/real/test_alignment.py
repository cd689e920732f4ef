"""NTREX-128 as upstream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.data.library import Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Split
from stilts_artifact.forms import ALIGNMENT
from stilts_artifact.retrieval.alignment import align, halves
from stilts_artifact.retrieval.encode import Batching, TransformerSentences, View
from stilts_artifact.retrieval.transformer import load_transformer

XTREME = load_benchmark("xtreme")
NTREX = XTREME.tasks["ntrex"]


@pytest.fixture(scope="module")
def library(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Library:
    store = FileStore(tmp_path_factory.mktemp("store"))
    return Library(XTREME.sources, store, [real_data / "parallel" / "ntrex_upstream"])


@pytest.mark.slow
def test_ntrex_is_read_in_39_languages(library: Library) -> None:
    """1,997 sentences in 123 documents, as upstream has them; the English ones in all pairs."""
    english = set()
    for language in NTREX.languages:
        data = ALIGNMENT.read(NTREX, Split.TEST, language, library)
        assert ALIGNMENT.size(data) == 1997
        assert len({sentence.document for sentence in data}) == 123
        assert len({sentence.source for sentence in data}) > 1950, "translations, not the source"
        english.add(tuple(sentence.target for sentence in data))
    assert len(NTREX.languages) + len(english) == 39
    assert {sentence.document for sentence in ALIGNMENT.first(data, 1000)} < {
        sentence.document for sentence in data
    }


@pytest.mark.slow
def test_a_real_encoder_finds_translations_from_the_embeddings_to_the_top(
    library: Library, real_encoder: Path, tmp_path: Path
) -> None:
    """A multilingual encoder of 12 layers, on the first documents, in two languages far apart."""
    transformer = load_transformer(real_encoder, deepest=12, device="cpu")
    encode = TransformerSentences(transformer, View(), Batching(max_length=128), tmp_path)
    data = {
        language: ALIGNMENT.first(ALIGNMENT.read(NTREX, Split.TEST, language, library), 60)
        for language in ("de", "sw")
    }
    english = encode.layers([sentence.target for sentence in data["de"]])
    assert len(english) == 13
    half = halves([sentence.document for sentence in data["de"]])
    assert 0.25 < half.mean() < 0.75
    others = {
        language: encode.layers([sentence.source for sentence in sentences])
        for language, sentences in data.items()
    }
    scores = {
        language: [align(english[at], other[at], half).measures for at in (0, 4, 8, 12)]
        for language, other in others.items()
    }
    chance = 100 / len(half)
    for language, layers in scores.items():
        raw = np.array([layer["raw"]["accuracy"] for layer in layers])
        centred = np.array([layer["centred"]["accuracy"] for layer in layers])
        assert (raw > 10 * chance).all(), language
        assert centred[-1] > 95, language
        assert (centred >= raw - 3).all(), "languages lie apart, which is no misalignment"
        for layer in layers:
            assert 0 < layer["raw"]["cka"] < 1
            assert layer["raw"]["language-identity"] > layer["centred"]["language-identity"]
            assert layer["raw"]["gap"] < layer["centred"]["gap"]
    # Swahili was seen less of than German.
    assert scores["sw"][0]["raw"]["accuracy"] < scores["de"][0]["raw"]["accuracy"]
    shuffled = np.random.default_rng(0).permutation(len(half))
    aside = align(english[7], np.asarray(english[7])[shuffled], half).measures["centred"]
    assert aside["accuracy"] < 5 * chance, "without order nothing is a translation"
    assert aside["cka"] < 0.3
