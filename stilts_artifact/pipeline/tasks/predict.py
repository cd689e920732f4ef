"""Predictions: of a fine-tuned model in every language, and of an encoder as it is by retrieval."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.config.schema import Dtype
from stilts_artifact.data.library import Library
from stilts_artifact.documents import dump_json
from stilts_artifact.domain.tasks import Split, Task
from stilts_artifact.files import write_file
from stilts_artifact.forms import MINING, SEARCH, form_of
from stilts_artifact.forms.probabilities import (
    PROBABILITIES,
    likeliest,
    log_probabilities_file,
    parse_log_probabilities,
    write_log_probabilities,
)
from stilts_artifact.pipeline.job import Job
from stilts_artifact.pipeline.tasks import ENCODER, REPORT
from stilts_artifact.pipeline.tasks.params import (
    PredictParams,
    ProbabilitiesParams,
    RetrievalOptions,
    RetrieveParams,
)
from stilts_artifact.pipeline.tasks.prepare import open_data, require_sources

if TYPE_CHECKING:
    from stilts_artifact.domain.examples import ComparableCorpus
    from stilts_artifact.model.heads import TaskHead
    from stilts_artifact.model.loading import Encoder
    from stilts_artifact.retrieval.encode import Ran, SentenceEncoder, TransformerSentences


def predict(
    *,
    task: Task,
    split: Split,
    model: Path,
    data: Path,
    dtype: Dtype,
    out: Path,
) -> None:
    """Predict with a fine-tuned model in every language that was prepared.

    Written are ``out/{task}/{split}-{language}.*`` and ``out/report.json``, whose ``signature``
    says how they were computed.

    Args:
        model: folder that :func:`stilts_artifact.pipeline.tasks.train.target` made.
        data: folder that :func:`stilts_artifact.pipeline.tasks.prepare.prepare` made.

    Raises:
        IntegrityError: either folder is damaged, or a published score is not what another scorer
            makes of the same predictions.
        ResourceError: out of memory.
    """
    from stilts_artifact.model.inference import outputs
    from stilts_artifact.model.prepared import load_prepared

    encoder, head = _placed(model)
    lengths = set()
    for folder in sorted(data.iterdir()):
        prepared = load_prepared(folder)
        form = prepared.trained_form
        predictions = form.decode(prepared, outputs(encoder.model, head, prepared, dtype=dtype))
        file = form_of(task).write_predictions(out, task, folder.name, split, predictions)
        form.confirm(task, prepared, predictions, file)
        lengths.add(prepared.max_length)
    _report(out, encoder, lengths, dtype)


def _placed(model: Path) -> tuple[Encoder, TaskHead]:
    """Encoder and head of a fine-tuned model, where this worker computes."""
    import torch

    from stilts_artifact.pipeline.tasks.train import load_target

    encoder, head = load_target(model)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    encoder.model.to(device)  # type: ignore[arg-type]  # torch's stubs know no strings here
    return encoder, head.to(device)


def _report(out: Path, encoder: Encoder, lengths: Iterable[int], dtype: Dtype) -> None:
    """Write what ran, for signatures."""
    from stilts_artifact.model.inference import computed_dtype

    (max_length,) = lengths  # one length for all languages of a task
    signature = {
        **asdict(encoder.origin),
        "max_length": max_length,
        "dtype": computed_dtype(encoder.model.device.type, dtype),
    }
    write_file(out / REPORT, dump_json({"signature": signature}))


def predict_step(job: Job) -> None:
    """Phase (iii): predictions in every language."""
    from stilts_artifact.training.determinism import fixed_arithmetic

    job.require_device()
    params = PredictParams.of(job.params)
    with fixed_arithmetic(params.threads):
        predict(
            task=load_benchmark(params.benchmark).tasks[params.task],
            split=params.split,
            model=job.inputs["model"],
            data=job.inputs["data"],
            dtype=params.dtype,
            out=job.out,
        )


def write_probabilities(*, task: Task, data: Mapping[Split, Path], model: Path, out: Path) -> None:
    """The probability of every label in every language that was prepared, and what is predicted.

    Written are ``out/probabilities/{task}/{split}-{language}.csv``, the predictions that follow
    from these files, and ``out/report.json``, both as :func:`predict` has them. Logits are computed
    in float32.

    Args:
        task: classification of pairs.
        data: split -> folder that :func:`stilts_artifact.pipeline.tasks.prepare.prepare` made.
        model: folder that :func:`stilts_artifact.pipeline.tasks.train.target` made.

    Raises:
        IntegrityError, ResourceError: as :func:`predict`.
    """
    from stilts_artifact.model.inference import outputs
    from stilts_artifact.model.prepared import load_prepared

    encoder, head = _placed(model)
    lengths = set()
    places = [(split, own) for split, every in data.items() for own in sorted(every.iterdir())]
    for split, folder in places:
        prepared, language = load_prepared(folder), folder.name
        scores = np.stack(outputs(encoder.model, head, prepared))
        path = log_probabilities_file(out / PROBABILITIES, task.name, language, split)
        write_log_probabilities(path, prepared.labels, scores.astype(np.float32))
        # What is predicted is what the file says, digits that it does not have left aside.
        found = parse_log_probabilities(path.read_bytes(), str(path), prepared.labels)
        predictions = likeliest(found, prepared.labels)
        file = form_of(task).write_predictions(out, task, language, split, predictions)
        prepared.trained_form.confirm(task, prepared, predictions, file)
        lengths.add(prepared.max_length)
    _report(out, encoder, lengths, "float32")


def probabilities_step(job: Job) -> None:
    """Phase (iii): probabilities in every language, and of development data."""
    from stilts_artifact.training.determinism import fixed_arithmetic

    job.require_device()
    params = ProbabilitiesParams.of(job.params)
    data = {params.split: job.inputs["data"]}
    if "dev" in job.inputs:
        data[Split.DEV] = job.inputs["dev"]
    with fixed_arithmetic(params.threads):
        write_probabilities(
            task=load_benchmark(params.benchmark).tasks[params.task],
            data=data,
            model=job.inputs["model"],
            out=job.out,
        )


def retrieve(
    *,
    task: Task,
    split: Split,
    languages: Sequence[str],
    encoder: Path,
    options: RetrievalOptions,
    library: Library,
    work: Path,
    out: Path,
) -> None:
    """Retrieve with an encoder as it is.

    Written are ``out/{task}/{split}-{language}.tsv`` for each language and ``out/report.json``,
    whose ``signature`` has the fields of a signature that say how the predictions were made.

    A mining task is cut where its development corpora say; on these themselves that is an upper
    bound, and the signature calls it ``oracle``.

    Args:
        encoder: checkpoint folder, verified against its manifest.
        work: folder where vectors lie while they are used.

    Raises:
        IntegrityError: the encoder's folder is damaged.
        DataError, MissingDataError: the corpora.
        ConfigError: the encoder has no such layer.
        ResourceError: out of memory or disk.
    """
    from stilts_artifact.model.loading import load_encoder

    loaded = load_encoder(encoder, pooler_seed=0)  # of no use here
    encode = sentence_encoder(encoder.name, loaded, options, work)
    answer = _ANSWERS[task.form]
    answers = {}
    for language in languages:
        answers[language] = answer((task, split, language), encode, options, library, out)
        # Now, not at the end: the vectors of all languages would add up on the disk.
        for made in work.iterdir():
            shutil.rmtree(made)
    # The same for every language: one encoder and one search answered them all.
    ran = next(iter(answers.values())).ran
    details = {language: found.details for language, found in answers.items()}
    report_retrieval(out, (task, split), loaded, ran, details)


def report_retrieval(
    out: Path,
    place: tuple[Task, Split],
    loaded: Encoder,
    ran: Ran,
    languages: Mapping[str, Details],
) -> None:
    """Write ``out/report.json`` of a task that an encoder answers as it is.

    Args:
        ran: fields of the signature, beside those of the encoder.
        languages: language -> what else is said of it.
    """
    task, split = place
    report = {
        "encoder": loaded.revision,
        "task": task.name,
        "split": split,
        "signature": {**asdict(loaded.origin), **ran},
        "languages": {language: dict(details) for language, details in languages.items()},
    }
    write_file(out / REPORT, dump_json(report))


def retrieve_step(job: Job) -> None:
    """BUCC or Tatoeba."""
    from stilts_artifact.training.determinism import fixed_arithmetic

    job.require_device()
    params = RetrieveParams.of(job.params)
    benchmark, library = open_data(job, params)
    with fixed_arithmetic(params.options.threads):
        retrieve(
            task=benchmark.tasks[params.task],
            split=params.split,
            languages=params.languages,
            encoder=job.inputs[ENCODER] / ENCODER,
            options=params.options,
            library=library,
            work=job.work,
            out=job.out,
        )
    require_sources(params, library)


def sentence_encoder(
    name: str,
    loaded: Encoder,
    options: RetrievalOptions,
    work: Path,
    *,
    deepest: int | None = None,
) -> TransformerSentences:
    """The function from sentences to vectors that an encoder stands for.

    Args:
        deepest: layer that will be asked for; by default the one of the options.

    Raises:
        ConfigError: the encoder has no such layer.
    """
    import torch

    from stilts_artifact.model.inference import computed_dtype
    from stilts_artifact.retrieval.encode import Batching, TransformerSentences, View
    from stilts_artifact.retrieval.transformer import wrap_transformer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    transformer = wrap_transformer(
        (name, loaded.revision),
        loaded.model,
        loaded.tokenizer,
        deepest=options.layer if deepest is None else deepest,
        dtype=computed_dtype(device, options.dtype),
        device=device,
    )
    view = View(layer=options.layer, pooling=options.pooling)
    batching = Batching(max_length=options.max_length, prefix=options.prefix)
    return TransformerSentences(transformer, view, batching, work)


_Place = tuple[Task, Split, str]
Details = Mapping[str, float | int | None]
"""What the retrieval of one language says of itself, by name."""


class _Answer(NamedTuple):
    """What one language's retrieval says of itself: fields of its signature, and details."""

    ran: Ran
    details: Details


def _mine(
    place: _Place, encode: SentenceEncoder, options: RetrievalOptions, library: Library, out: Path
) -> _Answer:
    from stilts_artifact.retrieval.bucc import BuccOptions, mine_split
    from stilts_artifact.retrieval.knn import Search
    from stilts_artifact.retrieval.mine import Mining

    task, split, language = place
    mining = Mining(neighbours=options.neighbours, margin=options.margin, center=options.center)

    def read(wanted: Split) -> ComparableCorpus:
        return MINING.read(task, wanted, language, library)

    search = Search(engine=options.engine)
    mined = mine_split(split, read, encode, BuccOptions(mining=mining), search)
    MINING.write_predictions(out, task, language, split, mined.predictions)
    cut = mined.cut
    details = {
        "threshold": cut.threshold if math.isfinite(cut.threshold) else None,
        "candidates": len(mined.candidates.pairs),
        "accepted": cut.accepted,
        "repeated_sentences": mined.candidates.repeated,
    }
    return _Answer(mined.ran, details)


def _search(
    place: _Place, encode: SentenceEncoder, options: RetrievalOptions, library: Library, out: Path
) -> _Answer:
    from stilts_artifact.retrieval.knn import Search
    from stilts_artifact.retrieval.tatoeba import find_translations

    task, split, language = place
    pairs = SEARCH.read(task, split, language, library)
    found = find_translations(pairs, encode, Search(engine=options.engine))
    SEARCH.write_predictions(out, task, language, split, found.lines)
    return _Answer(found.ran, {"sentences": len(pairs)})


# The heavy halves of the two forms that train nothing.
_ANSWERS = {MINING.form: _mine, SEARCH.form: _search}
