"""The submission folder reads back what was written, and every fault is named by file and line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stilts_artifact.domain.examples import Answer, SpanExample
from stilts_artifact.errors import ArtifactError, DataError
from stilts_artifact.forms import mining, pair, span, submission, tagging

# Hypothesis reuses the folder; each example overwrites the last.
reuse = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
unicode = st.text(st.characters(codec="utf-8"))
word = st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=5)


@pytest.mark.slow
@reuse
@given(st.lists(word, min_size=1))
def test_labels_read_back(tmp_path: Path, labels: list[str]) -> None:
    assert (
        pair.read_labels(submission.write_lines(tmp_path, "xnli", "de", labels), set(labels))
        == labels
    )


@pytest.mark.slow
@reuse
@given(st.lists(st.lists(word, min_size=1), min_size=1))
def test_tags_read_back(tmp_path: Path, sentences: list[list[str]]) -> None:
    path = tagging.write_tags(tmp_path, "udpos", "de", sentences)
    allowed = {tag for sentence in sentences for tag in sentence}
    assert tagging.sentences_of(tagging.read_tag_lines(path, allowed)) == sentences


@pytest.mark.slow
@reuse
@given(st.sets(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1))
def test_pairs_read_back(tmp_path: Path, numbers: set[tuple[int, int]]) -> None:
    pairs = {(f"de-{one}", f"en-{other}") for one, other in numbers}
    path = mining.write_pairs(tmp_path, "bucc2018", "de", pairs)
    assert mining.read_pairs(path, ("de", "en")) == sorted(pairs)


@reuse
@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_indices_read_back(tmp_path: Path, indices: list[int]) -> None:
    assert (
        submission.read_indices(submission.write_indices(tmp_path, "tatoeba", "de", indices))
        == indices
    )


@pytest.mark.slow
@reuse
@given(st.dictionaries(unicode, unicode, min_size=1))
def test_answers_read_back(tmp_path: Path, answers: dict[str, str]) -> None:
    assert span.read_answers(span.write_answers(tmp_path, "xquad", "th", answers)) == answers


@pytest.mark.slow
@reuse
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0")),
        st.lists(unicode.filter(str.strip), min_size=1),
        min_size=1,
        max_size=20,
    )
)
def test_gold_answers_read_back(tmp_path: Path, gold: dict[str, list[str]]) -> None:
    questions = [
        SpanExample(key, "?", "", tuple(Answer(text, 0) for text in texts))
        for key, texts in gold.items()
    ]
    path = span.write_gold_answers(tmp_path, "xquad", "th", questions)
    assert span.read_gold_answers(path) == {key: tuple(texts) for key, texts in gold.items()}


def test_layout(tmp_path: Path) -> None:
    assert (
        submission.write_lines(tmp_path, "xnli", "de", ["a"]) == tmp_path / "xnli" / "test-de.tsv"
    )
    assert (
        span.write_answers(tmp_path, "mlqa", "zh", {"q": "a"}) == tmp_path / "mlqa" / "test-zh.json"
    )
    assert (
        tagging.write_tags(tmp_path, "udpos", "de", [["A", "B"], ["A"]]).read_bytes()
        == b"A\nB\n\nA\n"
    )
    assert mining.write_pairs(
        tmp_path, "bucc2018", "de", [("b", "1"), ("a", "2"), ("b", "1")]
    ).read_bytes() == (b"a\t2\nb\t1\n")


def test_windows_line_ends_and_a_missing_last_one_are_harmless(tmp_path: Path) -> None:
    path = tmp_path / "test-de.tsv"
    path.write_bytes(b"A\r\nB\r\n\r\nA")
    assert tagging.read_tag_lines(path, "AB") == ["A", "B", "", "A"]


def test_blank_lines_at_the_end_of_a_tag_file_are_no_sentences(tmp_path: Path) -> None:
    path = tmp_path / "test-de.tsv"
    path.write_bytes(b"A\n\n\nB\n\n\n")
    assert tagging.sentences_of(tagging.read_tag_lines(path, "AB")) == [["A"], ["B"]]


def test_gold_answers_may_be_the_bare_list(tmp_path: Path) -> None:
    path = tmp_path / "test-de.json"
    path.write_text(
        json.dumps([{"paragraphs": [{"qas": [{"id": "q", "answers": [{"text": "a"}]}]}]}])
    )
    assert span.read_gold_answers(path) == {"q": ("a",)}


def labels(path: Path) -> object:
    return pair.read_labels(path, ("yes", "no"))


def pairs(path: Path) -> object:
    return mining.read_pairs(path, ("de", "en"))


def tags(path: Path) -> object:
    return tagging.read_tag_lines(path, ("NOUN", "VERB"))


QUESTION = (
    '{"data": [{"paragraphs": [{"qas": [\n'
    '{"id": "q1", "answers": %s},\n{"id": "%s", "answers": %s}]}]}]}'
)
ANSWER = '[{"text": "a"}]'


@pytest.mark.parametrize(
    ("read", "content", "what", "line"),
    [
        (labels, "", "empty file", 1),
        (labels, "\n \n", "empty file", 1),
        (labels, "yes\nmaybe\nno\n", "label outside its set", 2),
        (labels, "yes\n\nno\n", "label outside its set", 2),
        (labels, b"yes\nno\n\xff\n", "not UTF-8", 3),
        (tags, "", "empty file", 1),
        (tags, "NOUN\n\nNUON\n", "label outside its set", 3),
        (tags, "word\tNOUN\n", "label outside its set", 1),
        (pairs, "de-1\ten-1\nde-2\n", "not a pair", 2),
        (pairs, "de-1\ten-1\n\n", "not a pair", 2),
        (pairs, "de-1\ten-1\ten-2\n", "not a pair", 1),
        (pairs, "en-1\tde-1\n", "not a pair", 1),
        (pairs, "de-1\ten-\u0661\n", "not a pair", 1),
        (pairs, "de-1\ten-1\rde-2\ten-2\n", "not a pair", 1),
        (submission.read_indices, "0\n-1\n", "not a line number", 2),
        (submission.read_indices, "0\n1\n1.0\n", "not a line number", 3),
        (submission.read_indices, "0\n" + "9" * 5000 + "\n", "not a line number", 2),
        (submission.read_indices, "0\n\u0663\n", "not a line number", 2),
        (submission.read_indices, "0\n1_0\n", "not a line number", 2),
        (submission.read_indices, "0\n+1\n", "not a line number", 2),
        (submission.read_indices, "0\n01\n", "not a line number", 2),
        (span.read_answers, "", "empty file", 1),
        (span.read_answers, "{}", "no predictions", 1),
        (span.read_answers, "[]", "no predictions", 1),
        (span.read_answers, '{\n"a": "b",\n"c" "d"}', "not valid JSON", 3),
        (span.read_answers, '{\n"a": ' + "9" * 5000 + "}", "not valid JSON", 2),
        (span.read_answers, '{\n"a": "\\ud800"}', "half a UTF-16 pair", 2),
        (span.read_answers, '{\n"a": "b",\n"c": 1}', "not a text", 3),
        (span.read_answers, '{\n"a": "b",\n"c": "d",\n"c": "e"}', "duplicate key", 4),
        (span.read_gold_answers, "", "empty file", 1),
        (span.read_gold_answers, '{"data": []}', "empty file", 1),
        (span.read_gold_answers, '{"version": "1.1"}', "missing field 'data'", 1),
        (span.read_gold_answers, "3", "not a JSON object", 1),
        (span.read_gold_answers, '{"data": {"paragraphs": []}}', "'data' has the wrong type", 1),
        (span.read_gold_answers, QUESTION % (ANSWER, "q2", '["a", 1]'), "not a text", 3),
        (span.read_gold_answers, QUESTION % (ANSWER, "q2", '[{"text": true}]'), "not a text", 3),
        (span.read_gold_answers, QUESTION % (ANSWER, "q2", '[{"text": " "}]'), "blinded", 3),
        (span.read_gold_answers, QUESTION.replace('"%s"', "%s") % (ANSWER, 2, ANSWER), "'id'", 2),
        (span.read_gold_answers, QUESTION % (ANSWER, "q2", "[]"), "without an answer", 3),
        (
            span.read_gold_answers,
            QUESTION % (ANSWER, "q1", ANSWER),
            "two questions with one id",
            3,
        ),
    ],
)
def test_faults_are_named_by_file_and_line(
    tmp_path: Path, read: Callable[[Path], object], content: str | bytes, what: str, line: int
) -> None:
    path = tmp_path / "test-xx"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        read(path)
    assert what in caught.value.what
    assert caught.value.where == f"{path}:{line}"


@pytest.mark.parametrize("line", ["two\nlines", " spaced", "spaced\t"])
def test_lines_that_would_not_read_back_are_not_written(tmp_path: Path, line: str) -> None:
    with pytest.raises(ArtifactError, match="text that a line cannot hold"):
        submission.write_lines(tmp_path, "xnli", "de", ["a", line])
    assert not (tmp_path / "xnli").exists()


@pytest.mark.parametrize("sentence", [[], ["A", ""]])
def test_empty_sentences_and_tags_are_not_written(tmp_path: Path, sentence: list[str]) -> None:
    with pytest.raises(ArtifactError, match="an empty sentence or tag"):
        tagging.write_tags(tmp_path, "udpos", "de", [["A"], sentence])
