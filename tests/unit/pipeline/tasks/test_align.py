"""Alignment from a verified checkpoint folder: ranks and scores are those of its vectors."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.data.library import Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.examples import AlignedSentence
from stilts_artifact.domain.tasks import Split, Task
from stilts_artifact.errors import ConfigError
from stilts_artifact.forms import ALIGNMENT
from stilts_artifact.forms.alignment import Alignment, read_ranks
from stilts_artifact.forms.alignment_scores import places, read_scores, scores_file
from stilts_artifact.model.loading import load_encoder
from stilts_artifact.model.manifest import Origin, deciding_files, read_manifest
from stilts_artifact.pipeline.tasks.align import align
from stilts_artifact.pipeline.tasks.params import RetrievalOptions
from stilts_artifact.pipeline.tasks.predict import sentence_encoder
from stilts_artifact.retrieval.alignment import align as align_layer
from stilts_artifact.retrieval.alignment import halves
from stilts_artifact.retrieval.encode import TransformerSentences
from stilts_artifact.retrieval.mine import Mining
from tests.unit.model.tiny import make_tiny
from tests.unit.retrieval.corpora import sentence

WORLD = load_benchmark("mini")
TASK = WORLD.tasks["ntrex"]
OPTIONS = RetrievalOptions(
    layer=1,
    pooling="mean",
    max_length=64,
    neighbours=3,
    margin="ratio",
    engine="auto",
    dtype="float32",
)
LANGUAGES = ("qaa", "qac")


def pairs(language: str) -> list[AlignedSentence]:
    """Thirty sentences in documents of four; the sixth is said again by the seventh."""
    said = [sentence(5 if number == 6 else number) for number in range(30)]
    return [
        AlignedSentence(f"{text} {language}", text, f"d.{number // 4}")
        for number, text in enumerate(said)
    ]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(form: object, task: Task, split: Split, language: str, library: object) -> Any:
        return pairs(language)

    monkeypatch.setattr(Alignment, "read", read)


def run(
    encoder: Path, folder: Path, *, rows: int | None = None, options: RetrievalOptions = OPTIONS
) -> dict[str, Any]:
    work = folder / "work"
    work.mkdir(parents=True)
    align(
        task=TASK,
        split=Split.TEST,
        languages=LANGUAGES,
        rows=rows,
        encoder=encoder,
        options=options,
        library=Library(WORLD.sources, FileStore(folder / "store")),
        work=work,
        out=folder / "out",
    )
    assert list(work.iterdir()) == []
    report: dict[str, Any] = json.loads((folder / "out" / "report.json").read_text())
    return report


@pytest.mark.slow
def test_ranks_and_scores_are_those_of_each_layer(tiny: Path, tmp_path: Path) -> None:
    report = run(tiny, tmp_path / "run")
    loaded = load_encoder(tiny, pooler_seed=0)
    deepest = loaded.model.config.num_hidden_layers
    found = read_scores(scores_file(tmp_path / "run" / "out" / "scores", "ntrex", "test"))
    assert list(found) == list(places(LANGUAGES, deepest + 1))
    # Each layer for itself, from an encoder that is cut above it.
    half = halves([one.document for one in pairs("qac")])
    for layer in range(deepest + 1):
        options = OPTIONS.model_copy(update={"layer": layer})
        encode = sentence_encoder("tiny", load_encoder(tiny, pooler_seed=0), options, tmp_path)
        texts = [[one.target for one in pairs("qac")], [one.source for one in pairs("qac")]]
        once = [list(dict.fromkeys(side)) for side in texts]
        sides = [
            np.array(encode(own))[[own.index(text) for text in side]]
            for own, side in zip(once, texts, strict=True)
        ]
        wanted = align_layer(sides[0], sides[1], half, Mining(neighbours=3))
        for variant, measures in wanted.measures.items():
            said = found[layer, "qac", variant]  # type: ignore[index]
            assert said == pytest.approx(dict(measures), abs=1e-4, nan_ok=True)
        if layer == OPTIONS.layer:
            path = ALIGNMENT.file(tmp_path / "run" / "out", TASK, "qac", "test")
            assert (read_ranks(path) == wanted.ranks).all()
    assert report["signature"] == {
        **asdict(Origin.of(deciding_files(read_manifest(tiny)))),
        "layer": 1,
        "pooling": "mean",
        "max_length": 64,
        "neighbours": 3,
        "margin": "ratio",
        "dtype": "float32",
        "backend": "numpy",
    }
    assert report["languages"] == {code: {"sentences": 30} for code in LANGUAGES}


@pytest.mark.slow
def test_english_is_embedded_once_and_every_side_in_one_pass(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []
    layers = TransformerSentences.layers

    def counted(encode: TransformerSentences, texts: Any) -> Any:
        calls.append(list(texts))
        return layers(encode, texts)

    monkeypatch.setattr(TransformerSentences, "layers", counted)
    run(tiny, tmp_path)
    english = list(dict.fromkeys(one.target for one in pairs("qaa")))
    assert calls[0] == english
    assert len(calls) == 1 + len(LANGUAGES)
    assert all(english != texts for texts in calls[1:])


@pytest.mark.slow
def test_copies_of_a_sentence_tie_and_stand_by_index(tiny: Path, tmp_path: Path) -> None:
    run(tiny, tmp_path)
    ranks = read_ranks(ALIGNMENT.file(tmp_path / "out", TASK, "qaa", "test"))
    # In the reduced variant the two are in other halves' fits only if their documents are.
    assert (ranks[6, :2] == ranks[5, :2] + 1).all()


@pytest.mark.slow
def test_whole_documents_are_taken(tiny: Path, tmp_path: Path) -> None:
    report = run(tiny, tmp_path, rows=19)
    assert report["languages"]["qaa"] == {"sentences": 16}
    assert len(read_ranks(ALIGNMENT.file(tmp_path / "out", TASK, "qaa", "test"))) == 16


def test_a_layer_that_there_is_not_is_refused_before_anything_is_embedded(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TransformerSentences, "layers", None)
    with pytest.raises(ConfigError, match="no such layer"):
        run(tiny, tmp_path, options=OPTIONS.model_copy(update={"layer": 9}))
