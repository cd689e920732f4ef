"""Whatever the bytes are, a reader returns examples or raises an error of ours."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stilts_artifact.data.readers import READERS
from stilts_artifact.errors import ArtifactError

OPTIONS = {
    "xnli": {"language": "de"},
    "tydiqa": {"language": "english"},
    "conllu": {"language": "es"},
    "gold_lines": {"source": "de", "target": "en"},
    "pair_rows": {"labels": "no yes"},
    "parallel": {"side": "target"},
    "tagged_words": {"labels": "O B-LOC"},
}
QUESTION = {"id": "english-1", "question": "?", "answers": [{"text": "b", "answer_start": 2}]}
SQUAD = json.dumps({"data": [{"paragraphs": [{"context": "a b", "qas": [QUESTION]}]}]})
UD = "\t".join(["1", "a", "_", "X", "_", "_", "2", "d", "2:d|1.1:d", "_"])
VALID = {
    "anli": '{"uid": "1", "context": "a", "hypothesis": "b", "label": "e"}\n',
    "bucc_gold": "de-1\ten-1\nde-2\ten-2\n",
    "bucc_text": "de-1\ta\nde-2\tb\n",
    "ccg": "ID=a PARSER=GOLD NUMPARSE=1\n"
    "(<T NP 0 2> (<L NP/N DT DT a NP/N>) (<L N NN NN cat N>) )\n",
    "choice_rows": "a\tb\tc\t1\nd\te\tf\t0\n",
    "commonsenseqa": json.dumps(
        {
            "id": "1",
            "answerKey": "B",
            "question": {
                "stem": "?",
                "choices": [{"label": letter, "text": "t"} for letter in "ABCDE"],
            },
        }
    ),
    "conllu": f"1-2\tab{chr(9)}{chr(9).join('________')}\n{UD}\n{UD.replace('1', '2', 1)}\n\n",
    "cosmosqa": "id,context,question,answer0,answer1,answer2,answer3,label\n"
    '1,"a\n""b""",c,d,e,f,g,0\n',
    "document_ids": "bbc.1\nbbc.1\nrt.com.2\n",
    "gold_lines": "0\t3\n1\t2\n",
    "hellaswag": '{"ind": 1, "ctx_a": "a", "ctx_b": "b", '
    '"endings": ["a", "b", "c", "d"], "label": 0}\n',
    "lines": "a\nb\n",
    "mnli": "pairID\tsentence1\tsentence2\tgold_label\n1\ta\tb\tneutral\n",
    "ntrex": "a\r\nb\r\n",
    "pair_rows": "a\tb\tyes\nc\td\tno\n",
    "panx": "en:a\tO\nen:b\tB-LOC\n\n",
    "parallel": "eins\tone\nzwei\ttwo\n",
    "pawsx": "id\tsentence1\tsentence2\tlabel\n1\ta\tb\t1\n",
    "qqp": "id\tquestion1\tquestion2\tis_duplicate\n1\ta\tb\t1\n",
    "snli": '{"pairID": "1", "sentence1": "a", "sentence2": "b", "gold_label": "neutral"}\n',
    "squad": SQUAD,
    "tagged_words": "a\tO\nb\tB-LOC\n\nc\tO\n",
    "tydiqa": SQUAD,
    "xnli": "language\tgold_label\tsentence1\tsentence2\tpairID\nde\tneutral\ta\tb\t1\n",
}


def only_our_errors(name: str, data: bytes) -> None:
    try:
        examples = READERS[name](data, "f", **OPTIONS.get(name, {}))
    except ArtifactError as error:
        assert "f" in str(error.where)
        assert error.exit_code != 0
    else:
        assert isinstance(examples, list)


def test_every_reader_is_covered() -> None:
    assert VALID.keys() == READERS.keys()


@pytest.mark.parametrize("name", sorted(READERS))
def test_the_samples_are_valid(name: str) -> None:
    assert READERS[name](VALID[name].encode(), "f", **OPTIONS.get(name, {}))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(READERS))
@given(data=st.binary(max_size=60))
@example(data=b"\n")
@example(data=b"[" * 5000)
def test_random_bytes(name: str, data: bytes) -> None:
    only_our_errors(name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(READERS))
@given(seed=st.integers(0, 2**32))
def test_damaged_files(name: str, seed: int) -> None:
    """Cut, repeat, overwrite or insert bytes in a valid file."""
    chance, data = random.Random(seed), bytearray(VALID[name].encode())
    for _ in range(chance.randint(1, 4)):
        start, end = sorted(chance.choices(range(len(data) + 1), k=2))
        piece = bytes(data[start:end])
        insert = [
            b"",
            piece * 2,
            bytes(chance.choices(range(256), k=2)),
            b"\t",
            b"\n",
            b'"',
            b"-",
            b"\\ud800",
            b"{",
            b"9" * 5000,
        ]
        data[start : chance.choice([start, end])] = chance.choice(insert)
    only_our_errors(name, bytes(data))
