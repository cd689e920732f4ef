"""Prepare data for the encoder: read a split, take what the scale asks for, write features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from stilts_artifact.data.library import Library
from stilts_artifact.data.readers import READERS
from stilts_artifact.domain.tasks import Benchmark, Split, Task
from stilts_artifact.errors import DataError
from stilts_artifact.forms import form_of

_T = TypeVar("_T")


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
        ConfigError: no such split, or a length without room for text.
    """
    from stilts_artifact.model.forms import trained_form
    from stilts_artifact.model.loading import load_encoder_tokenizer
    from stilts_artifact.model.prepared import save_prepared

    tokenizer = load_encoder_tokenizer(how.encoder)
    labels = task_labels(task, how.benchmark, how.library)
    for language in how.languages:
        examples = chosen(labelled(task, split, language, how.library), split, how.rows)
        columns = trained_form(task.form).prepare(tokenizer, labels, examples, how.max_length)
        save_prepared(how.out / language, task, labels, *columns, max_length=how.max_length)


def prepare_text(how: Preparation) -> None:
    """The same for running text: it is trained on, so a cap takes lines as from training data."""
    from stilts_artifact.model.loading import load_encoder_tokenizer
    from stilts_artifact.model.prepared import prepare_lines, save_prepared

    tokenizer = load_encoder_tokenizer(how.encoder)
    for language in how.languages:
        part = how.benchmark.text[language]
        lines = [
            sentence.text
            for document in how.library.documents(part)
            for sentence in READERS[part.reader](document.data, document.where)
        ]
        features = prepare_lines(tokenizer, chosen(lines, Split.TRAIN, how.rows), how.max_length)
        save_prepared(how.out / language, None, (), features, {}, max_length=how.max_length)


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


def chosen(examples: Sequence[_T], split: Split, rows: int | None) -> list[_T]:
    """As many examples as a scale takes, in their order.

    Of training data, whose files may be sorted, a sample spread over all of it, the same for every
    seed; of evaluation data the first ones, which in parallel sets are the same in every language.
    """
    if rows is None or rows >= len(examples):
        return list(examples)
    if split is not Split.TRAIN:
        return list(examples[:rows])
    picked = sorted(Random(0).sample(range(len(examples)), rows))  # noqa: S311  a sample, no secret
    return [examples[index] for index in picked]


def task_labels(task: Task, benchmark: Benchmark, library: Library) -> tuple[str, ...]:
    """A task's labels, in the order of the head's outputs.

    Those of CCG are the ones of its training data.
    """
    form = form_of(task)
    if not form.has_open_labels(task):
        return task.labels
    return form.labels_in(labelled(task, Split.TRAIN, benchmark.source_language, library))
