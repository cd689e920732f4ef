"""Retrieval from a verified checkpoint folder predicts what the retrieval tasks do."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.data.library import Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.examples import SentencePair
from stilts_artifact.domain.tasks import Split, Task
from stilts_artifact.errors import ConfigError, IntegrityError
from stilts_artifact.forms import MINING
from stilts_artifact.forms.base import Form
from stilts_artifact.forms.mining import read_predicted_pairs
from stilts_artifact.forms.submission import file_of, read_indices
from stilts_artifact.model.loading import load_encoder
from stilts_artifact.model.manifest import (
    WEIGHTS,
    Origin,
    deciding_files,
    read_manifest,
    write_manifest,
)
from stilts_artifact.pipeline.tasks.params import RetrievalOptions
from stilts_artifact.pipeline.tasks.predict import retrieve, sentence_encoder
from stilts_artifact.retrieval.bucc import BuccOptions, BuccScore, score_bucc
from stilts_artifact.retrieval.encode import SentenceEncoder
from stilts_artifact.retrieval.mine import Mining
from stilts_artifact.retrieval.tatoeba import score_tatoeba
from tests.unit.model.tiny import make_tiny
from tests.unit.retrieval.corpora import corpus, sentence

WORLD = load_benchmark("mini")
OPTIONS = RetrievalOptions(
    layer=1,
    pooling="mean",
    max_length=64,
    neighbours=3,
    margin="distance",
    engine="auto",
    dtype="float32",
)
SIZES = {Split.DEV: 12, Split.TEST: 25}
PAIRS = [SentencePair(sentence(n) + " x", sentence(n)) for n in range(20)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small corpora in the place of the world's; those for testing are larger."""

    def read(form: object, task: Task, split: Split, language: str, library: object) -> Any:
        corpora = corpus(SIZES[split], noise=f" {language}")
        return corpora if form is MINING else PAIRS

    monkeypatch.setattr(Form, "read", read)


def run(
    encoder: Path, folder: Path, task: str, split: Split, options: RetrievalOptions = OPTIONS
) -> dict[str, Any]:
    work = folder / "work"
    work.mkdir(parents=True)
    library = Library(WORLD.sources, FileStore(folder / "store"))
    retrieve(
        task=WORLD.tasks[task],
        split=split,
        languages=("qaa", "qac"),
        encoder=encoder,
        options=options,
        library=library,
        work=work,
        out=folder / "out",
    )
    assert list(work.iterdir()) == []
    report: dict[str, Any] = json.loads((folder / "out" / "report.json").read_text())
    return report


def encoder_of(folder: Path, work: Path) -> SentenceEncoder:
    loaded = load_encoder(folder, pooler_seed=0)
    return sentence_encoder(folder.name, loaded, OPTIONS, work)


def scored(encoder: Path, work: Path, split: Split, *, center: bool = False) -> BuccScore:
    options = BuccOptions(Mining(neighbours=3, margin="distance", center=center))
    return score_bucc(
        ("qaa", split),
        lambda wanted: corpus(SIZES[wanted], noise=" qaa"),
        encoder_of(encoder, work),
        scale="mini",
        options=options,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("split", "policy"), [(Split.DEV, "oracle"), (Split.TEST, "dev")])
def test_mined_pairs_are_those_of_the_task(
    tiny: Path, tmp_path: Path, split: Split, policy: str
) -> None:
    report = run(tiny, tmp_path / "run", "bucc2018", split)
    wanted = scored(tiny, tmp_path, split)
    found = read_predicted_pairs(
        file_of(tmp_path / "run" / "out", "bucc2018", "qaa", ".tsv", split), ("xx", "en")
    )
    assert set(found) == set(wanted.predictions)
    assert found
    language = report["languages"]["qaa"]
    assert report["signature"] == {
        **asdict(Origin.of(deciding_files(read_manifest(tiny)))),
        "layer": 1,
        "pooling": "mean",
        "max_length": 64,
        "neighbours": 3,
        "margin": "distance-max",
        "duplicates": "product",
        "threshold": policy,
        "dtype": "float32",
        "backend": wanted.signature.backend,
    }
    assert (language["threshold"], language["accepted"]) == (
        wanted.cut.threshold,
        wanted.cut.accepted,
    )


@pytest.mark.slow
def test_centring_is_named_and_changes_what_is_mined(tiny: Path, tmp_path: Path) -> None:
    options = OPTIONS.model_copy(update={"center": True})
    report = run(tiny, tmp_path / "run", "bucc2018", Split.DEV, options)
    assert report["signature"]["margin"] == "distance-max-centred"
    assert (
        report["languages"]["qaa"]["threshold"]
        == scored(tiny, tmp_path, Split.DEV, center=True).cut.threshold
    )
    assert (
        report["languages"]["qaa"]["threshold"] != scored(tiny, tmp_path, Split.DEV).cut.threshold
    )


@pytest.mark.slow
def test_found_lines_are_those_of_the_task(tiny: Path, tmp_path: Path) -> None:
    report = run(tiny, tmp_path / "run", "tatoeba", Split.TEST)
    wanted = score_tatoeba("qac", PAIRS, encoder_of(tiny, tmp_path), scale="mini")
    found = read_indices(file_of(tmp_path / "run" / "out", "tatoeba", "qac", ".tsv"))
    assert tuple(found) == wanted.predictions
    assert len(set(found)) > 1
    signature = report["signature"]
    assert (signature["neighbours"], signature["margin"]) == (1, "absolute")
    assert not signature.keys() & {"duplicates", "threshold"}


@pytest.mark.slow
def test_the_signature_is_of_what_ran_and_not_of_what_was_asked_for(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    asked = OPTIONS.model_copy(update={"dtype": "bfloat16", "engine": "shared"})
    report = run(tiny, tmp_path / "shared", "tatoeba", Split.TEST, asked)
    assert report["signature"]["dtype"] == "float32", "a CPU computes in float32"
    assert report["signature"]["backend"] == "numpy"
    asked = asked.model_copy(update={"engine": "faiss"})
    report = run(tiny, tmp_path / "faiss", "tatoeba", Split.TEST, asked)
    assert report["signature"]["backend"] == "faiss"
    lines = [
        (tmp_path / engine / "out" / "tatoeba" / "test-qaa.tsv").read_text()
        for engine in ("shared", "faiss")
    ]
    assert lines[0] == lines[1], "no library finds anything else"


def test_an_altered_checkpoint_is_refused(tiny: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny, tmp_path / "altered")
    weights = bytearray((folder / WEIGHTS).read_bytes())
    weights[-1] ^= 1
    (folder / WEIGHTS).write_bytes(weights)
    with pytest.raises(IntegrityError, match="altered"):
        run(folder, tmp_path / "run", "tatoeba", Split.TEST)


@pytest.mark.slow
def test_a_checkpoint_without_a_pooler_serves(tiny: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny, tmp_path / "bare")
    state = {
        name: tensor for name, tensor in load_file(folder / WEIGHTS).items() if "pooler" not in name
    }
    save_file(state, folder / WEIGHTS)
    write_manifest(folder)
    run(folder, tmp_path / "run", "tatoeba", Split.TEST)
    whole = score_tatoeba("qaa", PAIRS, encoder_of(tiny, tmp_path), scale="mini")
    found = read_indices(file_of(tmp_path / "run" / "out", "tatoeba", "qaa", ".tsv"))
    assert tuple(found) == whole.predictions


def test_a_layer_that_the_encoder_lacks_is_an_error(tiny: Path, tmp_path: Path) -> None:
    options = OPTIONS.model_copy(update={"layer": 9, "margin": "ratio"})
    with pytest.raises(ConfigError, match="no such layer"):
        run(tiny, tmp_path / "run", "tatoeba", Split.TEST, options)
