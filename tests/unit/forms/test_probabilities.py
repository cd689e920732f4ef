"""Files of log-probabilities: written, read, refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stilts_artifact.errors import DataError
from stilts_artifact.forms.probabilities import (
    likeliest,
    log_probabilities_file,
    parse_log_probabilities,
    write_log_probabilities,
)

NLI = ("contradiction", "entailment", "neutral")
HEADER = ",".join(NLI) + "\n"
GOOD = "-1.098612,-1.098612,-1.098613\n"


@pytest.mark.slow
@given(arrays(np.float32, (4, 3), elements=st.floats(-60, 60, width=32)))
def test_a_file_is_read_as_it_was_meant(
    tmp_path_factory: pytest.TempPathFactory, scores: np.ndarray
) -> None:
    """To half a millionth; and what it says is predicted is within that of the best score."""
    path = log_probabilities_file(tmp_path_factory.mktemp("made"), "xnli", "de", "test")
    write_log_probabilities(path, NLI, scores)
    found = parse_log_probabilities(path.read_bytes(), str(path), NLI)
    wide = scores.astype(np.float64)
    due = wide - np.logaddexp.reduce(wide, axis=1, keepdims=True)
    assert np.abs(found - due).max() <= 0.6e-6
    chosen = [NLI.index(label) for label in likeliest(found, NLI)]
    rows = np.arange(len(chosen))
    assert (due.max(axis=1) - due[rows, chosen] <= 1.2e-6).all()
    again = write_log_probabilities(path.with_name("again.csv"), NLI, found)
    assert np.abs(parse_log_probabilities(again.read_bytes(), "again", NLI) - found).max() <= 2e-6


def test_of_equal_labels_the_first_is_predicted(tmp_path: Path) -> None:
    scores = np.array([[1.0, 2.0, 2.0], [200.0, 0.0, 0.0]])
    path = write_log_probabilities(tmp_path / "f.csv", NLI, scores)
    assert path.read_text() == (
        f"{HEADER}-1.861995,-0.861995,-0.861995\n0.000000,-200.000000,-200.000000\n"
    )
    found = parse_log_probabilities(path.read_bytes(), "f", NLI)
    assert likeliest(found, NLI) == ["entailment", "contradiction"]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("entailment,contradiction,neutral\n" + GOOD, 1, "not the labels of the task"),
        (HEADER, 1, "no example"),
        (HEADER + GOOD + "-1.098612,-1.098612\n", 3, "not log-probabilities"),
        (HEADER + "-1.098612,-1.098612,nan\n", 2, "not log-probabilities"),
        (HEADER + "-1.098612,-1.098612,-inf\n", 2, "not log-probabilities"),
        (HEADER + "-1.098612,-1.098612,-1.0986\n", 2, "not log-probabilities"),
        (HEADER + "-0.000000,-30.000000,-30.000000\n", 2, "not log-probabilities"),
        (HEADER + "0.405465,-1.098612,-1.098612\n", 2, "not log-probabilities"),
        (HEADER + GOOD + "-1.000000,-1.098612,-1.098612\n", 3, "not the probabilities of all"),
        (HEADER + GOOD + "\n", 3, "not log-probabilities"),
    ],
)
def test_what_is_no_probability_is_refused_at_its_line(text: str, line: int, what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        parse_log_probabilities(text.encode(), "f.csv", NLI)
    assert caught.value.where == f"f.csv:{line}"
