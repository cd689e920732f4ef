"""Gold labels in the submission layout: what predictions are scored against, by us and by whoever checks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stilts_artifact.data.library import Library
from stilts_artifact.data.splits import read_split
from stilts_artifact.domain.examples import (
    ComparableCorpus,
    PairExample,
    SentencePair,
    SpanExample,
    TaggedSentence,
)
from stilts_artifact.domain.tasks import Split, Task
from stilts_artifact.errors import DataError
from stilts_artifact.metrics.submission import (
    write_gold_answers,
    write_indices,
    write_lines,
    write_pairs,
    write_tags,
)
from stilts_artifact.pipeline.tasks.prepare import chosen
from stilts_artifact.retrieval.tatoeba import english_order


def labels(
    *,
    task: Task,
    split: Split,
    languages: Sequence[str],
    rows: int | None,
    library: Library,
    out: Path,
) -> None:
    """Write ``out/{task}/{split}-{language}.*`` for each language.

    Args:
        rows: most examples of a trained task, as predictions have them; retrieval always takes all.

    Raises:
        DataError, MissingDataError, IntegrityError: as :func:`read_split`.
    """
    for language in languages:
        data = read_split(task, split, language, library)
        if isinstance(data, ComparableCorpus):
            gold = [(pair.source, pair.target) for pair in data.gold]
            write_pairs(out, task.name, language, gold, split)
            continue
        pairs = [example for example in data if isinstance(example, SentencePair)]
        if pairs:
            write_indices(out, task.name, language, english_order(pairs), split)
            continue
        examples = chosen(data, split, rows)
        match examples[0]:
            case PairExample():
                lines = [example.label for example in examples if isinstance(example, PairExample)]
                write_lines(out, task.name, language, lines, split)
            case TaggedSentence():
                tags = [example.tags for example in examples if isinstance(example, TaggedSentence)]
                write_tags(out, task.name, language, tags, split)
            case SpanExample():
                asked = [example for example in examples if isinstance(example, SpanExample)]
                write_gold_answers(out, task.name, language, asked, split)
            case other:
                what = f"{task.name} has no labels in the submission layout"
                raise DataError(what, where=f"{split} {language}", got=type(other).__name__)
