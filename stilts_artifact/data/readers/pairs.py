"""Sentence pairs: XNLI, MNLI, SNLI, ANLI (NLI) and QQP, PAWS-X (paraphrase); anyone's own.

NLI labels come out as ``contradiction``, ``entailment``, ``neutral`` whatever the file calls them;
paraphrase labels as ``0`` (no) and ``1`` (yes). Text is kept as it stands, quote marks included.
"""

from __future__ import annotations

from stilts_artifact.data.readers.records import field, parse_lines
from stilts_artifact.data.readers.text import (
    label,
    refuse_blinded,
    refuse_empty,
    rows,
    table,
)
from stilts_artifact.domain.examples import PairExample
from stilts_artifact.errors import DataError

NLI = {name: name for name in ("contradiction", "entailment", "neutral")}
NLI_LETTERS = {"c": "contradiction", "e": "entailment", "n": "neutral"}
PARAPHRASE = {"0": "0", "1": "1"}
OWN_COLUMNS = ("first text", "second text", "label")
NO_LABEL = "-"  # SNLI: the five annotators did not agree


def xnli(data: bytes, where: str, *, language: str) -> list[PairExample]:
    """Read one language of ``xnli.dev.tsv`` or ``xnli.test.tsv`` (XNLI-1.0), which hold all 15.

    Raises:
        DataError: no row in ``language``, a label outside the three, or a blinded or malformed
            file.
    """
    examples, seen = [], set()
    columns = ("language", "gold_label", "sentence1", "sentence2", "pairID")
    for place, (row_language, gold, first, second, pair) in table(data, where, columns):
        # For the error: which languages the file has instead.
        seen.add(row_language)
        if row_language == language:
            examples.append(PairExample(pair, first, second, label(gold, NLI, place)))
    if not examples:
        got, expected = ", ".join(sorted(seen)), f"rows in '{language}'"
        raise DataError(f"no row in language '{language}'", where=where, got=got, expected=expected)
    return _checked(examples, where)


def mnli(data: bytes, where: str) -> list[PairExample]:
    """Read GLUE's MNLI ``train.tsv`` (12 columns) or ``dev_matched.tsv`` (16: more annotators).

    Raises:
        DataError: a label outside the three, or a blinded or malformed file.
    """
    columns = ("pairID", "sentence1", "sentence2", "gold_label")
    return _read_table(data, where, columns, NLI)


def qqp(data: bytes, where: str, *, cut_rows: str = "0") -> list[PairExample]:
    """Read GLUE's QQP ``train.tsv`` or ``dev.tsv``; ``1``: the two questions ask the same.

    Args:
        data: the bytes of the file.
        where: its name, for errors.
        cut_rows: how many of its rows are known to be cut short; they are left out.

    Raises:
        DataError: a label outside ``0`` and ``1``, more rows cut short, or a blinded or malformed
            file.
    """
    columns = ("id", "question1", "question2", "is_duplicate")
    return _read_table(data, where, columns, PARAPHRASE, cut_rows=int(cut_rows))


def pawsx(data: bytes, where: str) -> list[PairExample]:
    """Read a file of PAWS-X (``train.tsv``, ``dev_2k.tsv``, ``test_2k.tsv``).

    Cells are split at tabs alone; csv quoting loses rows: 49,175 of 49,401 are left in the copy
    that huggingface/datasets made so (datasets/xtreme/dataset_infos.json at 8803c182e6^).
    Where the translators had no sentence the file says ``NS``; those rows count upstream, so they
    are kept.

    Raises:
        DataError: a label outside ``0`` and ``1``, or a blinded or malformed file.
    """
    return _read_table(data, where, ("id", "sentence1", "sentence2", "label"), PARAPHRASE)


def snli(data: bytes, where: str) -> list[PairExample]:
    """Read ``snli_1.0_*.jsonl``; pairs labelled ``-`` have no gold and are left out (785 in train).

    Raises:
        DataError: a label outside the three, or a blinded or malformed file.
    """
    examples = []
    for place, record in parse_lines(data, where):
        gold = field(record, "gold_label", str, place)
        if gold != NO_LABEL:
            first, second, pair = (
                field(record, name, str, place) for name in ("sentence1", "sentence2", "pairID")
            )
            examples.append(PairExample(pair, first, second, label(gold, NLI, place)))
    return _checked(examples, where)


def anli(data: bytes, where: str) -> list[PairExample]:
    """Read one round's ``train.jsonl``, ``dev.jsonl`` or ``test.jsonl`` of ANLI.

    Raises:
        DataError: a label outside ``c``, ``e``, ``n``, or a blinded or malformed file.
    """
    examples = []
    for place, record in parse_lines(data, where):
        uid, context, hypothesis, gold = (
            field(record, name, str, place) for name in ("uid", "context", "hypothesis", "label")
        )
        examples.append(PairExample(uid, context, hypothesis, label(gold, NLI_LETTERS, place)))
    return _checked(examples, where)


def pair_rows(data: bytes, where: str, *, labels: str) -> list[PairExample]:
    """Read somebody's own pairs: ``first text<TAB>second text<TAB>label``, without a header.

    Args:
        data: the bytes of the file.
        where: its name, for errors.
        labels: those that the task has, apart by spaces.

    Raises:
        DataError: an empty text, a label outside the set, or a blinded or malformed file.
    """
    allowed = {name: name for name in labels.split()}
    examples = []
    for number, (place, cells) in enumerate(rows(data, where, OWN_COLUMNS)):
        refuse_empty(cells, OWN_COLUMNS, place)
        first, second, gold = cells
        examples.append(PairExample(str(number), first, second, label(gold, allowed, place)))
    return _checked(examples, where)


def _read_table(
    data: bytes, where: str, columns: tuple[str, ...], labels: dict[str, str], *, cut_rows: int = 0
) -> list[PairExample]:
    """Read a table whose ``columns`` are id, first text, second text and label."""
    examples = [
        PairExample(pair, first, second, label(gold, labels, place))
        for place, (pair, first, second, gold) in table(data, where, columns, cut_rows=cut_rows)
    ]
    return _checked(examples, where)


def _checked(examples: list[PairExample], where: str) -> list[PairExample]:
    refuse_blinded([example.label for example in examples], where)
    return examples
