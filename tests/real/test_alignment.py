"""NTREX-128 as upstream."""

from __future__ import annotations

from pathlib import Path

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.data.library import Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Split
from stilts_artifact.forms import ALIGNMENT

XTREME = load_benchmark("xtreme")
NTREX = XTREME.tasks["ntrex"]


@pytest.fixture(scope="module")
def library(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Library:
    store = FileStore(tmp_path_factory.mktemp("store"))
    return Library(XTREME.sources, store, [real_data / "parallel" / "ntrex_upstream"])


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
