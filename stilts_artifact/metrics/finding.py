"""Find what can be scored: prediction files of known tasks and languages that have a label file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from stilts_artifact.domain.tasks import Task
from stilts_artifact.errors import DataError, MissingDataError
from stilts_artifact.metrics.submission import file_of, suffix_of

Files = Mapping[str, tuple[Path, Path]]
"""Language -> its prediction file and its label file."""


class Found(NamedTuple):
    """Task -> its files, in the order of the tasks given; and a note for everything left out."""

    files: Mapping[str, Files]
    notes: tuple[str, ...]


def find_files(predictions: Path, labels: Path, tasks: Mapping[str, Task]) -> Found:
    """Pair prediction files with label files.

    Raises:
        MissingDataError: a folder that is not there.
        DataError: a file for a language that the task does not have, or no pair of files at all.
    """
    for folder in (predictions, labels):
        if not folder.is_dir():
            raise MissingDataError(
                "no such folder", where=str(folder), expected="{task}/test-{language}.{tsv,json}"
            )
    notes = [*_strangers(predictions, tasks)]
    files: dict[str, Files] = {}
    for name, task in tasks.items():
        predicted = _predicted(predictions / name, task, notes)
        gold = {
            language: file_of(labels, name, language, suffix_of(task.form))
            for language in predicted
        }
        pairs = {
            language: (path, gold[language])
            for language, path in predicted.items()
            if gold[language].is_file()
        }
        if pairs:
            files[name] = pairs
        notes += [
            f"{name}, {language}: not scored, no {gold[language]}"
            for language in predicted
            if language not in pairs
        ]
        notes += _incomplete(task, pairs, predicted)
    if not files:
        raise DataError(
            "nothing to score",
            where=f"{predictions} and {labels}",
            got="; ".join(notes) or "no task folder",
            expected=f"files {{task}}/test-{{language}}.tsv or .json in both, task one of {', '.join(tasks)}",
        )
    return Found(files, tuple(notes))


def _predicted(folder: Path, task: Task, notes: list[str]) -> dict[str, Path]:
    """The task's prediction files by language, in the task's order."""
    suffix = suffix_of(task.form)
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        language = path.stem.removeprefix("test-")
        if path.name.startswith("."):
            continue
        if not path.name.startswith("test-") or not path.is_file():
            notes.append(f"{task.name}: ignored {path.name}, not named test-{{language}}{suffix}")
        elif language not in task.languages:
            expected = f"one of {', '.join(task.languages)}"
            raise DataError("unknown language", where=f"{path}:1", got=language, expected=expected)
        elif path.suffix != suffix:
            raise DataError(
                "wrong kind of file", where=f"{path}:1", got=path.suffix, expected=suffix
            )
        else:
            found[language] = path
    return {language: found[language] for language in task.languages if language in found}


def _incomplete(task: Task, scored: Files, predicted: Mapping[str, Path]) -> Iterator[str]:
    """Say where an average is over fewer languages than XTREME's."""
    missing = [language for language in task.languages if language not in predicted]
    if scored and missing:
        languages = f"{len(scored)} of {len(task.languages)} languages"
        yield f"{task.name}: average over {languages} only; no predictions for {', '.join(missing)}"


def _strangers(predictions: Path, tasks: Mapping[str, Task]) -> Iterator[str]:
    for path in sorted(predictions.iterdir()):
        if path.is_dir() and path.name not in tasks and not path.name.startswith("."):
            close = get_close_matches(path.name, tasks, n=1)
            yield f"ignored {path.name}, not a task" + (
                f" (did you mean {close[0]}?)" if close else ""
            )
