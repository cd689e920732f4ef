"""Prepared folders, predictions and label files have the same examples in the same order."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.texts import WIKIPEDIA
from stilts_artifact.data.library import Document, Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.examples import (
    Answer,
    ComparableCorpus,
    GoldPair,
    PairExample,
    Sentence,
    SentencePair,
    SpanExample,
    TaggedSentence,
)
from stilts_artifact.domain.tasks import Part, Split, Task
from stilts_artifact.errors import ConfigError, DataError, IntegrityError
from stilts_artifact.forms import form_of, labels
from stilts_artifact.forms.base import Form
from stilts_artifact.forms.labels import write_labels
from stilts_artifact.miniworld import build
from stilts_artifact.model.forms import task_head
from stilts_artifact.model.loading import load_encoder, load_language_head
from stilts_artifact.model.manifest import Origin, deciding_files, read_manifest
from stilts_artifact.model.prepared import load_prepared
from stilts_artifact.pipeline.job import Job
from stilts_artifact.pipeline.kinds import KINDS, make_context
from stilts_artifact.pipeline.step import Graph
from stilts_artifact.pipeline.tasks import predict as predict_phase
from stilts_artifact.pipeline.tasks import prepare as prepare_phase
from stilts_artifact.pipeline.tasks import train as train_phase
from stilts_artifact.pipeline.tasks.params import EncoderParams, LabelsParams, Params
from tests.unit.model.classes import alter, make_encoder
from tests.unit.model.tiny import make_tiny

WORLD = load_benchmark("mini")
LANGUAGES = ("qaa", "qen")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(WORLD.sources, FileStore(tmp_path / "store"))


def examples_of(task: str, language: str, count: int = 12) -> Any:
    """Examples that name their language, number and label."""
    texts = [f"{language} merfa sudi {number}" for number in range(count)]
    match task:
        case "xnli":
            names = WORLD.tasks[task].labels
            return [PairExample(str(n), text, "sudi", names[n % 3]) for n, text in enumerate(texts)]
        case "udpos" | "ccg":
            tags = ("NOUN", "VERB", "ADP", "NUM")
            return [
                TaggedSentence(tuple(text.split()), tags if n % 2 else tags[::-1])
                for n, text in enumerate(texts)
            ]
        case "panx":
            names = ("B-LOC", "I-LOC", "O", "B-PER")
            return [
                TaggedSentence(tuple(text.split()), names if n % 2 else names[::-1])
                for n, text in enumerate(texts)
            ]
        case "mlqa":
            return [
                SpanExample(f"q{n}", "merfa?", text, (Answer("sudi", text.index("sudi")),))
                for n, text in enumerate(texts)
            ]
        case "tatoeba":
            return [SentencePair(text, f"{7 * n % 12:02}") for n, text in enumerate(texts)]
        case _:
            sentences = tuple(Sentence(f"{language}-{n}", text) for n, text in enumerate(texts))
            return ComparableCorpus(
                sentences, sentences, (GoldPair(f"{language}-2", f"{language}-3"),)
            )


@pytest.fixture
def splits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every split is made up."""

    def read(form: object, task: Task, split: Split, language: str, library: Library) -> Any:
        return examples_of(task.name, language)

    monkeypatch.setattr(Form, "read", read)


def prepare(
    tiny: Path, library: Library, out: Path, task: str, split: Split = Split.DEV, **changes: Any
) -> Path:
    how = prepare_phase.Preparation(WORLD, library, LANGUAGES, None, 200, tiny, out)
    prepare_phase.prepare(WORLD.tasks[task], split, replace(how, **changes))
    return out


@pytest.mark.slow
@pytest.mark.usefixtures("splits")
def test_inputs_longer_than_the_encoder_reads_are_refused_before_any_is_made(
    tiny: Path, library: Library, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="longer than the encoder reads"):
        prepare(tiny, library, tmp_path / "out", "xnli", max_length=513)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("splits")
def test_each_language_has_a_folder_and_two_runs_the_same_bytes(
    tiny: Path, library: Library, tmp_path: Path
) -> None:
    made = [prepare(tiny, library, tmp_path / name, "xnli", rows=5) for name in ("one", "two")]
    one, two = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}
        for folder in made
    )
    assert one == two
    assert {path.parts[0] for path in one} == set(LANGUAGES)
    prepared = load_prepared(made[0] / "qaa")
    assert prepared.examples["label"][:] == [
        example.label for example in examples_of("xnli", "qaa")[:5]
    ]
    assert (prepared.labels, prepared.metrics) == (WORLD.tasks["xnli"].labels, ("accuracy",))


@pytest.mark.usefixtures("splits")
def test_supertags_are_those_of_the_training_data(
    tiny: Path, library: Library, tmp_path: Path
) -> None:
    prepare(tiny, library, tmp_path, "ccg", languages=("qen",))
    assert load_prepared(tmp_path / "qen").labels == ("ADP", "NOUN", "NUM", "VERB")


@pytest.mark.usefixtures("splits")
def test_a_mining_task_is_not_prepared(tiny: Path, library: Library, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no labelled examples"):
        prepare(tiny, library, tmp_path, "bucc2018")


def test_a_split_that_a_task_lacks_is_an_error(
    tiny: Path, library: Library, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="has no dev split"):
        prepare(tiny, library, tmp_path, "xquad")


def test_a_cap_samples_training_data_and_heads_evaluation_data() -> None:
    items = list(range(1000))
    assert labels.chosen(items, Split.DEV, 10) == items[:10]
    sample = labels.chosen(items, Split.TRAIN, 100)
    assert sample == sorted(set(sample)) == labels.chosen(items, Split.TRAIN, 100)
    assert len(sample) == 100
    assert all(sum(low <= item < low + 250 for item in sample) > 10 for low in (0, 250, 500, 750))
    assert (
        labels.chosen(items, Split.TRAIN, None) == labels.chosen(items, Split.TRAIN, 1000) == items
    )


def test_text_of_each_language_is_prepared(
    tiny: Path, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def documents(part: Part) -> list[Document]:
        return [Document(part.source, "".join(f"merfa sudi {n}\n" for n in range(9)).encode())]

    monkeypatch.setattr(library, "documents", documents)
    how = prepare_phase.Preparation(WORLD, library, LANGUAGES, 4, 64, tiny, tmp_path / "text")
    prepare_phase.prepare_text(WORLD.texts[WIKIPEDIA], how)
    prepared = load_prepared(tmp_path / "text" / "qaa")
    assert (prepared.form, len(prepared.features), len(prepared.examples)) == (None, 4, 0)


@pytest.mark.slow
@pytest.mark.usefixtures("splits")
@pytest.mark.parametrize("task", ["xnli", "udpos", "panx", "mlqa"])
@pytest.mark.parametrize("rows", [None, 7])
def test_predictions_fit_the_label_files(
    tiny: Path,
    library: Library,
    tmp_path: Path,
    task: str,
    rows: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder, chosen = load_encoder(tiny), WORLD.tasks[task]
    head = task_head(chosen.form, encoder.model.config, len(chosen.labels)).train(False)
    monkeypatch.setattr(train_phase, "load_target", lambda _: (encoder, head))
    data = prepare(tiny, library, tmp_path / "data", task, rows=rows)
    places = {name: tmp_path / name for name in ("predictions", "labels")}
    predict_phase.predict(
        task=chosen,
        split=Split.DEV,
        model=tiny,
        data=data,
        dtype="bfloat16",  # which a CPU does not compute in
        out=places["predictions"],
    )
    for language in LANGUAGES:
        write_labels(chosen, Split.DEV, language, rows, library, places["labels"])
        files = [form_of(chosen).file(place, chosen, language, "dev") for place in places.values()]
        assert len(form_of(chosen).count(chosen, language, *files).counts) == (rows or 12)
    assert (
        len(list((places["predictions"] / task).iterdir()))
        == len(list((places["labels"] / task).iterdir()))
        == 2
    )
    report = json.loads((places["predictions"] / "report.json").read_text())
    origin = Origin.of(deciding_files(read_manifest(tiny)))
    assert report == {"signature": {**asdict(origin), "max_length": 200, "dtype": "float32"}}, (
        "the encoder of phase (i), of the weights that ran"
    )


@pytest.mark.usefixtures("splits")
def test_labels_of_every_kind_of_target(library: Library, tmp_path: Path) -> None:
    for task in ("xnli", "udpos", "mlqa", "tatoeba", "bucc2018"):
        write_labels(WORLD.tasks[task], Split.DEV, "qaa", 2, library, tmp_path)
    names = WORLD.tasks["xnli"].labels
    assert (tmp_path / "xnli" / "dev-qaa.tsv").read_text() == f"{names[0]}\n{names[1]}\n"
    assert (
        tmp_path / "udpos" / "dev-qaa.tsv"
    ).read_text() == "NUM\nADP\nVERB\nNOUN\n\nNOUN\nVERB\nADP\nNUM\n"
    assert (tmp_path / "bucc2018" / "dev-qaa.tsv").read_text() == "qaa-2\tqaa-3\n"
    # Sorted by the English side, and whole: a search cannot be capped.
    wanted = sorted(range(12), key=lambda n: 7 * n % 12)
    assert (tmp_path / "tatoeba" / "dev-qaa.tsv").read_text().split() == [
        str(line) for line in wanted
    ]
    (article,) = json.loads((tmp_path / "mlqa" / "dev-qaa.json").read_text())["data"]
    assert [
        question["id"] for paragraph in article["paragraphs"] for question in paragraph["qas"]
    ] == ["q0", "q1"]


def job_of(params: Params, folder: Path, brought: Path, encoder: Path) -> Job:
    """A step of these parameters on a machine where some files were brought by hand."""
    for part in ("out", "work"):
        (folder / part).mkdir(parents=True)
    encoders = {getattr(params, "revision", "r"): encoder}
    context = make_context(folder / "store", [brought], encoders, device="cpu", checkpoint_every=1)
    keyed = Graph([params.step()], KINDS).keyed(params.step())
    return Job(keyed.params, {}, folder / "out", folder / "work", context)


def test_labels_are_of_the_files_that_their_step_was_planned_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file without a public pin may be another one when its step is run."""
    name = "bucc2018-qaa-qen.sample-gold.tar.bz2"
    unpinned = {name: replace(WORLD.sources[name], bytes=None, sha256=None)}
    benchmark = replace(WORLD, sources={**WORLD.sources, **unpinned})
    monkeypatch.setattr(prepare_phase, "load_benchmark", lambda *_, **__: benchmark)
    brought = tmp_path / "brought"
    brought.mkdir()
    (brought / name).write_bytes(build(name))
    found = Library(benchmark.sources, FileStore(tmp_path / "store"), [brought]).pins()[name]
    params = LabelsParams(
        benchmark="mini",
        task="bucc2018",
        split=Split.DEV,
        languages=("qaa",),
        rows=None,
        sources={name: found},
        own_data=(),
        single_files=(),
    )
    prepare_phase.labels_step(job_of(params, tmp_path / "same", brought, tmp_path))
    assert (tmp_path / "same" / "out" / "bucc2018" / "dev-qaa.tsv").stat().st_size
    other = params.model_copy(update={"sources": {name: "0" * 64}})
    with pytest.raises(IntegrityError, match="another file than when this run was planned"):
        prepare_phase.labels_step(job_of(other, tmp_path / "other", brought, tmp_path))


@pytest.mark.slow
def test_an_encoder_step_refuses_what_it_does_not_know(tiny: Path, tmp_path: Path) -> None:
    files = deciding_files(read_manifest(tiny))
    params = EncoderParams(name="mini", revision="r", files=files, layers=None)
    job = job_of(params, tmp_path / "good", tmp_path, tiny)
    prepare_phase.encoder_step(job)
    load_encoder(job.out / "encoder")
    unknown = replace(job, params={**job.params, "heads": 2})
    with pytest.raises(ConfigError, match="unknown parameter of a step"):
        prepare_phase.encoder_step(unknown)


@pytest.mark.slow
def test_an_encoder_is_cut_to_its_first_layers(tiny: Path, tmp_path: Path) -> None:
    """Under an origin of its own, and with the same bytes however often it is cut."""
    whole = load_encoder(tiny)
    made = []
    for name in ("once", "again"):
        params = EncoderParams(name="mini", revision="r", files={}, layers=1)
        job = job_of(params, tmp_path / name, tmp_path, tiny)
        (job.work / "encoder").mkdir()  # of a run that was killed
        prepare_phase.encoder_step(job)
        made.append(job.out / "encoder")
    cut = load_encoder(made[0])
    assert read_manifest(made[0]) == read_manifest(made[1])
    assert cut.model.config.num_hidden_layers == 1 < whole.model.config.num_hidden_layers
    kept, before = cut.model.state_dict(), whole.model.state_dict()
    assert kept.keys() < before.keys()
    assert all(bool((before[own] == kept[own]).all()) for own in kept)
    assert cut.tokenizer.get_vocab() == whole.tokenizer.get_vocab()
    assert cut.origin == Origin.of(deciding_files(read_manifest(made[0]))) != whole.origin
    load_language_head(made[0], cut.model)


def test_no_encoder_is_cut_to_more_layers_than_it_has(tiny: Path, tmp_path: Path) -> None:
    params = EncoderParams(name="mini", revision="r", files={}, layers=9)
    with pytest.raises(ConfigError, match="cannot be cut"):
        prepare_phase.encoder_step(job_of(params, tmp_path, tmp_path, tiny))


def test_an_encoder_that_breaks_the_rule_does_not_enter_the_store(tmp_path: Path) -> None:
    folder = make_encoder("bert", tmp_path / "bert")
    own = EncoderParams(name="bert", revision="r", files={}, layers=None)
    prepare_phase.encoder_step(job_of(own, tmp_path / "good", tmp_path, folder))
    # Lower case by the class, capitals by the file: which of them is the encoder's?
    alter(folder, "tokenizer_config.json", do_lower_case=True)
    with pytest.raises(IntegrityError, match="other pieces of a text than its file"):
        prepare_phase.encoder_step(job_of(own, tmp_path / "bad", tmp_path, folder))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_an_encoder_step_makes_no_other_encoder_than_it_was_planned_with(
    tiny: Path, tmp_path: Path, name: str
) -> None:
    """A folder that fits its own manifest, under the name and revision of another."""
    files = deciding_files(read_manifest(tiny)) | {name: "0" * 64}
    params = EncoderParams(
        name="FacebookAI/xlm-roberta-base", revision="e736", files=files, layers=None
    )
    with pytest.raises(IntegrityError, match="not the one of FacebookAI") as caught:
        prepare_phase.encoder_step(job_of(params, tmp_path, tmp_path, tiny))
    assert caught.value.expected == f"sha256 {'0' * 64}"
    assert caught.value.got == f"sha256 {read_manifest(tiny)[name].sha256}"
    assert caught.value.fix is not None
