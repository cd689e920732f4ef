"""Alignment: ranks of translations, and how near they lie in every layer of an encoder as it is."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stilts_artifact.data.library import Library
from stilts_artifact.domain.tasks import Split, Task
from stilts_artifact.forms import ALIGNMENT
from stilts_artifact.forms.alignment_scores import (
    SCORES,
    Measures,
    ScorePlace,
    scores_file,
    write_scores,
)
from stilts_artifact.pipeline.job import Job
from stilts_artifact.pipeline.tasks import ENCODER
from stilts_artifact.pipeline.tasks.params import AlignParams, RetrievalOptions
from stilts_artifact.pipeline.tasks.predict import Details, report_retrieval, sentence_encoder
from stilts_artifact.pipeline.tasks.prepare import open_data, require_sources

if TYPE_CHECKING:
    from stilts_artifact.retrieval.encode import TransformerSentences
    from stilts_artifact.retrieval.vectors import Rows


def align(
    *,
    task: Task,
    split: Split,
    languages: Sequence[str],
    rows: int | None,
    encoder: Path,
    options: RetrievalOptions,
    library: Library,
    work: Path,
    out: Path,
) -> None:
    """Align every language with the source language, in all layers of an encoder as it is.

    Written are ``out/{task}/{split}-{language}.tsv``, ranks at the layer of the options, for each
    language; ``out/scores/{task}/{split}.csv``, every layer; and ``out/report.json``, as
    :func:`stilts_artifact.pipeline.tasks.predict.retrieve` has it.

    Args:
        rows: most sentences; whole documents are taken.
        encoder: checkpoint folder, verified against its manifest.
        work: folder where the vectors of one language lie while they are made.

    Raises:
        IntegrityError: the encoder's folder is damaged.
        DataError, MissingDataError: the texts, or too few of them.
        ConfigError: the encoder has no such layer.
        ResourceError: out of memory or disk.
    """
    from stilts_artifact.model.loading import load_encoder
    from stilts_artifact.retrieval.alignment import align as align_layer
    from stilts_artifact.retrieval.alignment import halves
    from stilts_artifact.retrieval.mine import Mining
    from stilts_artifact.retrieval.transformer import require_layer

    loaded = load_encoder(encoder, pooler_seed=0)  # of no use here
    deepest = int(loaded.model.config.num_hidden_layers)
    require_layer(options.layer, deepest)
    encode = sentence_encoder(encoder.name, loaded, options, work, deepest=deepest)
    source, other = _Layers(encode), _Layers(encode)
    mining = Mining(neighbours=options.neighbours, margin=options.margin)
    scores: dict[ScorePlace, Measures] = {}
    details: dict[str, Details] = {}
    for language in languages:
        data = ALIGNMENT.first(ALIGNMENT.read(task, split, language, library), rows)
        half = halves([sentence.document for sentence in data])
        # Of a pair, the source is the text in another language, as everywhere; its target is
        # English, the source language of the alignment.
        sides = (
            source.of([sentence.target for sentence in data]),
            other.of([sentence.source for sentence in data]),
        )
        for layer, (one, two) in enumerate(zip(*sides, strict=True)):
            found = align_layer(one, two, half, mining)
            for variant, measures in found.measures.items():
                scores[ScorePlace(layer, language, variant)] = measures
            if layer == options.layer:
                ALIGNMENT.write_predictions(out, task, language, split, found.ranks)
        details[language] = {"sentences": len(data)}
    write_scores(scores_file(out / SCORES, task.name, split), scores)
    ran = {
        **encode.description.vectors,
        "neighbours": options.neighbours,
        "margin": options.margin,
        "backend": "numpy",
    }
    report_retrieval(out, (task, split), loaded, ran, details)


class _Layers:
    """Vectors of every layer, held in memory, of the texts that were asked for last."""

    def __init__(self, encode: TransformerSentences) -> None:
        self._encode = encode
        self._texts: list[str] = []
        self._rows: list[Rows] = []

    def of(self, texts: list[str]) -> list[Rows]:
        """One array [texts, dimensions] for each layer; equal texts have equal vectors."""
        from stilts_artifact.retrieval.mine import distinct

        if texts != self._texts:
            # Copies in batches of their own would differ in their last bits, and not tie.
            known = distinct(texts)
            place = np.empty(len(texts), np.int64)
            for number, places in enumerate(known.places):
                place[list(places)] = number
            self._rows = [rows[place] for rows in self._encode.layers(known.texts)]
            self._texts = texts
            for made in self._encode.folder.iterdir():
                shutil.rmtree(made)
        return self._rows


def align_step(job: Job) -> None:
    """NTREX-128."""
    from stilts_artifact.training.determinism import fixed_arithmetic

    job.require_device()
    params = AlignParams.of(job.params)
    benchmark, library = open_data(job, params)
    with fixed_arithmetic(params.options.threads):
        align(
            task=benchmark.tasks[params.task],
            split=params.split,
            languages=params.languages,
            rows=params.rows,
            encoder=job.inputs[ENCODER] / ENCODER,
            options=params.options,
            library=library,
            work=job.work,
            out=job.out,
        )
    require_sources(params, library)
