"""Published folders of studies, made up: the row without intervention in the mini world."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import EXPERIMENTS, NONE
from stilts_artifact.checking.studies import covariates_of, load_protocol
from stilts_artifact.domain.tasks import Benchmark, Split, Task, TaskForm
from stilts_artifact.forms import form_of
from stilts_artifact.studies.analysis import Question
from stilts_artifact.studies.covariates import mini_covariates
from stilts_artifact.studies.effects import Runs
from tests.unit.studies import probable

MINI = load_benchmark("mini")
XTREME = load_benchmark("xtreme")
SEEDS = (1, 2)
QUALITIES = (0.95, 0.7, 0.8, 0.85, 0.6, 0.75, 0.5)
"""Shares of the predictions that are right, by language: they differ as at mini scale."""


def question(study: str) -> Question:
    """The protocol that ships, asked of the mini world."""
    loaded = load_protocol(study)
    return Question(loaded.protocol, loaded.sha256, False, mini_covariates(), False)


def real_question(study: str, *, evidence: bool = False) -> Question:
    """The protocol that ships, asked of real languages."""
    return replace(question(study), covariates=covariates_of(XTREME), evidence=evidence)


def published(
    folder: Path,
    study: str,
    examples: int = 60,
    *,
    world: Benchmark = MINI,
    columns: Collection[str] | None = None,
) -> Runs:
    """A study's folder with the row without intervention, and runs that name all its rows.

    Args:
        columns: those that have predictions; by default all.
    """
    experiment = EXPERIMENTS[f"study-{study}"]
    rows = tuple(row.name for row in experiment.rows(world))
    if study == "004":
        languages = (probable.SOURCE, *targets(probable.XNLI))
        made = probable.runs_of(folder, {NONE: {1: 0.9, 2: 1.1}}, languages, examples)
        return replace(made, rows=rows)
    for task in experiment.targets(world):
        if columns is None or task.name in columns:
            for number, language in enumerate(targets(task)):
                quality = QUALITIES[number % len(QUALITIES)]
                _publish(folder, task, language, quality, np.random.default_rng(number), examples)
    return Runs(folder, world, experiment, rows, SEEDS)


def targets(task: Task) -> list[str]:
    """Languages of its test data, without the source language."""
    return [code for code in task.languages_of(Split.TEST) if code != task.source_language]


def _publish(
    folder: Path,
    task: Task,
    language: str,
    quality: float,
    chance: np.random.Generator,
    examples: int,
) -> None:
    form = form_of(task)
    roots = [folder / "predictions" / NONE / f"seed-{seed}" for seed in SEEDS]
    truth, *guesses = _texts(task, quality, chance, examples)
    for root, text in zip((folder / "labels", *roots), (truth, *guesses), strict=True):
        path = form.file(root, task, language, Split.TEST)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def _texts(task: Task, quality: float, chance: np.random.Generator, examples: int) -> Sequence[str]:
    """Labels, then predictions of each seed."""
    if task.form is TaskForm.ALIGNMENT:
        gold = "".join(f"doc-{number // 5}\t{number}\n" for number in range(examples))
        ranks = [
            np.where(chance.random((examples, 6)) < quality, 1, 1 + chance.integers(1, examples, 6))
            for _ in SEEDS
        ]
        return gold, *("".join("\t".join(map(str, row)) + "\n" for row in one) for one in ranks)
    if task.form is TaskForm.PAIR:
        labels = chance.choice(task.labels, examples)
        return ["\n".join(one) + "\n" for one in _guessed(labels, task, quality, chance)]
    lengths = chance.integers(4, 12, examples)
    words = [chance.choice(_tags(task), length) for length in lengths]
    versions = zip(*(_guessed(sentence, task, quality, chance) for sentence in words), strict=True)
    return ["\n\n".join("\n".join(one) for one in version) + "\n" for version in versions]


def _tags(task: Task) -> list[str]:
    """Of which a fresh one is drawn for each word; half of those of named entities are none."""
    inner = [tag for tag in task.labels if not tag.startswith("I-") and tag != "O"]
    return inner + ["O"] * len(inner) if "O" in task.labels else inner


def _guessed(
    labels: Sequence[str], task: Task, quality: float, chance: np.random.Generator
) -> Sequence[Sequence[str]]:
    """The labels themselves, then guesses of each seed."""
    others = _tags(task) if task.form is TaskForm.TAGGING else task.labels
    drawn = [
        np.where(chance.random(len(labels)) < quality, labels, chance.choice(others, len(labels)))
        for _ in SEEDS
    ]
    return [list(map(str, one)) for one in (labels, *drawn)]
