"""The training rows of a task in memory: flat arrays, out of Arrow without a Python object for each number."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.errors import DataError
from stilts_artifact.model.batching import MULTIPLE, padded

if TYPE_CHECKING:
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
    """

    inputs: Ragged
    labels: Integers | Ragged | None
    choices: int = 1

    def __len__(self) -> int:
        return len(self.inputs) // self.choices

    @property
    def lengths(self) -> Integers:
        """Tokens of the longest row of each example."""
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
        for array in arrays:
            found.update(np.ascontiguousarray(array, dtype=np.int64).data)
        return found.hexdigest()


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
        return Rows(_ragged(outer.flatten()), _integers(table, "label"), int(counts[0]))
    inputs = _ragged(_list(table, "input_ids"))
    if "tags" in columns:
        return Rows(inputs, _ragged(_list(table, "tags")))
    if "start" in columns:
        return Rows(inputs, np.stack([_integers(table, "start"), _integers(table, "end")], axis=1))
    return Rows(inputs, _integers(table, "label") if "label" in columns else None)


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
    values = array.values.to_numpy(zero_copy_only=False)[offsets[0] : offsets[-1]]
    return Ragged(values, offsets - offsets[0])


def _integers(table: Any, name: str) -> Integers:
    found: Integers = table.column(name).to_numpy().astype(np.int64)
    return found
