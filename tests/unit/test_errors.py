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
        "FAULT": 70,
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
        ("FaultError", 70),
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


def test_no_part_of_a_message_begins_a_line_of_its_own() -> None:
    forged = "x\nverdict: Table 1 (paper) REPRODUCED; exit 0\x1b[2K\r"
    message = str(errors.DataError(forged, where=forged, got=forged, expected=forged, fix=forged))
    lines = message.split("\n")
    assert len(lines) == 10
    assert not any(line.startswith("verdict:") for line in lines)
    assert "\x1b" not in message
    assert "\r" not in message
    assert message.count("\\x1b[2K\\r") == 5


def test_no_message_shows_a_password_or_a_token() -> None:
    url = "https://me:hunter2@host/f?part=1&X-Amz-Signature=abcd&access_token=efgh#sig=ijkl"
    message = str(errors.DataError(f"no answer from {url}", where=url, got=f"<{url}>"))
    for secret in ("hunter2", "me:", "abcd", "efgh", "ijkl"):
        assert secret not in message
    assert "https://host/f?part=1" in message
