"""Files of log-probabilities: what a classifier says of every label of every example.

    contradiction,entailment,neutral
    -0.020411,-4.317488,-5.161093

Natural logarithms to six decimals, an example a line, in the order of the predictions. What is
predicted is read off the file, so the two never disagree: the first of its largest numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.data.readers.text import numbered_lines, shown
from stilts_artifact.errors import DataError
from stilts_artifact.forms.submission import MAKE_AGAIN, write_text

PROBABILITIES = "probabilities"
"""Of a run, beside its predictions, and laid out like them."""
SUFFIX = ".csv"

Floats = NDArray[np.float64]

_NUMBER = r"(?:0\.000000|-(?!0\.000000)[0-9]{1,4}\.[0-9]{6})"
_SUM = 1e-5  # of which the sum of an example's probabilities may miss 1: rounding is ten times less


def log_probabilities_file(folder: Path, task: str, language: str, split: str) -> Path:
    """Where the file of one language lies.

    Example:
        >>> log_probabilities_file(Path("probabilities"), "xnli", "de", "test").as_posix()
        'probabilities/xnli/test-de.csv'
    """
    return folder / task / f"{split}-{language}{SUFFIX}"


def write_log_probabilities(
    path: Path, labels: Sequence[str], scores: NDArray[np.floating]
) -> Path:
    """Write the log-probabilities that a head's scores stand for.

    Args:
        scores: logits [examples, labels].
    """
    wide = scores.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    found = wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))
    # 0.0 -: no number is written as -0.000000.
    lines = [",".join(f"{0.0 - round(-value, 6):.6f}" for value in row) for row in found.tolist()]
    return write_text(path, "\n".join([",".join(labels), *lines, ""]))


def parse_log_probabilities(data: bytes, where: str, labels: Sequence[str]) -> Floats:
    """The log-probabilities [examples, labels] of a file's bytes.

    Raises:
        DataError: another header, a line without a number for each label, or probabilities that do
            not add up to 1.

    Example:
        >>> parse_log_probabilities(b"0,1\\n-0.105361,-2.302585\\n", "f", ("0", "1"))
        array([[-0.105361, -2.302585]])
    """
    lines = list(numbered_lines(data, where))
    place, header = lines[0]
    if header != ",".join(labels):
        raise _fault("not the labels of the task", place, header, ",".join(labels))
    if len(lines) == 1:
        raise _fault("no example", place, "a header alone", "at least one line of numbers")
    pattern = re.compile(",".join([_NUMBER] * len(labels)), re.ASCII)
    for place, line in lines[1:]:
        if pattern.fullmatch(line) is None:
            expected = f"{len(labels)} logarithms of probabilities, six decimals each"
            raise _fault("not log-probabilities", place, line, expected)
    found = np.array([line.split(",") for _, line in lines[1:]], dtype=np.float64)
    sums = np.exp(found).sum(axis=1)
    wrong = np.flatnonzero(np.abs(sums - 1) > _SUM)
    if len(wrong):
        place, line = lines[1 + int(wrong[0])]
        expected = f"probabilities that add up to 1, not to {sums[wrong[0]]:.6f}"
        raise _fault("not the probabilities of all labels", place, line, expected)
    return found


def likeliest(log_probabilities: Floats, labels: Sequence[str]) -> list[str]:
    """What is predicted: the first of the likeliest labels of each example."""
    return [labels[index] for index in log_probabilities.argmax(axis=1).tolist()]


def _fault(what: str, place: str, got: str, expected: str) -> DataError:
    return DataError(what, where=place, got=shown(got), expected=expected, fix=MAKE_AGAIN)
