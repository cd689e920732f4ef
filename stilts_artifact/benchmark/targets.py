"""The nine target tasks of XTREME: train in the pivot language, dev and test in all.

Splits as XTREME and jiant take them: where a task has no public test set, the public dev set is the
test (XQuAD, TyDiQA-GoldP), and BUCC's sample and training corpora are dev and test
(download_data.sh:152-166 at 838c13b).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from stilts_artifact.benchmark.forms import (
    MINING,
    MNLI_TRAIN,
    NAMES,
    NLI,
    PARAPHRASE,
    SEARCH,
    SPAN,
    SQUAD_V1,
    SQUAD_V1_TRAIN,
    UPOS,
    Form,
)
from stilts_artifact.benchmark.languages import Naming
from stilts_artifact.domain.tasks import Part, Role, Split, Task

Parts = tuple[Part, ...]
PartsOf = Callable[[str], Parts]  # language -> parts


class _Row(NamedTuple):
    name: str
    title: str
    form: Form
    train: Parts = ()
    dev: PartsOf | None = None
    test: PartsOf | None = None


def tasks(naming: Naming) -> tuple[Task, ...]:
    """The tasks in the paper's order; their licences are left to the world that has the sources."""
    source_language = naming.source_language
    rows = (
        _Row("xnli", "XNLI", NLI, MNLI_TRAIN, _xnli("dev"), _xnli("test")),
        _Row(
            "pawsx",
            "PAWS-X",
            PARAPHRASE,
            _pawsx("train")(source_language),
            _pawsx("dev_2k"),
            _pawsx("test_2k"),
        ),
        _Row("udpos", "POS", UPOS, _udpos("train")(source_language), _udpos("dev"), _udpos("test")),
        _Row("panx", "NER", NAMES, _panx("train")(source_language), _panx("dev"), _panx("test")),
        _Row("xquad", "XQuAD", SPAN, SQUAD_V1_TRAIN, test=_xquad),
        _Row("mlqa", "MLQA", SPAN, SQUAD_V1_TRAIN, _mlqa("dev"), _mlqa("test")),
        _Row(
            "tydiqa",
            "TyDiQA-GoldP",
            SPAN,
            _tydiqa("train", naming)(source_language),
            test=_tydiqa("dev", naming),
        ),
        _Row(
            "bucc2018",
            "BUCC 2018",
            MINING,
            dev=_bucc("sample", source_language),
            test=_bucc("training", source_language),
        ),
        _Row("tatoeba", "Tatoeba", SEARCH, test=_tatoeba(naming)),
    )
    return tuple(_task(row, naming) for row in rows)


def _task(row: _Row, naming: Naming) -> Task:
    languages = naming.targets[row.name]
    return Task(
        name=row.name,
        title=row.title,
        role=Role.TARGET,
        form=row.form.form,
        metrics=row.form.metrics,
        labels=row.form.labels,
        languages=languages,
        licence="",
        parts=dict(_parts(row, naming)),
    )


def _parts(row: _Row, naming: Naming) -> Mapping[tuple[Split, str], Parts]:
    languages = naming.targets[row.name]
    without_dev = naming.without_dev if row.name == "udpos" else frozenset[str]()
    parts: dict[tuple[Split, str], Parts] = {}
    if row.train:
        parts[Split.TRAIN, naming.source_language] = row.train
    if row.dev:
        parts |= {
            (Split.DEV, language): row.dev(language)
            for language in languages
            if language not in without_dev
        }
    if row.test:
        parts |= {(Split.TEST, language): row.test(language) for language in languages}
    return parts


def _xnli(split: str) -> PartsOf:
    return lambda language: (
        Part("XNLI-1.0.zip", "xnli", f"XNLI-1.0/xnli.{split}.tsv", (("language", language),)),
    )


def _pawsx(file: str) -> PartsOf:
    return lambda language: (Part("x-final.tar.gz", "pawsx", f"x-final/{language}/{file}.tsv"),)


def _udpos(split: str) -> PartsOf:
    """All treebanks of a language: the file name up to the first ``_`` is the language (download_data.sh:61-99)."""
    return lambda language: (
        Part(
            "ud-treebanks-v2.5.tgz", "conllu", treebanks(language, split), (("language", language),)
        ),
    )


def treebanks(language: str, split: str) -> str:
    """Pattern of the members of the UD archive that make one split.

    Example:
        >>> treebanks("th", "test")
        'ud-treebanks-v2.5/*/th_*-ud-test.conllu'
    """
    return f"ud-treebanks-v2.5/*/{language}_*-ud-{split}.conllu"


def _panx(split: str) -> PartsOf:
    return lambda language: (Part("panx_dataset.zip", "panx", f"{language}.tar.gz!{split}"),)


def _xquad(language: str) -> Parts:
    return (Part(f"xquad.{language}.json", "squad", options=SQUAD_V1),)


def _mlqa(split: str) -> PartsOf:
    """Context and question in the same language, as XTREME evaluates it."""
    return lambda language: (
        Part(
            "MLQA_V1.zip",
            "squad",
            f"MLQA_V1/{split}/{split}-context-{language}-question-{language}.json",
            SQUAD_V1,
        ),
    )


def _tydiqa(split: str, naming: Naming) -> PartsOf:
    """One file holds all languages; training takes only the pivot's part (jiant's script took all of them)."""
    return lambda language: (
        Part(
            f"tydiqa-goldp-v1.1-{split}.json",
            "tydiqa",
            options=(("language", naming.tydiqa[language]),),
        ),
    )


def _bucc(corpus: str, source_language: str) -> PartsOf:
    def parts(language: str) -> Parts:
        pair = f"{language}-{source_language}"
        source, stem = f"bucc2018-{pair}.{corpus}-gold.tar.bz2", f"bucc2018/{pair}/{pair}.{corpus}"
        return (
            Part(source, "bucc_text", f"{stem}.{language}"),
            Part(source, "bucc_text", f"{stem}.{source_language}"),
            Part(source, "bucc_gold", f"{stem}.gold"),
        )

    return parts


def _tatoeba(naming: Naming) -> PartsOf:
    def parts(language: str) -> Parts:
        code, source_language = naming.tatoeba[language], naming.tatoeba[naming.source_language]
        return (
            Part(f"tatoeba.{code}-{source_language}.{code}", "lines"),
            Part(f"tatoeba.{code}-{source_language}.{source_language}", "lines"),
        )

    return parts
