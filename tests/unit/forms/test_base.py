from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stilts_artifact.data import library as module
from stilts_artifact.data.library import Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.examples import (
    Answer,
    ChoiceExample,
    ComparableCorpus,
    GoldPair,
    PairExample,
    Sentence,
    SentencePair,
    SpanExample,
    TaggedSentence,
)
from stilts_artifact.domain.tasks import Part, Role, Split, Task, TaskForm
from stilts_artifact.errors import ConfigError, DataError, MissingDataError
from stilts_artifact.forms import FORMS, MINING, TAGGING, form_of
from tests.unit.data.archives import packed
from tests.unit.data.pins import pinned

SOURCE_TEXT = b"de-1\tEins\nde-2\tZwei\nde-3\tDrei\n"
TARGET_TEXT = b"en-7\tSeven\nen-2\tTwo\n"
GOLD = b"de-2\ten-2\n"


def task(kind: TaskForm, *parts: Part, languages: tuple[str, ...] = ("de",)) -> Task:
    splits = {(Split.TEST, "de"): parts}
    return Task("sample", "Sample", Role.TARGET, kind, ("f1",), (), languages, "CC0", splits)


def read_split(sample: Task, split: Split, language: str, library: Library) -> Any:
    return form_of(sample).read(sample, split, language, library)


def library_of(tmp_path: Path, **files: bytes) -> Library:
    """A library of plain sources, all in the store."""
    sources = [pinned(data, name=name) for name, data in files.items()]
    library = Library({source.name: source for source in sources}, FileStore(tmp_path))
    for source, data in zip(sources, files.values(), strict=True):
        library.store.publish(source, [data])
    return library


def read_mining(
    tmp_path: Path, source: bytes = SOURCE_TEXT, target: bytes = TARGET_TEXT, gold: bytes = GOLD
) -> object:
    library = library_of(tmp_path, source=source, target=target, gold=gold)
    parts = (Part("source", "bucc_text"), Part("target", "bucc_text"), Part("gold", "bucc_gold"))
    return read_split(task(TaskForm.MINING, *parts), Split.TEST, "de", library)


def read_search(tmp_path: Path, source: bytes, target: bytes) -> object:
    library = library_of(tmp_path, source=source, target=target)
    return read_split(
        task(TaskForm.SEARCH, Part("source", "lines"), Part("target", "lines")),
        Split.TEST,
        "de",
        library,
    )


def test_parts_and_their_files_are_joined_in_order(tmp_path: Path) -> None:
    def conllu(word: str) -> bytes:
        return f"1\t{word}\t_\tNOUN\t_\t_\t0\troot\t_\t_\n\n".encode()

    archive = packed("tar.gz", {f"ud/{name}.conllu": conllu(name) for name in ("c", "a", "b")})
    library = library_of(tmp_path, archive=archive, more=conllu("z"))
    options = (("language", "de"),)
    parts = (
        Part("more", "conllu", None, options),
        Part("archive", "conllu", "ud/*.conllu", options),
    )
    data = read_split(task(TaskForm.TAGGING, *parts), Split.TEST, "de", library)
    assert data == [TaggedSentence((word,), ("NOUN",)) for word in "zabc"]
    assert TAGGING.size(data) == 4


def test_search_pairs_line_with_line(tmp_path: Path) -> None:
    data = read_search(tmp_path, b"Hallo\nTsch\xc3\xbcss\n", b"Hello\nBye")
    assert data == [SentencePair("Hallo", "Hello"), SentencePair("Tschüss", "Bye")]


def test_search_with_sides_of_unequal_length_names_files_and_counts(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_search(tmp_path, b"one\ntwo\n", b"eins\n")
    assert "source, target" in str(caught.value)
    assert "2 and 1" in str(caught.value)


def test_mining_gives_the_corpus_and_counts_gold_pairs(tmp_path: Path) -> None:
    data = read_mining(tmp_path)
    assert data == ComparableCorpus(
        (Sentence("de-1", "Eins"), Sentence("de-2", "Zwei"), Sentence("de-3", "Drei")),
        (Sentence("en-7", "Seven"), Sentence("en-2", "Two")),
        (GoldPair("de-2", "en-2"),),
    )
    assert isinstance(data, ComparableCorpus)
    assert MINING.size(data) == 1


def test_files_of_a_split_in_one_tar_are_read_in_one_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[object] = []
    really_read = module.read_members

    def counting(path: Path, names: set[str]) -> dict[str, bytes]:
        passes.append(names)
        return really_read(path, names)

    monkeypatch.setattr(module, "read_members", counting)
    library = library_of(
        tmp_path, tar=packed("tar.bz2", {"x.de": SOURCE_TEXT, "x.en": TARGET_TEXT, "x.gold": GOLD})
    )
    parts = (
        Part("tar", "bucc_text", "x.de"),
        Part("tar", "bucc_text", "x.en"),
        Part("tar", "bucc_gold", "x.gold"),
    )
    assert MINING.size(read_split(task(TaskForm.MINING, *parts), Split.TEST, "de", library)) == 1
    assert passes == [{"x.de", "x.en", "x.gold"}]


@pytest.mark.parametrize(
    ("gold", "place", "identity"),
    [
        (b"de-1\ten-7\nde-9\ten-2\n", "gold:2", "de-9"),
        (b"de-1\ten-9\n", "gold:1", "en-9"),
        (b"en-2\tde-2\n", "gold:1", "swapped"),
    ],
)
def test_gold_pair_with_an_unknown_id_is_an_error(
    tmp_path: Path, gold: bytes, place: str, identity: str
) -> None:
    with pytest.raises(DataError, match="unknown id") as caught:
        read_mining(tmp_path, gold=gold)
    assert place in str(caught.value)
    assert identity in str(caught.value)


def test_repeated_gold_pair_or_sentence_id_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gold:2"):
        read_mining(tmp_path / "gold", gold=GOLD + GOLD)
    with pytest.raises(DataError, match="target:3"):
        read_mining(tmp_path / "text", target=TARGET_TEXT + b"en-7\tAgain\n")


def test_split_that_the_task_lacks_is_a_usage_error(tmp_path: Path) -> None:
    library = library_of(tmp_path, source=b"x\n")
    sample = task(TaskForm.SEARCH, Part("source", "lines"))
    for split, language in ((Split.DEV, "de"), (Split.TEST, "fr")):
        with pytest.raises(ConfigError, match=f"no {split} split in {language}"):
            read_split(sample, split, language, library)


def test_missing_source_is_named(tmp_path: Path) -> None:
    source = pinned(b"absent\n", name="absent.txt")
    library = Library({"absent.txt": source}, FileStore(tmp_path))
    with pytest.raises(MissingDataError, match=r"absent\.txt"):
        read_split(task(TaskForm.PAIR, Part("absent.txt", "lines")), Split.TEST, "de", library)


def test_split_without_an_example_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stilts_artifact.forms.base.READERS", {"nothing": lambda data, where: []})
    library = library_of(tmp_path, source=b"x\n")
    with pytest.raises(DataError, match="empty test split in de"):
        read_split(task(TaskForm.PAIR, Part("source", "nothing")), Split.TEST, "de", library)


EXAMPLES: list[tuple[TaskForm, Any, list[str]]] = [
    (TaskForm.PAIR, [PairExample("1", "a b.", "c.", "x")], ["a b.", "c."]),
    (TaskForm.CHOICE, [ChoiceExample("1", "a.", ("b.", "c."), 0)], ["a.", "b.", "c."]),
    (TaskForm.TAGGING, [TaggedSentence(("a", "b", "."), ("X", "X", "X"))], ["a b ."]),
    (TaskForm.SPAN, [SpanExample("1", "a?", "b c.", (Answer("b", 0),))], ["b c.", "a?"]),
    (TaskForm.SEARCH, [SentencePair("a.", "b.")], ["a.", "b."]),
    (
        TaskForm.MINING,
        ComparableCorpus((Sentence("1", "a."),), (Sentence("2", "b."),), ()),
        ["a.", "b."],
    ),
]


@pytest.mark.parametrize(("form", "data", "expected"), EXAMPLES)
def test_every_form_of_example_gives_all_its_text(
    form: TaskForm, data: Any, expected: list[str]
) -> None:
    assert list(FORMS[form].texts(data)) == expected
