"""Prepared data of every kind, small, in the tokens of an untrained encoder."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.domain.examples import (
    Answer,
    ChoiceExample,
    PairExample,
    SpanExample,
    TaggedSentence,
)
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.model.forms import trained_form
from stilts_artifact.model.loading import load_encoder_tokenizer
from stilts_artifact.model.prepared import prepare_lines, save_prepared

WORDS = ("ka", "lo", "mi", "ne", "pu", "ra", "si", "to", "vu", "ze")
TAGS = ("N/N", "S\\NP", "NP")


def sentence(draw: random.Random) -> list[str]:
    return [draw.choice(WORDS) for _ in range(draw.randint(3, 9))]


def examples_of(kind: TaskForm, count: int, seed: int, *, shuffled: bool = False) -> list[Any]:
    """Examples whose label is in their first word, unless they are shuffled."""
    draw = random.Random(seed)
    made: list[Any] = []
    for number in range(count):
        words = sentence(draw)
        answer = WORDS.index(draw.choice(WORDS) if shuffled else words[0])
        text = " ".join(words)
        match kind:
            case TaskForm.PAIR:
                made.append(
                    PairExample(str(number), text, " ".join(sentence(draw)), str(answer % 3))
                )
            case TaskForm.CHOICE:
                choices = tuple(" ".join(sentence(draw)) for _ in range(4))
                made.append(ChoiceExample(str(number), text, choices, answer % 4))
            case TaskForm.TAGGING:
                made.append(
                    TaggedSentence(
                        tuple(words), tuple(TAGS[WORDS.index(word) % 3] for word in words)
                    )
                )
            case _:
                made.append(SpanExample(str(number), words[0], text, (Answer(words[0], 0),)))
    return made


TASKS = {
    TaskForm.PAIR: "mnli",
    TaskForm.CHOICE: "hellaswag",
    TaskForm.TAGGING: "ccg",
    TaskForm.SPAN: "squad_v1",
}
LABELS: dict[TaskForm, Sequence[str]] = {TaskForm.PAIR: ("0", "1", "2"), TaskForm.TAGGING: TAGS}


def prepared_folder(
    encoder: Path, folder: Path, kind: TaskForm, count: int, seed: int, *, shuffled: bool = False
) -> Path:
    """A prepared split on disk."""
    tokenizer = load_encoder_tokenizer(encoder)
    labels = LABELS.get(kind, ())
    examples = examples_of(kind, count, seed, shuffled=shuffled)
    columns = trained_form(kind).prepare(tokenizer, labels, examples, 200)
    task = load_benchmark("mini").tasks[TASKS[kind]]
    save_prepared(folder, task, labels, *columns, max_length=200)
    return folder


def text_folder(encoder: Path, folder: Path, count: int, seed: int) -> Path:
    """Prepared text on disk."""
    draw = random.Random(seed)
    lines = [" ".join(sentence(draw)) for _ in range(count)]
    columns = prepare_lines(load_encoder_tokenizer(encoder), lines, 48)
    save_prepared(folder, None, (), columns, {}, max_length=48)
    return folder
