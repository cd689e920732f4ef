"""How a study's runs are counted, example by example: by their form, or by their probabilities.

A form counts predictions. Overconfidence is counted from the published log-probabilities in the
same way: a row of numbers for each example whose column sums give the metric, so it is resampled as
every other metric is, together for all rows, seeds, encoders and translations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np

from stilts_artifact.documents import read_document
from stilts_artifact.domain.tasks import Split, Task
from stilts_artifact.forms import form_of
from stilts_artifact.forms.pair import read_gold_labels
from stilts_artifact.forms.probabilities import (
    PROBABILITIES,
    log_probabilities_file,
    parse_log_probabilities,
)
from stilts_artifact.forms.submission import require_same_length
from stilts_artifact.metrics.bootstrap import Sample
from stilts_artifact.metrics.ratios import Array
from stilts_artifact.studies.calibration import (
    Floats,
    Integers,
    confidences,
    fit_temperature,
    scaled,
)

ConfidenceMetric = Literal["overconfidence", "overconfidence-tempered"]
"""Mean confidence less accuracy; the same after each run's probabilities were given the temperature
that suits its own development data in the source language best."""
CONFIDENCE_METRICS: tuple[ConfidenceMetric, ...] = get_args(ConfidenceMetric)

Files = tuple[Path, ...]
"""What is counted of one run in one language, and the same of its labels: what is scored, and
perhaps the development data that a temperature is fitted on."""


class Count(ABC):
    """One way to count a task.

    Attributes:
        made: what of a run is counted, by the name of its folder.
    """

    made: ClassVar[str]

    @abstractmethod
    def files(self, folder: Path, language: str) -> Files:
        """Those of one run."""

    @abstractmethod
    def labels(self, folder: Path, language: str) -> Files:
        """Those of the labels, in the same order."""

    @abstractmethod
    def count(self, language: str, runs: Sequence[Files], labels: Files) -> Sample:
        """Counts [examples, runs x columns] of several runs, each row being one example.

        Raises:
            DataError: files that cannot be scored.
        """

    @abstractmethod
    def points(self, sums: Array) -> Mapping[str, Array]:
        """Metric -> points [...], from column sums [..., columns]."""


class FormCount(Count):
    """Predictions, as their form counts them."""

    made = "predictions"

    def __init__(self, task: Task, split: Split) -> None:
        self._task, self._split = task, split

    def files(self, folder: Path, language: str) -> Files:
        """Its predictions."""
        return (form_of(self._task).file(folder, self._task, language, self._split),)

    def labels(self, folder: Path, language: str) -> Files:
        """Their labels."""
        return self.files(folder, language)

    def count(self, language: str, runs: Sequence[Files], labels: Files) -> Sample:
        """As :meth:`stilts_artifact.forms.base.Form.count_together`."""
        predicted = [path for (path,) in runs]
        return form_of(self._task).count_together(self._task, language, predicted, labels[0])

    def points(self, sums: Array) -> Mapping[str, Array]:
        """The metrics of the form."""
        return form_of(self._task).points(sums)


class ConfidenceCount(Count):
    """Probabilities: (points of confidence less correctness, 1) of each example.

    Args:
        task: classification of pairs, of which every example's label is one line.
        metric: with the temperature, or without.
    """

    made = PROBABILITIES

    def __init__(
        self, task: Task, split: Split, metric: ConfidenceMetric, files: ProbabilityFiles
    ) -> None:
        self._task, self._metric, self._files = task, metric, files
        self._places = [split] if metric == "overconfidence" else [split, Split.DEV]

    def files(self, folder: Path, language: str) -> Files:
        """Its probabilities, and those of development data for a temperature."""
        return tuple(
            log_probabilities_file(folder, self._task.name, own, split)
            for split, own in self._of(language)
        )

    def labels(self, folder: Path, language: str) -> Files:
        """The labels of both."""
        form = form_of(self._task)
        return tuple(form.file(folder, self._task, own, split) for split, own in self._of(language))

    def _of(self, language: str) -> list[tuple[Split, str]]:
        own = (language, self._task.source_language)
        return list(zip(self._places, own, strict=False))

    def count(self, language: str, runs: Sequence[Files], labels: Files) -> Sample:
        """Line by line; line n of every language translates the same example."""
        truth = self._files.gold(labels[0])
        columns: list[Floats] = []
        for path, *development in runs:
            told = self._files.read(path, labels[0])
            for own in development:
                told = scaled(told, self._files.temperature(own, labels[1]))
            columns += [confidences(told, truth).excess, np.ones(len(truth))]
        return Sample(np.stack(columns, axis=1), keys=np.arange(len(truth)))

    def points(self, sums: Array) -> Mapping[str, Array]:
        """Overconfidence."""
        return {self._metric: sums[..., 0] / sums[..., 1]}


class ProbabilityFiles:
    """Published probabilities of one task, and its labels; each file is read once.

    Args:
        read: how a file's bytes are had, where a caller verifies them.
    """

    def __init__(self, task: Task, read: Callable[[Path], bytes] = read_document) -> None:
        self._labels, self._bytes = task.labels, read
        self._gold: dict[Path, Integers] = {}
        self._told: dict[Path, Floats] = {}
        self._temperatures: dict[Path, float] = {}

    def gold(self, path: Path) -> Integers:
        """Numbers of the right labels [examples].

        Raises:
            DataError: as :func:`stilts_artifact.forms.pair.read_gold_labels`.
        """
        if path not in self._gold:
            numbers = {label: number for number, label in enumerate(self._labels)}
            labels = read_gold_labels(path, self._labels)
            self._gold[path] = np.array([numbers[label] for label in labels])
            # After it was read: what was read is what was verified.
            self._bytes(path)
        return self._gold[path]

    def read(self, path: Path, gold: Path) -> Floats:
        """The log-probabilities [examples, labels] of what a label file labels.

        Raises:
            DataError: as :func:`stilts_artifact.forms.probabilities.parse_log_probabilities`; or
                more or fewer examples than labels.
        """
        if path not in self._told:
            told = parse_log_probabilities(self._bytes(path), str(path), self._labels)
            require_same_length(path, len(told), gold, len(self.gold(gold)), header=1)
            self._told[path] = told
        return self._told[path]

    def temperature(self, path: Path, gold: Path) -> float:
        """The temperature of a run, fitted on its probabilities of development data.

        Raises:
            DataError: as :meth:`read`.
        """
        if path not in self._temperatures:
            self._temperatures[path] = fit_temperature(self.read(path, gold), self.gold(gold))
        return self._temperatures[path]
