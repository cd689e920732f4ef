"""Gold labels in the submission layout: what predictions are scored against, by whoever checks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stilts_artifact.data.library import Library
from stilts_artifact.domain.tasks import Split, Task
from stilts_artifact.forms import form_of
from stilts_artifact.pipeline.tasks.prepare import chosen


def labels(
    *,
    task: Task,
    split: Split,
    languages: Sequence[str],
    rows: int | None,
    library: Library,
    out: Path,
) -> None:
    """Write ``out/{task}/{split}-{language}.*`` for each language.

    Args:
        rows: most examples of a trained task, as predictions have them; retrieval always takes all.

    Raises:
        DataError, MissingDataError, IntegrityError: as :meth:`Form.read`.
    """
    form = form_of(task)
    for language in languages:
        data = form.read(task, split, language, library)
        if form.is_trained:
            data = chosen(data, split, rows)
        form.write_gold(out, task, language, split, data)
