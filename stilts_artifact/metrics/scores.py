"""Score a submission folder: every task and language, XTREME's averages, each with its sampling error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from stilts_artifact import __version__
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Benchmark, Split, Task, TaskForm
from stilts_artifact.metrics.averages import TASKS, over_groups, over_languages, overall, task_score
from stilts_artifact.metrics.bootstrap import (
    RESAMPLES,
    SEED,
    Estimate,
    Sample,
    estimate,
    resample_task,
)
from stilts_artifact.metrics.counting import count_files
from stilts_artifact.metrics.finding import find_files
from stilts_artifact.metrics.metrics import (
    Array,
    Points,
    accuracy,
    exact_match_f1,
    precision_recall_f1,
)

METRIC_VERSION = "xtreme-838c13b"
"""The definition behind every score here: evaluate.py of google-research/xtreme at this commit."""

METRICS: Mapping[TaskForm, tuple[str, Points]] = {
    TaskForm.PAIR: ("accuracy", accuracy),
    TaskForm.TAGGING: ("chunk-f1", precision_recall_f1),
    TaskForm.MINING: ("pair-f1", precision_recall_f1),
    TaskForm.SEARCH: ("accuracy", accuracy),
    TaskForm.SPAN: ("squad-em-f1", exact_match_f1),
}
"""Kind of task -> name of its metric, and its points from sums."""


def metric_name(task: Task) -> str:
    """Name of a task's metric, as signatures have it: MLQA has its own normalisation of answers."""
    return "mlqa-em-f1" if task.name == "mlqa" else METRICS[task.form][0]


@dataclass(frozen=True, slots=True)
class TaskScores:
    """One task.

    Args:
        score: the task's one number, the mean over ``languages``.
        metrics: metric -> mean over ``languages``.
        languages: language -> metric -> its value.
        missing: languages of the task that were not scored.
        signature: what the numbers mean.
    """

    score: Estimate
    metrics: Mapping[str, Estimate]
    languages: Mapping[str, Mapping[str, Estimate]]
    missing: tuple[str, ...]
    signature: Signature


class ScoreRow(NamedTuple):
    """One line of a score table; ``language`` is ``None`` for an average, ``task`` also names groups and overall."""

    task: str
    language: str | None
    metric: str
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Scores:
    """A scored submission, in points.

    Args:
        tasks: in XTREME's order, those that were found.
        groups: those whose tasks are all there.
        overall: mean over the nine tasks, ``None`` unless all are there.
        notes: what was left out and why; a score without them could be taken for more than it is.
    """

    tasks: Mapping[str, TaskScores]
    groups: Mapping[str, Estimate]
    overall: Estimate | None
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """``{"tasks": {task: {"score", "metrics", "languages"}}, "groups": {...}, "overall": number or None}``."""
        return {
            "tasks": {name: _task_json(task) for name, task in self.tasks.items()},
            "groups": _values(self.groups),
            "overall": None if self.overall is None else self.overall.value,
        }

    def rows(self) -> Iterator[ScoreRow]:
        """Every number: languages of a task, its averages and score, then groups and overall."""
        for name, task in self.tasks.items():
            for language, metrics in task.languages.items():
                yield from (
                    ScoreRow(name, language, metric, value) for metric, value in metrics.items()
                )
            yield from (
                ScoreRow(name, None, metric, value) for metric, value in task.metrics.items()
            )
            yield ScoreRow(name, None, "score", task.score)
        yield from (ScoreRow(group, None, "score", value) for group, value in self.groups.items())
        if self.overall is not None:
            yield ScoreRow("overall", None, "score", self.overall)


class _Resampled(NamedTuple):
    """A task's numbers as arrays [1 + resamples]: the score, then what it would be on each resample."""

    languages: Mapping[str, Mapping[str, Array]]
    metrics: Mapping[str, Array]
    score: Array


def score_folders(
    predictions: Path,
    labels: Path,
    *,
    benchmark: Benchmark,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Scores:
    """Score ``{predictions}/{task}/test-{language}.*`` against the same files under ``labels``.

    Both folders may be partial: what either lacks is left out, and named in :attr:`Scores.notes`.

    Args:
        benchmark: whose tasks, languages and label sets apply.
        resamples, seed: of the bootstrap.

    Raises:
        DataError: nothing to score; an unknown language; or a file that cannot be vouched for, with
            its line.
        MissingDataError: a folder that is not there.
    """
    tasks = {name: benchmark.tasks[name] for name in TASKS}
    found = find_files(predictions, labels, tasks)
    resampled: dict[str, _Resampled] = {}
    notes = list(found.notes)
    for name, files in found.files.items():
        samples = {
            language: count_files(tasks[name], language, *pair) for language, pair in files.items()
        }
        resampled[name] = _resample(tasks[name], samples, resamples, seed)
    scores = {name: task.score for name, task in resampled.items()}
    mean = overall(scores)
    return Scores(
        tasks={name: _task_scores(tasks[name], task) for name, task in resampled.items()},
        groups=_estimates(over_groups(scores)),
        overall=None if mean is None else estimate(mean),
        notes=tuple(notes),
    )


def _resample(task: Task, samples: Mapping[str, Sample], resamples: int, seed: int) -> _Resampled:
    _, points = METRICS[task.form]
    sums = resample_task(samples, task=task.name, resamples=resamples, seed=seed)
    languages = {
        language: points(sums[language]) for language in task.languages if language in sums
    }
    metrics = over_languages(languages)
    return _Resampled(languages, metrics, task_score(metrics))


def _task_scores(task: Task, resampled: _Resampled) -> TaskScores:
    return TaskScores(
        score=estimate(resampled.score),
        metrics=_estimates(resampled.metrics),
        languages={
            language: _estimates(metrics) for language, metrics in resampled.languages.items()
        },
        missing=tuple(
            language for language in task.languages if language not in resampled.languages
        ),
        signature=Signature(
            task=task.name,
            split=Split.TEST,
            languages=tuple(resampled.languages),
            metric=metric_name(task),
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
    }


def _values(estimates: Mapping[str, Estimate]) -> dict[str, float]:
    return {name: value.value for name, value in estimates.items()}


def _estimates(values: Mapping[str, Array]) -> dict[str, Estimate]:
    return {name: estimate(value) for name, value in values.items()}
