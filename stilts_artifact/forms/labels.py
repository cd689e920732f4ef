"""Gold labels as files: how much of a split is taken, and what is written of it.

They are what predictions are scored against, by whoever checks; so they are in the submission
layout. Their bytes follow from the sources alone: whoever has those gets these.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, TypeVar

from stilts_artifact.domain.tasks import Split, Task
from stilts_artifact.forms import form_of

if TYPE_CHECKING:
    from stilts_artifact.config.schema import Scale
    from stilts_artifact.data.library import Library

_T = TypeVar("_T")


def evaluated_rows(task: Task, scale: Scale) -> int | None:
    """Most examples of a language that a scale scores a task on: retrieval always takes all."""
    return None if form_of(task).takes_all else scale.evaluation_rows


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


def write_labels(
    task: Task, split: Split, language: str, rows: int | None, library: Library, out: Path
) -> Path:
    """Write the gold labels of one language of a split: ``out/{task}/{split}-{language}.*``.

    Args:
        rows: most examples, as predictions have them; retrieval always takes all.

    Raises:
        DataError, MissingDataError, IntegrityError: as :meth:`Form.read`.
    """
    form = form_of(task)
    data = form.read(task, split, language, library)
    data = chosen(data, split, rows) if form.is_trained else form.first(data, rows)
    return form.write_gold(out, task, language, split, data)
