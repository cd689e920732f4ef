"""Prepared data: the examples of one split in one language with their features, in two memory-mapped Arrow files.

Made once and read by every run that trains or predicts on it. The same examples give the same
bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.documents import dump_json, parse_json, read_document
from stilts_artifact.domain.examples import (
    Answer,
    ChoiceExample,
    PairExample,
    SpanExample,
    TaggedSentence,
)
from stilts_artifact.domain.tasks import Task, TaskForm
from stilts_artifact.errors import DataError, IntegrityError
from stilts_artifact.files import write_file
from stilts_artifact.model.arrow import FORMS, Columns, read_columns, write_columns
from stilts_artifact.model.features import choice_features, pair_features, pieces
from stilts_artifact.model.heads import IGNORED
from stilts_artifact.model.spans import SpanWindow, span_windows
from stilts_artifact.model.tags import TagChunk, tag_chunks, tag_labels
from stilts_artifact.model.tokenizer import BOS, EOS

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerFast

Labelled = (
    Sequence[PairExample]
    | Sequence[ChoiceExample]
    | Sequence[TaggedSentence]
    | Sequence[SpanExample]
)

_FORM = "form.json"
_FEATURES = "features.arrow"
_EXAMPLES = "examples.arrow"


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One split of a task in one language.

    Args:
        kind: ``None`` for text without labels.
        metrics: of the task, the first being the one that counts.
        labels: what the head's outputs mean; none for choices and spans.
        features: the model's inputs with their labels. Pairs: ``input_ids``, ``label``. Choices:
            ``choices``, ``label``. Tags: ``input_ids``, ``tags``, ``positions`` and the index of
            the ``example``, of which a long one has several rows. Spans: ``input_ids``, ``start``,
            ``end``, ``context_start``, ``offsets`` (first and last character by turns) and
            ``example``. Text: ``input_ids``.
        examples: what predictions are made of and scored by. Pairs: ``label``. Choices: ``label``.
            Tags: ``tags``. Spans: ``id``, ``context``, ``answers``. Text: nothing.
    """

    kind: TaskForm | None
    metrics: tuple[str, ...]
    labels: tuple[str, ...]
    features: Dataset
    examples: Dataset

    def first(self, count: int) -> Prepared:
        """The first examples with all their features."""
        if count >= len(self.examples):
            return self
        rows = count
        if "example" in self.features.column_names:
            rows = int((self.features.with_format("numpy")["example"][:] < count).sum())
        return Prepared(
            self.kind,
            self.metrics,
            self.labels,
            self.features.take(rows),
            self.examples.take(count),
        )


def prepare_examples(
    tokenizer: PreTrainedTokenizerFast,
    kind: TaskForm,
    labels: Sequence[str],
    examples: Labelled,
    max_length: int,
) -> tuple[Columns, Columns]:
    """Features and examples as columns; see :class:`Prepared`.

    Args:
        labels: of the task. A tag outside them, such as a supertag that training data lacks, is
            learnt from nowhere and scored as wrong.

    Raises:
        DataError: a label of a pair outside its set.
        ConfigError: a maximum length without room for text.
    """
    match kind:
        case TaskForm.PAIR:
            pairs = pair_features(tokenizer, examples, labels, max_length)  # type: ignore[arg-type]
            gold = {"label": [labels[pair.label] for pair in pairs]}
            return {
                "input_ids": [pair.input_ids for pair in pairs],
                "label": [pair.label for pair in pairs],
            }, gold
        case TaskForm.CHOICE:
            items = choice_features(tokenizer, examples, max_length)  # type: ignore[arg-type]
            right = [item.label for item in items]
            return {"choices": [list(item.choices) for item in items], "label": right}, {
                "label": right
            }
        case TaskForm.TAGGING:
            return _tagged(tokenizer, labels, examples, max_length)  # type: ignore[arg-type]
        case TaskForm.SPAN:
            return _asked(tokenizer, examples, max_length)  # type: ignore[arg-type]
        case TaskForm.MINING | TaskForm.SEARCH:
            raise DataError(
                f"{kind} has no features: its sentences are embedded as they are", got=kind
            )


def prepare_lines(
    tokenizer: PreTrainedTokenizerFast, lines: Sequence[str], max_length: int
) -> Columns:
    """Text as inputs of the masked language model; what exceeds the length is the next input, not lost."""
    room = max_length - 2
    inputs = [
        ids[at : at + room] for ids in pieces(tokenizer, lines) for at in range(0, len(ids), room)
    ]
    return {"input_ids": [[BOS, *ids, EOS] for ids in inputs]}


def save_prepared(
    folder: Path, task: Task | None, labels: Sequence[str], features: Columns, examples: Columns
) -> None:
    """Write the files of one language; of text, where there is no task.

    Raises:
        OSError: the disk is full or refuses.
    """
    kind, metrics = (None, ()) if task is None else (task.form, task.metrics)
    folder.mkdir(parents=True, exist_ok=True)
    write_columns(folder / _FEATURES, features, FORMS[kind].features)
    write_columns(folder / _EXAMPLES, examples, FORMS[kind].examples)
    form = {"kind": kind and kind.value, "metrics": list(metrics), "labels": list(labels)}
    write_file(folder / _FORM, dump_json(form))


def load_prepared(folder: Path) -> Prepared:
    """Read what :func:`save_prepared` wrote.

    Raises:
        IntegrityError: the folder is not prepared data.
    """
    path = folder / _FORM
    try:
        form = parse_json(read_document(path), str(path))
        kind = None if form["kind"] is None else TaskForm(form["kind"])
        metrics, labels = (tuple(map(str, form[name])) for name in ("metrics", "labels"))
        columns = FORMS[kind]
    except (DataError, KeyError, TypeError, ValueError) as error:
        got = (str(error) or type(error).__name__).splitlines()[0]
        raise IntegrityError(
            "not prepared data", where=str(path), got=got, expected="its kind, metrics, labels"
        ) from error
    features = read_columns(folder / _FEATURES, columns.features)
    return Prepared(
        kind, metrics, labels, features, read_columns(folder / _EXAMPLES, columns.examples)
    )


def chunks_of(prepared: Prepared) -> list[TagChunk]:
    """The chunks behind the features of a tagging task, in order; their ``input_ids`` are left empty."""
    columns = prepared.features.to_dict()
    return [
        TagChunk(example, [], positions)
        for example, positions in zip(columns["example"], columns["positions"], strict=True)
    ]


def windows_of(prepared: Prepared) -> list[SpanWindow]:
    """The windows behind the features of a span task, in order; their ``input_ids`` are left empty."""
    columns = prepared.features.select_columns(
        ["example", "context_start", "offsets", "start", "end"]
    ).to_dict()
    return [
        SpanWindow(example, [], first, list(zip(flat[::2], flat[1::2], strict=True)), start, end)
        for example, first, flat, start, end in zip(*columns.values(), strict=True)
    ]


def spans_of(prepared: Prepared) -> list[SpanExample]:
    """The examples of a span task, without their questions; answers without their places."""
    columns = prepared.examples.to_dict()
    return [
        SpanExample(identity, "", context, tuple(Answer(text, 0) for text in answers))
        for identity, context, answers in zip(
            columns["id"], columns["context"], columns["answers"], strict=True
        )
    ]


def _tagged(
    tokenizer: PreTrainedTokenizerFast,
    labels: Sequence[str],
    examples: Sequence[TaggedSentence],
    max_length: int,
) -> tuple[Columns, Columns]:
    index = {label: at for at, label in enumerate(labels)}
    chunks = tag_chunks(tokenizer, [example.words for example in examples], max_length)
    tags = tag_labels(
        chunks, [[index.get(tag, IGNORED) for tag in example.tags] for example in examples], IGNORED
    )
    features: Columns = {
        "input_ids": [chunk.input_ids for chunk in chunks],
        "tags": tags,
        "positions": [chunk.positions for chunk in chunks],
        "example": [chunk.sentence for chunk in chunks],
    }
    return features, {"tags": [list(example.tags) for example in examples]}


def _asked(
    tokenizer: PreTrainedTokenizerFast, examples: Sequence[SpanExample], max_length: int
) -> tuple[Columns, Columns]:
    windows = span_windows(tokenizer, examples, max_length=max_length)
    features: Columns = {
        "input_ids": [window.input_ids for window in windows],
        "start": [window.start for window in windows],
        "end": [window.end for window in windows],
        "context_start": [window.context_start for window in windows],
        "offsets": [[place for offset in window.offsets for place in offset] for window in windows],
        "example": [window.example for window in windows],
    }
    gold: Columns = {
        "id": [example.id for example in examples],
        "context": [example.context for example in examples],
        "answers": [[answer.text for answer in example.answers] for example in examples],
    }
    return features, gold
