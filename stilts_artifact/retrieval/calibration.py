"""The calibration: published scores of the untuned encoder, which no seed and no training can explain away.

It comes before every trained cell: tokenizer, layer, pooling, margin, mining and threshold all have
to be right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from stilts_artifact.benchmark.experiments import CALIBRATION, NONE, scored_split
from stilts_artifact.data.library import Library
from stilts_artifact.domain.cells import CellKey, Measurement
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Benchmark, Split, Task
from stilts_artifact.errors import MissingDataError
from stilts_artifact.forms import MINING, SEARCH, form_of
from stilts_artifact.retrieval.bucc import BuccOptions, score_bucc
from stilts_artifact.retrieval.encoder import SentenceEncoder, sign
from stilts_artifact.retrieval.knn import Search
from stilts_artifact.retrieval.tatoeba import score_tatoeba
from stilts_artifact.retrieval.threshold import Threshold

MAX_LENGTH = 256
"""Tokens kept in the published run (jiant-dev PR #128); everything else is the default of this package."""
SEED = 0
"""Stands where a trained run has its seed; nothing is drawn."""

# The published development scores were cut where development gold says it is best.
_BUCC = BuccOptions(threshold=Threshold("oracle"))


def calibrated_tasks(benchmark: Benchmark) -> tuple[Task, ...]:
    """The two retrieval tasks."""
    return tuple(task for task in benchmark.tasks.values() if not form_of(task).is_trained)


def calibrate(
    encode: SentenceEncoder,
    benchmark: Benchmark,
    library: Library,
    *,
    scale: str,
    out: Path,
    search: Search | None = None,
) -> Iterator[Measurement]:
    """Measure BUCC's development F1 and Tatoeba's accuracy, of each language and then in the mean, in points.

    A cell whose data are not on this machine has the reason instead of a value.

    Args:
        out: folder for predictions and labels, in the layout of
            :mod:`stilts_artifact.metrics.tables`.

    Raises:
        DataError: data that break their format.
    """
    run = _Run(encode, library, scale, out, search)
    for task in calibrated_tasks(benchmark):
        split = scored_split(task, CALIBRATION)
        cells = []
        for language in task.languages_of(split):
            cells.append(run.measure(task, split, language))
            yield cells[-1]
        yield _mean(cells)


def calibrated_cells(benchmark: Benchmark) -> list[CellKey]:
    """Every cell of the calibration, in the order measured."""
    return [
        CellKey(NONE, task.name, language)
        for task in calibrated_tasks(benchmark)
        for language in (*task.languages_of(scored_split(task, CALIBRATION)), None)
    ]


def _mean(cells: Sequence[Measurement]) -> Measurement:
    """Mean over the languages of a task, if all of them were measured."""
    first = Signature.parse(cells[0].signature)
    languages = tuple(cell.key.language for cell in cells if cell.key.language is not None)
    signature = replace(first, languages=languages).short()
    key = replace(cells[0].key, language=None)
    absent = [cell for cell in cells if cell.value is None]
    if absent:
        return Measurement(
            key, None, f"{len(absent)} of {len(cells)} languages: {absent[0].reason}", signature
        )
    return Measurement(
        key, fmean(cell.value for cell in cells if cell.value is not None), None, signature
    )


@dataclass(frozen=True, slots=True)
class _Run:
    encode: SentenceEncoder
    library: Library
    scale: str
    out: Path
    search: Search | None

    def measure(self, task: Task, split: Split, language: str) -> Measurement:
        key = CellKey(NONE, task.name, language)
        score = {MINING.form: self._mine, SEARCH.form: self._find}[task.form]
        try:
            value, signature = score(task, split, language)
        except MissingDataError as error:
            signature = sign(
                self.encode.description,
                task=task.name,
                split=split,
                language=language,
                metric=task.metrics[0],
                scale=self.scale,
            )
            return Measurement(key, None, error.what, signature.short())
        return Measurement(key, value, None, signature.short())

    @property
    def _predictions(self) -> Path:
        return self.out / "predictions" / NONE / f"seed-{SEED}"

    def _mine(self, task: Task, split: Split, language: str) -> tuple[float, Signature]:
        corpus = MINING.read(task, split, language, self.library)
        result = score_bucc(
            (language, split),
            lambda _: corpus,
            self.encode,
            scale=self.scale,
            options=_BUCC,
            search=self.search,
        )
        MINING.write_gold(self.out / "labels", task, language, split, corpus)
        MINING.write_predictions(self._predictions, task, language, split, result.predictions)
        return result.metrics["f1"], result.signature

    def _find(self, task: Task, split: Split, language: str) -> tuple[float, Signature]:
        pairs = SEARCH.read(task, split, language, self.library)
        result = score_tatoeba(language, pairs, self.encode, scale=self.scale, search=self.search)
        SEARCH.write_gold(self.out / "labels", task, language, split, pairs)
        SEARCH.write_predictions(self._predictions, task, language, split, result.predictions)
        return result.metrics["accuracy"], result.signature
