"""All that is made before anything is trained: encoder, features, text, and gold labels."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.data.library import Library
from stilts_artifact.data.readers import READERS
from stilts_artifact.data.readers.tags import bare_text
from stilts_artifact.data.store import FileStore
from stilts_artifact.documents import dump_json, parse_json, read_document
from stilts_artifact.domain.tasks import Benchmark, Part, Split, Task, Text
from stilts_artifact.errors import ConfigError, DataError, IntegrityError
from stilts_artifact.files import MANIFEST, write_file
from stilts_artifact.forms import form_of
from stilts_artifact.forms.labels import chosen, write_labels
from stilts_artifact.pipeline.job import Job
from stilts_artifact.pipeline.tasks import DATA, ENCODER, REPORT, encoder_folder
from stilts_artifact.pipeline.tasks.params import (
    EncoderParams,
    LabelsParams,
    PrepareParams,
    SourceParams,
    TextParams,
)

_LAYER = re.compile(r"\bencoder\.layer\.(\d+)\.")


def encoder_step(job: Job) -> None:
    """Phase (i): the verified encoder, in the store.

    Raises:
        IntegrityError: the folder is damaged, another encoder than the step was planned with, or
            one that fails the self-check.
        ConfigError: it has fewer layers than are to be kept.
    """
    from stilts_artifact.model.loading import load_encoder
    from stilts_artifact.model.manifest import ORIGIN, bring, require_files, verify_folder
    from stilts_artifact.model.selfcheck import self_check

    params = EncoderParams.of(job.params)
    source, out = job.context.folders[encoder_folder(params.revision)], job.out / ENCODER
    copy = out if params.layers is None else job.work / ENCODER
    shutil.rmtree(copy, ignore_errors=True)  # a killed run's
    # What was trained here may be where another training starts: then it is its own origin.
    if not (source / MANIFEST).is_file() or (source / ORIGIN).is_file():
        bring(source, copy)
    else:
        # First, and by name: nothing surplus is copied, and no link that leads elsewhere.
        verify_folder(source)
        shutil.copytree(source, copy, copy_function=shutil.copyfile)
    # The very bytes that will be used: the source may have changed since.
    copied = verify_folder(copy)
    if params.files:
        fix = f"bring the encoder anew into {source}; then run the same command again"
        require_files(copy, copied, params.files, f"{params.name} at {params.revision}", fix)
    self_check(load_encoder(copy, pooler_seed=0), source)
    if params.layers is not None:
        cut_encoder(copy, params.layers, out)
        self_check(load_encoder(out, pooler_seed=0), source)


def cut_encoder(folder: Path, layers: int, out: Path) -> None:
    """Write a checkpoint of the first layers of another one, with its tokenizer and heads.

    It is its own origin: a signature says that these weights ran, and not those of the whole.

    Args:
        folder: verified checkpoint folder.
        layers: how many to keep.

    Raises:
        ConfigError: there are fewer, or none that are called as XLM-R and BERT call theirs.
        ResourceError: the disk is full or the folder cannot be written.
    """
    from stilts_artifact.model.manifest import CONFIG, OPTIONAL, TOKENIZER, WEIGHTS, depth_of
    from stilts_artifact.model.weights import read_tensors
    from stilts_artifact.pipeline.tasks.train import write_weights

    depth, state = depth_of(folder), read_tensors(folder / WEIGHTS)
    numbers = {name: int(found[1]) for name in state if (found := _LAYER.search(name))}
    if layers > depth or set(numbers.values()) != set(range(depth)):
        raise ConfigError(
            "the encoder cannot be cut",
            where=str(folder),
            got=f"layers: {layers} of {depth}, of which {len(set(numbers.values()))} are known",
            expected=f"at most {depth}, in weights called encoder.layer.NUMBER",
        )
    out.mkdir()
    content = parse_json(read_document(folder / CONFIG), str(folder / CONFIG))
    write_file(out / CONFIG, dump_json({**content, "num_hidden_layers": layers}))
    for name in (TOKENIZER, *OPTIONAL):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, out / name)
    kept = {name: own for name, own in state.items() if numbers.get(name, 0) < layers}
    write_weights(out, kept)


@dataclass(frozen=True, slots=True)
class Preparation:
    """What to prepare data from, and how much of it, into a folder ``out/{language}`` each.

    Args:
        rows: most examples, see :func:`chosen`; ``None`` for all.
        max_length: tokens of an input, specials included.
        encoder: checkpoint folder; only its tokenizer is used.
    """

    benchmark: Benchmark
    library: Library
    languages: Sequence[str]
    rows: int | None
    max_length: int
    encoder: Path
    out: Path


def prepare(task: Task, split: Split, how: Preparation) -> None:
    """Prepare a split of a task.

    Raises:
        DataError, MissingDataError, IntegrityError: the data, or the encoder's folder.
        ConfigError: no such split, or a length without room for text, or beyond the encoder's.
    """
    from stilts_artifact.model.features import require_length
    from stilts_artifact.model.forms import trained_form
    from stilts_artifact.model.loading import load_encoder_tokenizer
    from stilts_artifact.model.prepared import save_prepared

    tokenizer = load_encoder_tokenizer(how.encoder)
    require_length(tokenizer, how.max_length)
    labels = task_labels(task, how.benchmark, how.library)
    for language in how.languages:
        examples = chosen(labelled(task, split, language, how.library), split, how.rows)
        columns = trained_form(task.form).prepare(tokenizer, labels, examples, how.max_length)
        save_prepared(how.out / language, task, labels, *columns, max_length=how.max_length)


def prepare_step(job: Job) -> None:
    """Features of one split of a task."""
    params = PrepareParams.of(job.params)
    how = _preparation(job, params)
    prepare(how.benchmark.tasks[params.task], params.split, how)
    require_sources(params, how.library)


def prepare_text(text: Text, how: Preparation) -> None:
    """The same for running text: it is trained on, so a cap takes lines as from training data.

    What a target is judged by is left out before; ``out/report.json`` says of each language how
    many ``sentences`` there are, how many of them were ``held_out`` and how many are ``taken``.
    """
    from stilts_artifact.model.features import require_length
    from stilts_artifact.model.loading import load_encoder_tokenizer
    from stilts_artifact.model.prepared import prepare_lines, save_prepared

    tokenizer = load_encoder_tokenizer(how.encoder)
    require_length(tokenizer, how.max_length)
    report = {}
    for language in how.languages:
        lines = _sentences(text.parts[language], how.library)
        held_out = set(_sentences(text.held_out.get(language, ()), how.library))
        kept = [line for line in lines if line not in held_out]
        taken = chosen(kept, Split.TRAIN, how.rows)
        features = prepare_lines(tokenizer, taken, how.max_length)
        save_prepared(how.out / language, None, (), features, {}, max_length=how.max_length)
        dropped = len(lines) - len(kept)
        report[language] = {"sentences": len(lines), "held_out": dropped, "taken": len(taken)}
    write_file(how.out / REPORT, dump_json(report))


def _sentences(parts: Sequence[Part], library: Library) -> list[str]:
    """The bare text of some parts, in order."""
    library.prefetch(parts)
    return [
        bare_text(example)
        for part in parts
        for document in library.documents(part)
        for example in READERS[part.reader](document.data, document.where, **dict(part.options))
    ]


def text_step(job: Job) -> None:
    """Inputs for masked language modelling."""
    params = TextParams.of(job.params)
    how = _preparation(job, params)
    prepare_text(how.benchmark.texts[params.text], how)
    require_sources(params, how.library)


def labels_step(job: Job) -> None:
    """Gold labels of one split of a target."""
    params = LabelsParams.of(job.params)
    benchmark, library = open_data(job, params)
    task = benchmark.tasks[params.task]
    for language in params.languages:
        write_labels(task, params.split, language, params.rows, library, job.out)
    require_sources(params, library)


def labelled(task: Task, split: Split, language: str, library: Library) -> list[Any]:
    """The examples of a split of a task that is trained.

    Raises:
        DataError: a retrieval task; or as :meth:`stilts_artifact.forms.base.Form.read`.
    """
    if not form_of(task).is_trained:
        raise DataError(
            f"{task.form} has no labelled examples", where=f"{task.name} {split} {language}"
        )
    examples: list[Any] = form_of(task).read(task, split, language, library)
    return examples


def task_labels(task: Task, benchmark: Benchmark, library: Library) -> tuple[str, ...]:
    """A task's labels, in the order of the head's outputs.

    Those of CCG are the ones of its training data.
    """
    form = form_of(task)
    if not form.has_open_labels(task):
        return task.labels
    return form.labels_in(labelled(task, Split.TRAIN, benchmark.source_language, library))


def open_data(job: Job, params: SourceParams) -> tuple[Benchmark, Library]:
    """The benchmark that a step reads, and its files on this machine."""
    benchmark = load_benchmark(
        params.benchmark, None, params.own_data, single_files=bool(params.single_files)
    )
    folders = [path for name, path in sorted(job.context.folders.items()) if name.startswith(DATA)]
    return benchmark, Library(benchmark.sources, FileStore(job.context.root), folders)


def require_sources(params: SourceParams, library: Library) -> None:
    """What was read must be what the step's key names.

    Files without a public pin may have been exchanged since the step was planned.

    Raises:
        IntegrityError: naming the file.
    """
    # Asked after reading, when it is known what was read; a step that raises is not published.
    named = params.sources
    for used in library.used():
        # The bytes of an archive are pinned as a whole, and with them those of its members.
        source, _, member = used.source.partition("!")
        if not member and named.get(source) != used.sha256:
            raise IntegrityError(
                "another file than when this run was planned",
                where=source,
                got=used.sha256,
                expected=named.get(source),
                fix="run the same command again",
            )


def _preparation(job: Job, params: PrepareParams | TextParams) -> Preparation:
    benchmark, library = open_data(job, params)
    return Preparation(
        benchmark,
        library,
        languages=params.languages,
        rows=params.rows,
        max_length=params.max_length,
        encoder=job.inputs[ENCODER] / ENCODER,
        out=job.out,
    )
