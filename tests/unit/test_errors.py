"""Exit codes are a promise to scripts."""

from __future__ import annotations

import pytest

from stilts_artifact import errors
from stilts_artifact.errors import ArtifactError, DataError, ExitCode, unknown_name


def test_exit_codes_are_those_of_the_readme() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "REPRODUCED": 0,
        "NOT_REPRODUCED": 1,
        "USAGE": 2,
        "DATA": 3,
        "INTEGRITY": 4,
        "RESOURCE": 5,
        "INCOMPLETE": 6,
        "INTERRUPTED": 130,
    }


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ConfigError", 2),
        ("DataError", 3),
        ("MissingDataError", 3),
        ("IntegrityError", 4),
        ("ResourceError", 5),
    ],
)
def test_each_class_has_its_exit_code(name: str, code: int) -> None:
    assert getattr(errors, name).exit_code == code


def test_a_message_names_everything_given() -> None:
    error = errors.DataError("what", where="f:1", got="a", expected="b", fix="do")
    assert str(error).splitlines() == [
        "what",
        "  where:    f:1",
        "  got:      a",
        "  expected: b",
        "  fix:      do",
    ]
    assert isinstance(error, ArtifactError)


def test_an_unknown_name_far_from_all_others_gets_no_suggestion() -> None:
    assert "did you mean" not in str(unknown_name("task", "zzzzzz", ["xnli", "mnli"]))
    assert "did you mean 'xnli'" in str(unknown_name("task", "xnlli", ["xnli", "pawsx"]))


def test_a_line_of_any_length_makes_no_message_of_that_length() -> None:
    text = str(DataError("not a number " + "9" * 5000, where="f:1", got="x" * 10**6))
    assert len(text) < 5000
    assert "(1,000,000 characters)" in text
    assert "where:    f:1" in text
