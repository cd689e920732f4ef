"""What every form of task says of itself: how its data are read, counted, written and scored."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np

from stilts_artifact.data.readers import READERS
from stilts_artifact.documents import read_document
from stilts_artifact.domain.tasks import Part, Split, Task, TaskForm
from stilts_artifact.errors import ConfigError, DataError, IntegrityError
from stilts_artifact.forms.submission import Suffix, file_of
from stilts_artifact.metrics.bootstrap import Sample
from stilts_artifact.metrics.ratios import Array

if TYPE_CHECKING:
    from stilts_artifact.data.library import Library

Data = TypeVar("Data")
Predictions = TypeVar("Predictions", contravariant=True)

Sums = tuple[float, ...]
"""Column sums of a task's counts (:mod:`stilts_artifact.metrics.ratios`): (right, examples)."""
FastCount = Callable[[bytes], Sums | None]
"""The sums of a prediction file's bytes; ``None`` where :meth:`Form.count` must decide."""


class PartRead(NamedTuple):
    """The examples of one part of a split, and the names of the files they came from."""

    examples: list[Any]
    where: str


@dataclass(frozen=True, slots=True)
class Gold:
    """A label file, parsed once and ready to score many prediction files.

    Every metric is counted in two ways. :meth:`Form.count` reads both files line by line and says
    what is wrong with them; ``fast`` goes over the bytes of a prediction file once. The fast way
    accepts only what is plainly as it should be and leaves the rest to the careful way, so that one
    set of rules decides what is refused. The second implementation is there for the time of
    ``check``: all cells of a mini Table 2 take 0.6 s, and two to three times as long without
    it (benchmarks/checking.py).

    Args:
        examples: sentences, questions, gold pairs or lines in it.
        fast: the sums of a prediction file's bytes, if it is plain.
        careful: the counts of a prediction file by its path.
    """

    examples: int
    fast: FastCount
    careful: Callable[[Path], Sample]

    def tally(self, predicted: Path, data: bytes) -> Sums:
        """Sums of a prediction file whose bytes are ``data``.

        Raises:
            DataError: the file cannot be read as its task's form, or does not fit the labels.
            IntegrityError: it was changed meanwhile.
        """
        sums = self.fast(data)
        if sums is None:
            counts = self.careful(predicted).counts
            # The careful way has opened the file anew; what was verified are these bytes.
            if read_document(predicted) != data:
                raise IntegrityError(
                    "a file changed while it was scored", where=str(predicted), fix="check again"
                )
            # fsum, so that the order of the examples has no influence.
            sums = tuple(math.fsum(column) for column in counts.T)
        return sums


class Form(ABC, Generic[Data, Predictions]):
    """A form of task, without what is learnt: the light half.

    The heavy half of a trained form (features, head, decoding) stands in
    :mod:`stilts_artifact.model.forms` under the same :class:`TaskForm`; the two retrieval forms
    train nothing, and :mod:`stilts_artifact.retrieval` answers them.

    ``Data`` is what a split of the task is in memory, ``Predictions`` what a model says of it.

    Attributes:
        form: its name.
        is_trained: whether phase (iii) trains a head; else the encoder is evaluated as it is.
        takes_all: whether a scale's cap on evaluated examples does not hold: a search among fewer
            is an easier one than upstream's.
        tuned_on_development: whether scoring a test split also reads development data.
        suffix: of its prediction and label files.
        metric: name of its metric in signatures.
        score_label: what the task's one number is, as a heading says it.
        regression_tolerance: points that a mean over languages may differ by when a recorded run
            is repeated on another machine. On one machine a run is repeated bit by bit; on another
            the last bits of the arithmetic differ, training takes a slightly different course, and
            some test items fall the other way. With torch's own kernels at half the width
            (benchmarks/arithmetic.py; matrix products as they were) no mean of Table 2 moved by
            more than 0.31, no language by more than 1.7. The tolerances leave room for products
            that differ too, and for processors that were not tried.
    """

    form: ClassVar[TaskForm]
    is_trained: ClassVar[bool] = True
    takes_all: ClassVar[bool] = False
    tuned_on_development: ClassVar[bool] = False
    suffix: ClassVar[Suffix] = ".tsv"
    metric: ClassVar[str]
    score_label: ClassVar[str]
    regression_tolerance: ClassVar[float]

    def read(self, task: Task, split: Split, language: str, library: Library) -> Data:
        """All data of one split in one language, in the order of its files.

        Raises:
            ConfigError: the task has no such split.
            DataError: a file that breaks its format, sides of unequal length, gold ids that no
                sentence has, or no example at all; ``MissingDataError`` where a source is not on
                this machine.
            IntegrityError: a file whose bytes are not those it is pinned to.
        """
        parts = task.parts.get((split, language))
        if parts is None:
            expected = ", ".join(task.languages_of(split)) or "no language"
            raise ConfigError(
                f"{task.name} has no {split} split in {language}", got=language, expected=expected
            )
        library.prefetch(parts)
        data = self.join([_read_part(part, library) for part in parts])
        if self.size(data) == 0:
            where = ", ".join(part.source for part in parts)
            what = f"{task.name} has an empty {split} split in {language}"
            raise DataError(what, where=where, got="0 examples", expected="at least 1")
        return data

    @abstractmethod
    def join(self, parts: Sequence[PartRead]) -> Data:
        """The parts of a split as one."""

    @abstractmethod
    def size(self, data: Data) -> int:
        """Size of a split as tables count it."""

    def first(self, data: Data, rows: int | None) -> Data:
        """As much of evaluation data as a scale takes, where nothing is trained: by default all.

        Args:
            rows: most examples; ``None`` for all.
        """
        return data

    @abstractmethod
    def texts(self, data: Data) -> Iterator[str]:
        """All running text of a split."""

    def has_open_labels(self, task: Task) -> bool:
        """Whether the labels are only known from the training data."""
        return False

    def labels_in(self, data: Data) -> tuple[str, ...]:
        """The labels that occur, sorted; none where :meth:`has_open_labels` is never true."""
        return ()

    def file(self, folder: Path, task: Task, language: str, split: str) -> Path:
        """Where a prediction or label file lies under ``folder``."""
        return file_of(folder, task.name, language, self.suffix, split)

    @abstractmethod
    def write_gold(self, folder: Path, task: Task, language: str, split: str, data: Data) -> Path:
        """Write the label file of one language.

        Raises:
            DataError: data that the file format cannot hold.
        """

    @abstractmethod
    def write_predictions(
        self, folder: Path, task: Task, language: str, split: str, predictions: Predictions
    ) -> Path:
        """Write the prediction file of one language.

        Raises:
            DataError: predictions that the file format cannot hold.
        """

    @abstractmethod
    def count(self, task: Task, language: str, predicted: Path, gold: Path) -> Sample:
        """Count one language of one task: the two files must describe the same examples.

        XTREME's own script accepts some of what is refused here (a question without a prediction
        scores 0, see :meth:`count_partial`; a swapped pair is merely wrong); on files that are
        accepted the numbers are the same.

        Raises:
            DataError: a file that cannot be read as its task's form, or two files that do not fit
                each other.
        """

    def count_partial(
        self, task: Task, language: str, predicted: Path, gold: Path
    ) -> tuple[Sample, int]:
        """As :meth:`count`, but an answer may be missing where the rest still tells its examples.

        Of a file of lines nothing tells which line is missing.

        Returns:
            The counts, a missing answer's being 0 as in XTREME's own script; and how many there
            are.

        Raises:
            DataError: as :meth:`count`.
        """
        return self.count(task, language, predicted, gold), 0

    def count_together(
        self, task: Task, language: str, predicted: Sequence[Path], gold: Path
    ) -> Sample:
        """Count several runs of one language of one task, each row of counts being one example.

        Returns:
            Counts [examples, runs x columns], the runs side by side, in their order.

        Raises:
            DataError: as :meth:`count`.
        """
        samples = [self.count(task, language, path, gold) for path in predicted]
        counts = np.concatenate([sample.counts for sample in samples], axis=1)
        return Sample(counts, samples[0].keys)

    @abstractmethod
    def parse_gold(self, task: Task, language: str, path: Path) -> tuple[int, FastCount]:
        """Number of examples in a label file, and how a prediction file is scored against it.

        Raises:
            DataError: it is not of its task's form, or blinded.
        """

    def read_gold(self, task: Task, language: str, path: Path) -> Gold:
        """Parse a label file; see :class:`Gold`.

        Raises:
            DataError: as :meth:`parse_gold`.
        """
        examples, fast = self.parse_gold(task, language, path)
        return Gold(examples, fast, partial(self.count, task, language, gold=path))

    @abstractmethod
    def points(self, sums: Array) -> Mapping[str, Array]:
        """Metric name -> points [...], from column sums [..., columns]."""

    def metric_name(self, task: Task) -> str:
        """Name of a task's metric, as signatures have it."""
        return self.metric

    def columns(self, task: Task) -> dict[str, str]:
        """Columns that a target has in a table of scores, and the metric that each shows.

        ``"score"`` is the task's one number.
        """
        return {task.name: "score"}


def concatenate(parts: Sequence[PartRead]) -> list[Any]:
    """The examples of all parts, in order."""
    return [example for part in parts for example in part.examples]


def _read_part(part: Part, library: Library) -> PartRead:
    documents = library.documents(part)
    read = READERS[part.reader]
    options = dict(part.options)
    examples = [
        example
        for document in documents
        for example in read(document.data, document.where, **options)
    ]
    return PartRead(examples, ", ".join(document.where for document in documents))
