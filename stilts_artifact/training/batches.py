"""Training rows in memory, and the batches that a step cuts from them, the gradient unchanged.

A task's rows are flat arrays, read out of Arrow without a Python object for each number. The
examples of one optimiser step are cut into as many micro-batches as the memory needs and the
lengths suggest; their losses are weighted so that the sum is the loss of the step as a whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.errors import DataError
from stilts_artifact.model.batching import MULTIPLE, padded
from stilts_artifact.model.forms.base import SECOND
from stilts_artifact.model.heads import IGNORED
from stilts_artifact.model.masking import Vocabulary, mask_tokens

if TYPE_CHECKING:
    import torch
    from datasets import Dataset

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """Rows of unequal length, one after the other.

    Row ``i`` is ``values[offsets[i]:offsets[i + 1]]``.
    """

    values: NDArray[Any]
    offsets: Integers

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Integers:
        """Length of each row."""
        return np.diff(self.offsets)

    def block(
        self, rows: Sequence[int] | Integers, filler: int, multiple: int = MULTIPLE
    ) -> Integers:
        """Some rows as a matrix [rows, padded length of the longest], filled up on the right.

        Example:
            >>> Ragged(np.array([5, 6, 7]), np.array([0, 2, 3])).block([1, 0], filler=1, multiple=4)
            array([[7, 1, 1, 1],
                   [5, 6, 1, 1]])
        """
        starts, ends = self.offsets[rows], self.offsets[np.asarray(rows) + 1]
        width = padded(int((ends - starts).max(initial=0)), multiple)
        made = np.full((len(starts), width), filler, dtype=np.int64)
        for row, start, end in zip(made, starts.tolist(), ends.tolist(), strict=True):
            row[: end - start] = self.values[start:end]
        return made


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What a task is trained on.

    Args:
        inputs: token ids; an example is ``choices`` consecutive rows.
        labels: int64 [examples] or [examples, 2] (spans), :class:`Ragged` for tags, ``None`` for
            plain text.
        choices: 1, but for multiple choice.
        second: int64 [rows], where the second text of each begins, if the encoder is told.
    """

    inputs: Ragged
    labels: Integers | Ragged | None
    choices: int = 1
    second: Integers | None = None

    def __len__(self) -> int:
        return len(self.inputs) // self.choices

    @property
    def lengths(self) -> Integers:
        """Tokens of the longest row of each example."""
        # [examples x choices] -> [examples, choices] -> [examples]
        longest: Integers = self.inputs.lengths.reshape(-1, self.choices).max(axis=1)
        return longest

    @property
    def digest(self) -> str:
        """Sha256 of everything in it."""
        found = hashlib.sha256(str(self.choices).encode())
        arrays = [self.inputs.values, self.inputs.offsets]
        if isinstance(self.labels, Ragged):
            arrays += [self.labels.values, self.labels.offsets]
        elif self.labels is not None:
            arrays.append(self.labels)
        if self.second is not None:
            arrays.append(self.second)
        for array in arrays:
            found.update(np.ascontiguousarray(array, dtype=np.int64).data)
        return found.hexdigest()


def first_rows(rows: Rows, count: int) -> Rows:
    """The first texts of some without labels."""
    offsets = rows.inputs.offsets[: count + 1]
    return Rows(Ragged(rows.inputs.values[: offsets[-1]], offsets), None)


def read_rows(features: Dataset, where: str) -> Rows:
    """Rows of a prepared split; the columns tell the form of the task.

    Args:
        where: names the data in errors.

    Raises:
        DataError: no rows, or examples with unequal numbers of choices.
    """
    table = features.with_format("arrow")[:]
    if table.num_rows == 0:
        raise DataError("nothing to train on", where=where, got="0 rows", expected="at least 1")
    columns = set(table.column_names)
    if "choices" in columns:
        outer = _list(table, "choices")
        counts = np.unique(np.diff(_offsets(outer)))
        if len(counts) != 1:
            raise DataError(
                "unequal numbers of choices",
                where=where,
                got=", ".join(map(str, counts)),
                expected="one",
            )
        # Lists of lists, examples of choices -> the rows of all choices, one after the other.
        inputs, labels = _ragged(outer.flatten()), _integers(table, "label")
        second = None
        if SECOND in columns:
            second = _ragged(_list(table, SECOND)).values.astype(np.int64)
        return Rows(inputs, labels, int(counts[0]), second)
    inputs = _ragged(_list(table, "input_ids"))
    second = _integers(table, SECOND) if SECOND in columns else None
    if "tags" in columns:
        return Rows(inputs, _ragged(_list(table, "tags")))
    if "start" in columns:
        # [examples] and [examples] -> [examples, 2]
        ends = np.stack([_integers(table, "start"), _integers(table, "end")], axis=1)
        return Rows(inputs, ends, second=second)
    return Rows(inputs, _integers(table, "label") if "label" in columns else None, second=second)


def join_rows(parts: Sequence[Rows]) -> Rows:
    """The rows of several texts without labels as one, in order."""
    values = np.concatenate([part.inputs.values for part in parts])
    lengths = np.concatenate([part.inputs.lengths for part in parts])
    return Rows(Ragged(values, np.concatenate([[0], np.cumsum(lengths)])), None)


def _list(table: Any, name: str) -> Any:
    """A list column as one array."""
    return table.column(name).combine_chunks()


def _offsets(array: Any) -> Integers:
    found: Integers = array.offsets.to_numpy().astype(np.int64)
    return found


def _ragged(array: Any) -> Ragged:
    offsets = _offsets(array)
    # Arrow's values ignore a slice: the offsets of a sliced column begin above 0.
    values = array.values.to_numpy(zero_copy_only=False)[offsets[0] : offsets[-1]]
    return Ragged(values, offsets - offsets[0])


def _integers(table: Any, name: str) -> Integers:
    found: Integers = table.column(name).to_numpy().astype(np.int64)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class MicroBatch:
    """What one forward and backward pass reads.

    Args:
        input_ids: int64 [rows, length].
        targets: as the head's ``loss`` takes them.
        chosen: bool [rows, length], where text is masked; ``None`` for other tasks.
        weight: its share of the step: the weighted sum of the batches' mean losses is the mean loss
            of the step.
        second: int64 [rows], where the second text of each begins, if the encoder is told.
    """

    input_ids: torch.Tensor
    targets: torch.Tensor
    chosen: torch.Tensor | None
    weight: float
    second: torch.Tensor | None = None


@dataclass(frozen=True, slots=True)
class Masking:
    """How text is masked: share of tokens, and of which of them."""

    rate: float
    vocabulary: Vocabulary


class Fit(NamedTuple):
    """What a device takes at a time.

    Args:
        tokens: most padded tokens of a batch; an example longer than this is a batch of its own.
        overhead: what a batch costs beside its tokens, as a number of tokens.
        multiple: lengths are padded to a multiple of this.
    """

    tokens: int
    overhead: int
    multiple: int = MULTIPLE


FITS = {"cpu": Fit(4096, overhead=130, multiple=1), "cuda": Fit(16384, overhead=4000)}
"""By device, where memory holds it (:mod:`stilts_artifact.model.memory`). No cut changes the
gradient, but for rounding, where there is no dropout; where there is, another cut draws another
one. Who changes these numbers raises the code version of the two steps that train: weights made
before are then not taken for those made after.

CPU: the mini encoder takes 8 ms for a batch and 0.06 ms for a token, and padding to a multiple
gains nothing there. GPU: launching XLM-R large's kernels takes as long as some thousand tokens.
"""


def cut(lengths: Sequence[int], fit: Fit) -> list[list[int]]:
    """The cheapest batches, from short to long: cutting saves padding, and costs overhead.

    Args:
        lengths: tokens of each example.

    Returns:
        Indices of each batch; every index occurs exactly once.

    Example:
        >>> cut([3, 40, 5, 41], Fit(1000, overhead=10, multiple=1))
        [[0, 2], [1, 3]]
        >>> cut([3, 40, 5, 41], Fit(1000, overhead=100))
        [[0, 2, 1, 3]]
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    # By dynamic programming: costs[end] is the least cost of order[:end], and starts[end] is
    # where the last batch of that cut begins.
    costs, starts = [0], [0]
    for end, index in enumerate(order, start=1):
        width = padded(lengths[index], fit.multiple)
        first = min(end - 1, max(0, end - fit.tokens // width))
        # The batch order[start:end] is as wide as its last example.
        cost, start = min(
            (costs[start] + (end - start) * width + fit.overhead, start)
            for start in range(first, end)
        )
        costs.append(cost)
        starts.append(start)
    batches = []
    end = len(order)
    while end:
        batches.append(order[starts[end] : end])
        end = starts[end]
    return batches[::-1]


def micro_batches(rows: Rows, examples: Integers, fit: Fit, padding: int) -> list[MicroBatch]:
    """Labelled examples, from short to long.

    The loss of a step is the mean over its examples; for tags, over its labelled tokens.

    Args:
        padding: the token that inputs are filled up with.
    """
    made = []
    lengths = rows.lengths[examples].tolist()
    # An example is counted as one row, its longest, but has as many rows as choices.
    tokens, overhead = max(1, fit.tokens // rows.choices), fit.overhead // rows.choices
    groups = [
        examples[group] for group in cut(lengths, fit._replace(tokens=tokens, overhead=overhead))
    ]
    targets = [_targets(rows, group, fit.multiple) for group in groups]
    # Tags: the labelled tokens count; all others: the examples.
    counts = [
        int((target != IGNORED).sum()) if isinstance(rows.labels, Ragged) else len(target)
        for target in targets
    ]
    for group, target, count in zip(groups, targets, counts, strict=True):
        if count:  # a mean over nothing is no number
            # [examples] -> [examples, choices] -> [examples x choices]
            at = (group[:, None] * rows.choices + np.arange(rows.choices)).ravel()
            inputs = _tensor(rows.inputs.block(at, padding, fit.multiple))
            second = None if rows.second is None else _tensor(rows.second[at])
            weight = count / sum(counts)
            made.append(MicroBatch(inputs, _tensor(target), None, weight, second))
    return made


def masked_batches(
    rows: Rows,
    examples: Integers,
    fit: Fit,
    masking: Masking,
    padding: int,
    generator: torch.Generator,
) -> list[MicroBatch]:
    """Text, masked as a whole before it is cut, so that the cut does not change what is hidden.

    The loss of a step is the mean over its hidden tokens.
    """
    masked = mask_tokens(
        _tensor(rows.inputs.block(examples, padding, fit.multiple)),
        rate=masking.rate,
        vocabulary=masking.vocabulary,
        generator=generator,
    )
    lengths = rows.lengths[examples].tolist()
    # The targets are flat, in the order of the whole step: back in place, they can be cut too.
    original = _restore(masked.input_ids, masked.chosen, masked.targets)
    total = len(masked.targets)
    made = []
    for group in cut(lengths, fit):
        width = padded(max(lengths[index] for index in group), fit.multiple)
        # [examples, longest of the step] -> [group, width of the group]
        chosen = masked.chosen[group, :width]
        if count := int(chosen.sum()):
            targets = original[group, :width][chosen]
            made.append(MicroBatch(masked.input_ids[group, :width], targets, chosen, count / total))
    return made


def _restore(seen: torch.Tensor, chosen: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    original = seen.clone()
    original[chosen] = targets
    return original


def _targets(rows: Rows, examples: Integers, multiple: int) -> Integers:
    if isinstance(rows.labels, Ragged):
        return rows.labels.block(examples, IGNORED, multiple)
    if rows.labels is None:
        raise TypeError("text has no labels")
    found: Integers = rows.labels[examples]
    return found


def _tensor(array: Integers) -> torch.Tensor:
    import torch

    return torch.from_numpy(array)
