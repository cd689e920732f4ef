"""Score a submission folder: tasks, languages and XTREME's averages, each with sampling error."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from stilts_artifact import __version__
from stilts_artifact.benchmark.tasks import groups
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Benchmark, Role, Split, Task
from stilts_artifact.errors import DataError, MissingDataError
from stilts_artifact.forms import form_of
from stilts_artifact.metrics import METRIC_VERSION
from stilts_artifact.metrics.averages import over_groups, over_languages, overall, task_score
from stilts_artifact.metrics.bootstrap import (
    RESAMPLES,
    SEED,
    Estimate,
    Sample,
    estimate,
    resample_task,
)
from stilts_artifact.metrics.ratios import Array

OVERALL = "overall"
_NAMED = 3  # of alike files, before the rest is only counted
Files = Mapping[str, tuple[Path, Path]]
"""Language -> its prediction file and its label file."""


@dataclass(frozen=True, slots=True)
class TaskScores:
    """One task.

    Args:
        score: the task's one number, the mean over ``languages``.
        metrics: metric -> mean over ``languages``.
        languages: language -> metric -> its value.
        missing: languages of the task that were not scored: with any, the averages are partial.
        unanswered: language -> number of questions without an answer, which count 0.
        signature: what the numbers mean.
    """

    score: Estimate
    metrics: Mapping[str, Estimate]
    languages: Mapping[str, Mapping[str, Estimate]]
    missing: tuple[str, ...]
    unanswered: Mapping[str, int]
    signature: Signature


class ScoreRow(NamedTuple):
    """One line of a score table.

    ``language`` is ``None`` for an average, ``task`` also names groups and ``overall``; an average
    is ``partial`` where a language of its tasks was not scored.
    """

    task: str
    language: str | None
    metric: str
    estimate: Estimate
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Scores:
    """A scored submission, in points.

    Args:
        tasks: in XTREME's order, those that were found.
        groups: those whose tasks are all there.
        overall: mean over all tasks, ``None`` unless all are there.
        partial: tasks, groups and ``overall`` where a language is missing from the average.
        notes: what was left out and why; a score without them could be taken for more than it is.
    """

    tasks: Mapping[str, TaskScores]
    groups: Mapping[str, Estimate]
    overall: Estimate | None
    partial: frozenset[str]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Values by task, group and overall, and which of these are partial averages.

        A task has ``score``, ``metrics``, ``languages``, those that are ``missing``, and the number
        of ``unanswered`` questions by language.
        """
        return {
            "tasks": {name: _task_json(task) for name, task in self.tasks.items()},
            "groups": _values(self.groups),
            "overall": None if self.overall is None else self.overall.value,
            "partial": sorted(self.partial),
        }

    def rows(self) -> Iterator[ScoreRow]:
        """Every number: languages of a task, its averages and score, then groups and overall."""
        for name, task in self.tasks.items():
            for language, metrics in task.languages.items():
                yield from (
                    ScoreRow(name, language, metric, value) for metric, value in metrics.items()
                )
            averages = {**task.metrics, "score": task.score}
            yield from (self._average(name, metric, value) for metric, value in averages.items())
        means = {**self.groups} if self.overall is None else {**self.groups, OVERALL: self.overall}
        yield from (self._average(name, "score", value) for name, value in means.items())

    def _average(self, name: str, metric: str, value: Estimate) -> ScoreRow:
        return ScoreRow(name, None, metric, value, name in self.partial)


class _Found(NamedTuple):
    """Task -> its files, in the order of the tasks given; and a note for everything left out."""

    files: Mapping[str, Files]
    notes: tuple[str, ...]


class _Counted(NamedTuple):
    """A task's counts by language, where answers are missing, and a note for each such language."""

    samples: Mapping[str, Sample]
    unanswered: Mapping[str, int]
    notes: tuple[str, ...]


class _Resampled(NamedTuple):
    """A task's numbers as arrays [1 + resamples]: the score itself, then that of each resample."""

    languages: Mapping[str, Mapping[str, Array]]
    metrics: Mapping[str, Array]
    score: Array


def score_folders(
    predictions: Path,
    labels: Path,
    *,
    benchmark: Benchmark,
    partial: bool = False,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Scores:
    """Score ``{predictions}/{task}/test-{language}.*`` against the same files under ``labels``.

    Both folders may be partial: what either lacks is left out, and named in :attr:`Scores.notes`.

    Args:
        benchmark: whose tasks, languages and label sets apply; not those that only studies have.
        partial: whether a question may lack an answer, which then counts 0 as in XTREME's own
            script. What is read line by line stays strict: nothing tells which line is missing.
        resamples, seed: of the bootstrap.

    Raises:
        DataError: nothing to score; an unknown language; or a file that cannot be vouched for, with
            its line.
        MissingDataError: a folder that is not there.
    """
    tasks = {
        name: task
        for name, task in benchmark.tasks.items()
        if task.role is Role.TARGET and not task.study
    }
    found = _find_files(predictions, labels, tasks)
    faults: list[DataError] = []
    counted = {
        name: _count(tasks[name], files, partial, faults) for name, files in found.files.items()
    }
    if faults:
        raise _joined(faults)
    resampled = {
        name: _resample(tasks[name], one.samples, resamples, seed) for name, one in counted.items()
    }
    scores = {name: task.score for name, task in resampled.items()}
    mean = overall(scores, tasks)
    scored = {
        name: _task_scores(tasks[name], task, counted[name].unanswered)
        for name, task in resampled.items()
    }
    members = groups(tasks.values())
    means = over_groups(scores, members)
    partial_tasks = {name for name, task in scored.items() if task.missing}
    partial_means = {name for name in means if partial_tasks.intersection(members[name])}
    if partial_tasks and mean is not None:
        partial_means.add(OVERALL)
    return Scores(
        tasks=scored,
        groups=_estimates(means),
        overall=None if mean is None else estimate(mean),
        partial=frozenset(partial_tasks | partial_means),
        notes=(*found.notes, *(note for one in counted.values() for note in one.notes)),
    )


def _count(task: Task, files: Files, partial: bool, faults: list[DataError]) -> _Counted:
    """Count a task's files; those that cannot be are told to ``faults``."""
    form = form_of(task)
    samples: dict[str, Sample] = {}
    unanswered: dict[str, int] = {}
    for language, pair in files.items():
        try:
            if partial:
                samples[language], missing = form.count_partial(task, language, *pair)
                unanswered |= {language: missing} if missing else {}
            else:
                samples[language] = form.count(task, language, *pair)
        except DataError as fault:
            faults.append(fault)
    notes = tuple(
        f"{task.name}, {language}: {missing:,} of {len(samples[language].counts):,} questions have "
        "no answer and count 0"
        for language, missing in unanswered.items()
    )
    return _Counted(samples, unanswered, notes)


def _joined(faults: list[DataError]) -> DataError:
    """All that is wrong with a submission, a line for each kind of fault with its first places."""
    first = faults[0]
    if len(faults) == 1:
        return first
    places: defaultdict[str, list[str]] = defaultdict(list)
    for fault in faults:
        places[fault.what].append(fault.where or "somewhere")
    kinds = [f"{what}: {_listed('file', where)}" for what, where in places.items()]
    return DataError(
        f"{len(faults)} files cannot be scored; the first is: {first.what}",
        where=first.where,
        got=f"{first.got or 'as said'}\n" + "\n".join(kinds),
        expected=first.expected,
        fix=first.fix,
    )


def _listed(noun: str, names: Sequence[str]) -> str:
    """How many of something, and the first of them.

    Example:
        >>> _listed("file", ["a", "b", "c", "d", "e"])
        '5 files, a, b, c and 2 more'
    """
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    plural = "" if len(names) == 1 else "s"
    return f"{len(names)} {noun}{plural}, {', '.join(names[:_NAMED])}{more}"


def _resample(task: Task, samples: Mapping[str, Sample], resamples: int, seed: int) -> _Resampled:
    points = form_of(task).points
    sums = resample_task(samples, task=task.name, resamples=resamples, seed=seed)
    languages = {
        language: points(sums[language]) for language in task.languages if language in sums
    }
    metrics = over_languages(languages)
    return _Resampled(languages, metrics, task_score(metrics))


def _task_scores(task: Task, resampled: _Resampled, unanswered: Mapping[str, int]) -> TaskScores:
    return TaskScores(
        score=estimate(resampled.score),
        metrics=_estimates(resampled.metrics),
        languages={
            language: _estimates(metrics) for language, metrics in resampled.languages.items()
        },
        missing=tuple(
            language for language in task.languages if language not in resampled.languages
        ),
        unanswered=unanswered,
        signature=Signature(
            task=task.name,
            split=Split.TEST,
            languages=tuple(resampled.languages),
            metric=form_of(task).metric_name(task),
            metric_version=METRIC_VERSION,
            scale="unstated",
            version=__version__,
        ),
    )


def _task_json(task: TaskScores) -> dict[str, Any]:
    return {
        "score": task.score.value,
        "metrics": _values(task.metrics),
        "languages": {language: _values(metrics) for language, metrics in task.languages.items()},
        "missing": list(task.missing),
        "unanswered": dict(task.unanswered),
    }


def _values(estimates: Mapping[str, Estimate]) -> dict[str, float]:
    return {name: value.value for name, value in estimates.items()}


def _estimates(values: Mapping[str, Array]) -> dict[str, Estimate]:
    return {name: estimate(value) for name, value in values.items()}


def _find_files(predictions: Path, labels: Path, tasks: Mapping[str, Task]) -> _Found:
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
            language: form_of(task).file(labels, task, language, Split.TEST)
            for language in predicted
        }
        pairs = {
            language: (path, gold[language])
            for language, path in predicted.items()
            if gold[language].is_file()
        }
        if pairs:
            files[name] = pairs
        lost = [gold[language].name for language in predicted if language not in pairs]
        if lost:
            notes.append(f"{name}: not scored, {labels / name} lacks {_listed('file', lost)}")
        notes += _incomplete(task, pairs, predicted)
    if not files:
        raise DataError(
            "nothing to score",
            where=f"{predictions} and {labels}",
            got="; ".join(notes) or "no task folder",
            expected="files {task}/test-{language}.tsv or .json in both, "
            f"task one of {', '.join(tasks)}",
        )
    return _Found(files, tuple(notes))


def _predicted(folder: Path, task: Task, notes: list[str]) -> dict[str, Path]:
    """The task's prediction files by language, in the task's order."""
    suffix = form_of(task).suffix
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
