"""Which upstream bytes a cell rests on: what it is evaluated on, and what its model was trained on.

Steps are built from it, and results are held against it: a cell is only as good as the sources that
were verified for it.
"""

from __future__ import annotations

from stilts_artifact.benchmark.experiments import Experiment, Row, selection_task
from stilts_artifact.domain.tasks import Benchmark, Part, Split, Task
from stilts_artifact.forms import form_of


def evaluation_parts(task: Task, experiment: Experiment, language: str) -> list[Part]:
    """What a language's score reads; thresholds for test data are tuned on development data."""
    split = experiment.scored_split(task)
    splits = {split, Split.DEV} if form_of(task).tuned_on_development else {split}
    return [
        part
        for (own, code), parts in task.parts.items()
        if own in splits and code == language
        for part in parts
    ]


def training_parts(row: Row, task: Task, benchmark: Benchmark) -> list[Part]:
    """Everything upstream that a row's model of a target is trained and chosen on."""
    source_language = benchmark.source_language
    parts: list[Part] = []
    if form_of(task).is_trained:
        parts += task.parts[Split.TRAIN, source_language]
        selection = selection_task(task, benchmark)
        if selection is not None:
            parts += benchmark.tasks[selection].parts[Split.DEV, source_language]
    for name in row.tasks:
        own = benchmark.tasks[name].parts
        # The labels of translated training data are those of the original.
        parts += [
            *own[Split.TRAIN, row.language],
            *own.get((Split.DEV, source_language), ()),
            *label_parts(benchmark.tasks[name], benchmark),
        ]
    if row.text is not None:
        text = benchmark.texts[row.text]
        parts += text.of(text.parts)
    if row.matched is not None:
        parts += benchmark.tasks[row.matched].parts[Split.TRAIN, source_language]
    return parts


def label_parts(task: Task, benchmark: Benchmark) -> tuple[Part, ...]:
    """What the labels of a task are taken from, if they are no closed set."""
    if not form_of(task).has_open_labels(task):
        return ()
    return task.parts[Split.TRAIN, benchmark.source_language]
