"""The nine intermediate tasks: train and dev, in the pivot language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from stilts_artifact.benchmark.forms import (
    CHOICE,
    MNLI_TRAIN,
    NLI,
    QUESTION_PAIRS,
    SPAN,
    SQUAD_V1,
    SQUAD_V1_TRAIN,
    SQUAD_V2,
    SUPERTAGS,
    Form,
)
from stilts_artifact.benchmark.languages import Naming
from stilts_artifact.domain.tasks import Part, Role, Split, Task

Parts = tuple[Part, ...]
Options = tuple[tuple[str, str], ...]

# Three rows of QQP's train.tsv are cut short: tensorflow_datasets counts 363,849 rows,
# huggingface/datasets, which leaves out rows that lack a column (datasets/glue/glue.py), 363,846.
QQP_CUT = (("cut_rows", "3"),)
MNLI_DEV = (Part("MNLI.zip", "mnli", "MNLI/dev_matched.tsv"),)


class _Row(NamedTuple):
    name: str
    title: str
    form: Form
    train: Parts
    dev: Parts


def tasks(naming: Naming) -> tuple[Task, ...]:
    """The tasks in the paper's order; their licences are left to the world that has the sources."""
    rows = (
        # jiant's "full ANLI": the three rounds with MNLI and SNLI, one head
        # (guides/tasks/task_specific.md).
        _Row(
            "anli_plus",
            "ANLI+",
            NLI,
            (*_anli("train"), *MNLI_TRAIN, _snli("train")),
            (*_anli("dev"), *MNLI_DEV, _snli("dev")),
        ),
        _Row("mnli", "MNLI", NLI, MNLI_TRAIN, MNLI_DEV),
        _Row("qqp", "QQP", QUESTION_PAIRS, _qqp("train", QQP_CUT), _qqp("dev")),
        _Row(
            "squad_v2",
            "SQuAD v2.0",
            SPAN,
            _file("squad/train-v2.0.json", "squad", SQUAD_V2),
            _file("squad/dev-v2.0.json", "squad", SQUAD_V2),
        ),
        _Row(
            "squad_v1",
            "SQuAD v1.1",
            SPAN,
            SQUAD_V1_TRAIN,
            _file("squad/dev-v1.1.json", "squad", SQUAD_V1),
        ),
        _Row(
            "hellaswag",
            "HellaSwag",
            CHOICE,
            _file("hellaswag_train.jsonl", "hellaswag"),
            _file("hellaswag_val.jsonl", "hellaswag"),
        ),
        # Sections of jiant's scripts/ccg, not CCGbank's usual 02-21 and 00.
        _Row("ccg", "CCG", SUPERTAGS, _ccg(range(19)), _ccg(range(19, 22))),
        _Row(
            "cosmosqa",
            "Cosmos QA",
            CHOICE,
            _file("cosmosqa/train.csv", "cosmosqa"),
            _file("cosmosqa/valid.csv", "cosmosqa"),
        ),
        _Row(
            "commonsenseqa",
            "CommonsenseQA",
            CHOICE,
            _file("commonsenseqa/train_rand_split.jsonl", "commonsenseqa"),
            _file("commonsenseqa/dev_rand_split.jsonl", "commonsenseqa"),
        ),
    )
    return tuple(_task(row, naming) for row in rows)


def _task(row: _Row, naming: Naming) -> Task:
    translated = _translated(row.name, naming)
    return Task(
        name=row.name,
        title=row.title,
        role=Role.INTERMEDIATE,
        form=row.form.form,
        metrics=row.form.metrics,
        labels=row.form.labels,
        languages=(naming.source_language, *translated),
        licence="",
        parts={
            (Split.TRAIN, naming.source_language): row.train,
            (Split.DEV, naming.source_language): row.dev,
            **{(Split.TRAIN, language): parts for language, parts in translated.items()},
        },
    )


def _translated(task: str, naming: Naming) -> Mapping[str, Parts]:
    """Training data in translation, by language. The paper's own translations were never published."""
    templates = {
        "mnli": Part("MNLI-{}.zip", "mnli", "MNLI/train.tsv"),
        "qqp": Part("QQP-clean-{}.zip", "qqp", "QQP/train.tsv", QQP_CUT),
        "hellaswag": Part("hellaswag_train-{}.jsonl", "hellaswag"),
    }
    if task not in templates:
        return {}
    template = templates[task]
    return {
        language: (replace(template, source=template.source.format(language)),)
        for language in naming.translated
    }


def _anli(split: str) -> Parts:
    return tuple(
        Part("anli_v0.1.zip", "anli", f"anli_v0.1/R{number}/{split}.jsonl") for number in (1, 2, 3)
    )


def _snli(split: str) -> Part:
    return Part("snli_1.0.zip", "snli", f"snli_1.0/snli_1.0_{split}.jsonl")


def _qqp(split: str, options: Options = ()) -> Parts:
    return (Part("QQP-clean.zip", "qqp", f"QQP/{split}.tsv", options),)


def _ccg(sections: range) -> Parts:
    return tuple(
        Part("ccgbank_1_1.tgz", "ccg", f"ccgbank_1_1/data/AUTO/{number:02}/*.auto")
        for number in sections
    )


def _file(source: str, reader: str, options: Options = ()) -> Parts:
    return (Part(source, reader, options=options),)
