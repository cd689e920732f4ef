"""Predictions of which some examples are spoiled, so that what they lose is known.

With a share q of the examples spoiled, a metric's column sums are expected to be ``(1 - q) kept +
q spoiled``, each counted over all examples. For tags that become none that is ``F1(q) = 2 K (1 - q)
/ (P (1 - q) + G)``, with K correct, P predicted and G gold chunks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.domain.tasks import Task, TaskForm
from stilts_artifact.studies.confidence import CONFIDENCE_METRICS
from stilts_artifact.studies.protocol import Metric


@dataclass(frozen=True, slots=True)
class Spoilable:
    """The text of a file, example by example.

    Args:
        header: before the first example.
        between: what stands between two.
        kept: examples as they are.
        spoiled: the same, spoiled.
    """

    header: str
    between: str
    kept: Sequence[str]
    spoiled: Sequence[str]

    def text(self, chosen: NDArray[np.bool_]) -> str:
        """The file with some examples [examples] spoiled."""
        pairs = zip(self.kept, self.spoiled, chosen.tolist(), strict=True)
        items = [other if is_chosen else own for own, other, is_chosen in pairs]
        return f"{self.header}{self.between.join(items)}\n"

    def whole(self, *, spoiled: bool) -> str:
        """The file with all of them spoiled, or none."""
        return self.text(np.full(len(self.kept), spoiled))

    def drawn(self, share: float, chance: np.random.Generator) -> str:
        """The file with a share of its examples spoiled; which ones, chance decides.

        The number is the share's, rounded up or down so that it is right on average.
        """
        chosen = np.zeros(len(self.kept), dtype=bool)
        number = math.floor(share * len(chosen) + chance.random())
        chosen[chance.permutation(len(chosen))[:number]] = True
        return self.text(chosen)


def spoilable(task: Task, metric: Metric, made: str, gold: str) -> Spoilable:
    """What can be spoiled of a run, so that a metric changes.

    Of tags nothing is left, or of tags of every word one that the sentence should not have; labels
    are wrong ones; no translation is first of its rank, either way and in any variant; and of
    probabilities all goes to what is predicted anyway, which is overconfident.

    Args:
        made: text of the file of predictions, or of probabilities if the metric is of these.
        gold: text of the label file.

    Raises:
        ValueError: a form that no study has.
    """
    if metric in CONFIDENCE_METRICS:
        header, *lines = made.splitlines()
        return Spoilable(f"{header}\n", "\n", lines, [_certain(line) for line in lines])
    if task.form is TaskForm.TAGGING:
        sentences, truth = (text.strip("\n").split("\n\n") for text in (made, gold))
        return Spoilable("", "\n\n", sentences, [_untagged(task, one) for one in truth])
    lines = made.splitlines()
    if task.form is TaskForm.ALIGNMENT:
        second = ["\t".join("2" for _ in line.split("\t")) for line in lines]
        return Spoilable("", "\n", lines, second)
    if task.form is TaskForm.PAIR:
        wrong = [_other(task, right) for right in gold.splitlines()]
        return Spoilable("", "\n", lines, wrong)
    raise ValueError(f"no way to spoil predictions of the form {task.form}")


def _untagged(task: Task, gold: str) -> str:
    tags = gold.split("\n")
    tag = "O" if "O" in task.labels else next(one for one in task.labels if one not in tags)
    return "\n".join(tag for _ in tags)


def _other(task: Task, right: str) -> str:
    return next(label for label in task.labels if label != right)


def _certain(line: str) -> str:
    numbers = [float(cell) for cell in line.split(",")]
    first = numbers.index(max(numbers))
    cells = ("0.000000" if place == first else "-20.000000" for place in range(len(numbers)))
    return ",".join(cells)
