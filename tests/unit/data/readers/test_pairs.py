"""Sentence pairs: every reader gives back what a plain writer wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.data.readers.pairs import anli, mnli, pawsx, qqp, snli, xnli
from stilts_artifact.domain.examples import PairExample
from tests.unit.data.readers.checks import CELL, TRICKY, refused

NLI = ("contradiction", "entailment", "neutral")
PARSES = ("sentence1_binary_parse", "sentence2_binary_parse", "sentence1_parse", "sentence2_parse")
TRAIN = (
    "index",
    "promptID",
    "pairID",
    "genre",
    *PARSES,
    "sentence1",
    "sentence2",
    "label1",
    "gold_label",
)
DEV = (*TRAIN[:-1], "label2", "label3", "label4", "label5", "gold_label")
XNLI = ("language", "gold_label", *PARSES, "sentence1", "sentence2", "promptID", "pairID", "genre")
XNLI += (
    "label1",
    "label2",
    "label3",
    "label4",
    "label5",
    "sentence1_tokenized",
    "sentence2_tokenized",
    "match",
)
WRITTEN = {
    "contradiction": PairExample("1", TRICKY, "b", "contradiction"),
    "neutral": PairExample("2", '"unbalanced', "'", "neutral"),
}


def pairs(labels: Sequence[str]) -> st.SearchStrategy[list[PairExample]]:
    return st.lists(
        st.builds(PairExample, CELL, CELL, CELL, st.sampled_from(labels)), min_size=1, max_size=15
    )


def tsv(
    columns: Sequence[str], names: Sequence[str], examples: list[PairExample], language: str = "de"
) -> bytes:
    """Write examples into the columns ``names`` (id, first, second, label) of a wider table."""
    lines = ["\t".join(columns)]
    for example in examples:
        cells = dict.fromkeys(columns, "-") | {"language": language}
        cells |= dict(
            zip(names, (example.id, example.first, example.second, example.label), strict=True)
        )
        lines.append("\t".join(cells[column] for column in columns))
    return "".join(f"{line}\n" for line in lines).encode()


NAMES = ("pairID", "sentence1", "sentence2", "gold_label")


@pytest.mark.slow
@given(pairs(NLI), st.sampled_from([TRAIN, DEV]))
def test_mnli(examples: list[PairExample], columns: Sequence[str]) -> None:
    assert mnli(tsv(columns, NAMES, examples), "f") == examples


@pytest.mark.slow
@given(pairs(NLI), pairs(NLI))
def test_xnli_takes_one_language(german: list[PairExample], thai: list[PairExample]) -> None:
    _, *rest = tsv(XNLI, NAMES, thai, "th").split(b"\n")
    both = tsv(XNLI, NAMES, german, "de") + b"\n".join(rest)
    assert xnli(both, "f", language="de") == german
    assert xnli(both, "f", language="th") == thai


@pytest.mark.slow
@given(pairs(["0", "1"]))
def test_qqp(examples: list[PairExample]) -> None:
    names = ("id", "question1", "question2", "is_duplicate")
    assert qqp(tsv(("id", "qid1", "qid2", *names[1:]), names, examples), "f") == examples


@pytest.mark.slow
@given(pairs(["0", "1"]))
def test_pawsx(examples: list[PairExample]) -> None:
    names = ("id", "sentence1", "sentence2", "label")
    assert pawsx(tsv(names, names, examples), "f") == examples


def test_pawsx_keeps_missing_translations() -> None:
    assert pawsx(b"id\tsentence1\tsentence2\tlabel\n1\tNS\tNS\t0\n", "f") == [
        PairExample("1", "NS", "NS", "0")
    ]


@pytest.mark.slow
@given(pairs(NLI))
def test_snli_drops_pairs_without_label(examples: list[PairExample]) -> None:
    lines = [
        {
            "gold_label": gold,
            "sentence1": e.first,
            "sentence2": e.second,
            "pairID": e.id,
            "captionID": "x",
        }
        for e in examples
        for gold in (e.label, "-")
    ]
    assert snli("\n".join(map(json.dumps, lines)).encode(), "f") == examples


@pytest.mark.slow
@given(pairs(NLI))
def test_anli_names_its_labels_in_full(examples: list[PairExample]) -> None:
    lines = [
        {
            "uid": e.id,
            "context": e.first,
            "hypothesis": e.second,
            "label": e.label[0],
            "genre": "news",
        }
        for e in examples
    ]
    assert (
        anli("\n".join(json.dumps(line, ensure_ascii=False) for line in lines).encode(), "f")
        == examples
    )


@pytest.mark.parametrize("read", [mnli, lambda data, where: xnli(data, where, language="de")])
def test_the_tricky_sentence_survives(read: Callable[[bytes, str], list[PairExample]]) -> None:
    examples = list(WRITTEN.values())
    columns = XNLI if read is not mnli else DEV
    assert read(tsv(columns, NAMES, examples), "f") == examples


def test_faults_name_line_and_labels() -> None:
    wrong = [*WRITTEN.values(), PairExample("3", "a", "b", "contradictory")]
    refused(
        lambda: mnli(tsv(DEV, NAMES, wrong), "dev.tsv"),
        "dev.tsv:4",
        "'contradictory'",
        "'contradiction' or",
    )
    refused(
        lambda: xnli(tsv(XNLI, NAMES, wrong[:2]), "f", language="sw"),
        "no row in language 'sw'",
        "de",
    )
    refused(
        lambda: anli(b'{"uid": "", "context": "", "hypothesis": "", "label": "entailment"}', "f"),
        "f:1",
        "'e'",
    )
    blinded = [PairExample(str(i), "a", "b", "neutral") for i in range(21)]
    refused(
        lambda: xnli(tsv(XNLI, NAMES, blinded), "f", language="de"),
        "every label is the same",
        "XTREME",
    )
    refused(lambda: mnli(tsv(DEV, NAMES, blinded), "f"), "every label is the same")


def test_qqp_leaves_out_as_many_cut_rows_as_are_known_and_no_more() -> None:
    header = b"id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    rows = b"1\t1\t2\tcut\n2\t3\t4\ta\tb\t1\n"
    assert [example.id for example in qqp(header + rows, "f", cut_rows="1")] == ["2"]
    refused(lambda: qqp(header + rows, "f"), "f:2", "missing columns: question2, is_duplicate")
    refused(lambda: qqp(header + rows + b"3\n", "f", cut_rows="1"), "f:4", "missing columns")
    refused(
        lambda: qqp(header + b"1\t1\t2\ta\tb\t1\tmore\n", "f", cut_rows="1"), "f:2", "extra columns"
    )
