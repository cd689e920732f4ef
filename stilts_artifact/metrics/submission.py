"""XTREME's submission folder, ``{task}/test-{language}.{tsv|json}``, read and written.

Predictions and labels share one layout. Classification: one label a line. Tagging: one tag a line,
a blank line between sentences. BUCC: ``source<TAB>target`` ids. Tatoeba: one line number a line.
Question answering: predictions map question ids to texts, labels are SQuAD v1.1 json. Source:
XTREME evaluate.py:31-60 and 222-235 at 838c13b.

Every reader refuses what it cannot vouch for, naming file and line: a score of misread files looks
like a bad model.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from stilts_artifact.documents import read_document
from stilts_artifact.domain.examples import SpanExample
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import DataError

Pair = tuple[str, str]
Suffix = Literal[".tsv", ".json"]


def suffix_of(kind: TaskForm) -> Suffix:
    """``.json`` for question answering, ``.tsv`` for all else."""
    return ".json" if kind is TaskForm.SPAN else ".tsv"


def file_of(folder: Path, task: str, language: str, suffix: Suffix, split: str = "test") -> Path:
    """Where a task's file for one language lies.

    Example:
        >>> file_of(Path("predictions"), "mlqa", "de", ".json").as_posix()
        'predictions/mlqa/test-de.json'
    """
    return folder / task / f"{split}-{language}{suffix}"


def read_lines(path: Path) -> list[str]:
    """Stripped lines of a file, at least one.

    Raises:
        DataError: an empty file, or bytes that are not UTF-8.
    """
    # Not str.splitlines: it also splits at characters such as U+2028, which a label file may not
    # hold anyway.
    lines = [line.strip() for line in _text(path).split("\n")]
    if lines[-1] == "":
        lines.pop()
    return lines


def read_labels(path: Path, allowed: Collection[str]) -> list[str]:
    """One label a line, each from ``allowed``."""
    lines = read_lines(path)
    _require_labels(path, lines, allowed)
    return lines


def read_tag_lines(path: Path, allowed: Collection[str]) -> list[str]:
    """One tag from ``allowed`` a line, ``""`` between sentences and none at the end; indices stay those of the file."""
    lines = read_lines(path)
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise _empty(path)
    _require_labels(path, lines, {*allowed, ""})
    return lines


def sentences_of(lines: Sequence[str]) -> list[list[str]]:
    """Group tag lines into sentences.

    Example:
        >>> sentences_of(["DET", "NOUN", "", "VERB"])
        [['DET', 'NOUN'], ['VERB']]
    """
    breaks = [-1, *(index for index, line in enumerate(lines) if not line), len(lines)]
    return [list(lines[start + 1 : end]) for start, end in pairwise(breaks) if end - start > 1]


def read_pairs(path: Path) -> list[Pair]:
    """Two ids a line with a tab between them."""
    pairs: list[Pair] = []
    for number, line in enumerate(read_lines(path), 1):
        source, tab, target = line.partition("\t")
        if not (source and tab and target) or "\t" in target:
            raise DataError(
                "not a pair of ids",
                where=f"{path}:{number}",
                got=repr(line),
                expected="source<TAB>target",
            )
        pairs.append((source, target))
    return pairs


def read_predicted_pairs(path: Path) -> list[Pair]:
    """The same of predictions, which may be an empty file: no pair was good enough."""
    return read_pairs(path) if path.stat().st_size else []


def read_indices(path: Path) -> list[int]:
    """One 0-based line number a line."""
    lines = read_lines(path)
    for number, line in enumerate(lines, 1):
        if not (line.isascii() and line.isdecimal()):
            raise DataError(
                "not a line number",
                where=f"{path}:{number}",
                got=repr(line),
                expected="0, 1, 2, ...",
            )
    return [int(line) for line in lines]


def read_answers(path: Path) -> dict[str, str]:
    """Question id -> predicted text."""
    answers = _json(path)
    if not isinstance(answers, dict) or not answers:
        raise DataError(
            "no predictions", where=f"{path}:1", expected='{"question id": "answer text", ...}'
        )
    for question, text in answers.items():
        if not isinstance(text, str):
            where = f"{path}:{line_of_key(path, question)}"
            raise DataError(
                "an answer that is not a text", where=where, got=repr(text), expected="a string"
            )
    return answers


def read_gold_answers(path: Path) -> dict[str, tuple[str, ...]]:
    """Question id -> gold texts, from SQuAD v1.1 json: ``{"data": [...]}`` or the bare list."""
    loaded = _json(path)
    gold: dict[str, tuple[str, ...]] = {}
    try:
        articles = loaded["data"] if isinstance(loaded, dict) else loaded
        paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
        for question in (question for paragraph in paragraphs for question in paragraph["qas"]):
            texts = tuple(str(answer["text"]) for answer in question["answers"])
            _require_gold(path, question["id"], texts, gold)
            gold[question["id"]] = texts
    except (KeyError, TypeError) as error:
        raise DataError(
            "not SQuAD v1.1 json", where=f"{path}:1", got=f"{type(error).__name__}: {error}"
        ) from error
    if not gold:
        raise _empty(path)
    return gold


def line_of_key(path: Path, key: str) -> int:
    """Line of the first place where a json file holds this string, 1 if it is written in an unforeseen way."""
    text = _text(path)
    places = (text.find(json.dumps(key, ensure_ascii=ascii_only)) for ascii_only in (True, False))
    return text.count("\n", 0, max(0, *places)) + 1


def write_lines(
    folder: Path, task: str, language: str, lines: Iterable[str], split: str = "test"
) -> Path:
    """Write labels, or tags with ``""`` between sentences, or ready-made lines.

    Raises:
        DataError: a line that would not read back as itself.
    """
    path = file_of(folder, task, language, ".tsv", split)
    lines = list(lines)
    for number, line in enumerate(lines, 1):
        if "\n" in line or line != line.strip():
            raise DataError(
                "text that a line cannot hold", where=f"{path}:{number}", got=repr(line)
            )
    return _write(path, "".join(f"{line}\n" for line in lines))


def write_tags(
    folder: Path, task: str, language: str, sentences: Iterable[Sequence[str]], split: str = "test"
) -> Path:
    """Write one tag a line, sentences apart by a blank line.

    Raises:
        DataError: an empty sentence or tag, which would not read back.
    """
    lines: list[str] = []
    for sentence in sentences:
        if not sentence or "" in sentence:
            raise DataError(
                "an empty sentence or tag", where=f"{task}, {language}, line {len(lines) + 1}"
            )
        lines += ["", *sentence] if lines else sentence
    return write_lines(folder, task, language, lines, split)


def write_pairs(
    folder: Path, task: str, language: str, pairs: Iterable[Pair], split: str = "test"
) -> Path:
    """Write each distinct pair once, sorted."""
    return write_lines(
        folder, task, language, ("\t".join(pair) for pair in sorted(set(pairs))), split
    )


def write_indices(
    folder: Path, task: str, language: str, indices: Iterable[int], split: str = "test"
) -> Path:
    """Write one line number a line."""
    return write_lines(folder, task, language, map(str, indices), split)


def write_answers(
    folder: Path, task: str, language: str, answers: Mapping[str, str], split: str = "test"
) -> Path:
    """Write predicted texts by question id."""
    return _write_json(file_of(folder, task, language, ".json", split), dict(answers))


def write_gold_answers(
    folder: Path, task: str, language: str, questions: Iterable[SpanExample], split: str = "test"
) -> Path:
    """Write gold answers as SQuAD v1.1 json, one paragraph for each question."""
    paragraphs = [
        {
            "context": question.context,
            "qas": [
                {
                    "id": question.id,
                    "question": question.question,
                    "answers": [
                        {"text": answer.text, "answer_start": answer.start}
                        for answer in question.answers
                    ],
                }
            ],
        }
        for question in questions
    ]
    data = {"version": "1.1", "data": [{"title": task, "paragraphs": paragraphs}]}
    return _write_json(file_of(folder, task, language, ".json", split), data)


def _text(path: Path) -> str:
    content = read_document(path)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            "bytes that are not UTF-8", where=f"{path}:{line}", got=str(error)
        ) from error
    if not text.strip():
        raise _empty(path)
    return text


def _empty(path: Path) -> DataError:
    return DataError(
        "empty file",
        where=f"{path}:1",
        expected="at least one example",
        fix="write it again, or remove it",
    )


def _require_labels(path: Path, lines: Sequence[str], allowed: Collection[str]) -> None:
    unknown = set(lines) - set(allowed)
    if unknown:
        number = next(number for number, line in enumerate(lines, 1) if line in unknown)
        expected = ", ".join(sorted(filter(None, allowed)))
        got = repr(lines[number - 1])
        raise DataError(
            "label outside its set",
            where=f"{path}:{number}",
            got=got,
            expected=f"one of {expected}",
        )


def _require_gold(path: Path, question: str, texts: Sequence[str], before: Collection[str]) -> None:
    if question in before or not texts:
        fault = (
            "two questions with one id" if question in before else "a question without an answer"
        )
        raise DataError(fault, where=f"{path}:{line_of_key(path, question)}", got=question)


def _json(path: Path) -> Any:
    text = _text(path)
    try:
        return json.loads(text, object_pairs_hook=lambda items: _distinct(path, items))
    except json.JSONDecodeError as error:
        raise DataError("not json", where=f"{path}:{error.lineno}", got=error.msg) from error
    except RecursionError as error:
        raise DataError("not json", where=f"{path}:1", got="nested too deeply") from error


def _distinct(path: Path, items: list[tuple[str, Any]]) -> dict[str, Any]:
    # json would keep the last of two and drop the first without a word.
    distinct = dict(items)
    if len(distinct) < len(items):
        twice, _ = Counter(key for key, _ in items).most_common(1)[0]
        raise DataError(
            "a key given twice", where=f"{path}:{line_of_key(path, twice)}", got=repr(twice)
        )
    return distinct


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def _write_json(path: Path, data: object) -> Path:
    return _write(path, json.dumps(data, indent=1) + "\n")
