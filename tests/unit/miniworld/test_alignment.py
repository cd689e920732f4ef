"""The mini world's parallel documents: one telling in every language, no sentence twice."""

from __future__ import annotations

from itertools import groupby

from stilts_artifact.miniworld import SEED, build, grammar, languages
from stilts_artifact.miniworld.languages import SOURCE_LANGUAGE
from stilts_artifact.miniworld.splits import owns
from stilts_artifact.miniworld.tasks_alignment import DOCUMENTS, documents


def file_of(code: str) -> list[str]:
    side = "src" if code == SOURCE_LANGUAGE else "ref"
    return build(f"ntrex/newstest2019-{side}.{code}.txt").decode().split("\r\n")[:-1]


def test_every_language_tells_the_same_documents() -> None:
    ids = build("ntrex/DOCUMENT_IDS.tsv").decode().splitlines()
    told = documents(SEED)
    assert [len(list(group)) for _, group in groupby(ids)] == [len(one) for one in told]
    assert len(set(ids)) == len(told) == DOCUMENTS
    for code in languages:
        own = grammar(code)
        assert file_of(code) == [own.text(event) for document in told for event in document]


def test_no_sentence_is_told_twice_or_is_another_splits() -> None:
    lines = file_of(SOURCE_LANGUAGE)
    assert len(set(lines)) == len(lines) > 120, "more than the mini scale takes"
    assert all(owns("test", line) for line in lines)


def test_the_sentences_of_a_document_are_alike() -> None:
    shared = [
        len(document) - len({event.place for event in document}) for document in documents(SEED)
    ]
    assert sum(map(bool, shared)) > DOCUMENTS / 2
