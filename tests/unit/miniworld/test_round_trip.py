"""What the mini world writes, the readers of upstream's formats read: every part of every task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stilts_artifact.benchmark.assemble import mini_benchmark
from stilts_artifact.benchmark.pins import Pin
from stilts_artifact.data.archive import read_members
from stilts_artifact.data.readers import READERS
from stilts_artifact.domain.examples import ChoiceExample, PairExample, SpanExample, TaggedSentence
from stilts_artifact.domain.tasks import Part, Split, TaskForm
from stilts_artifact.miniworld import FILES, SOURCE_LANGUAGE, build, languages

pytestmark = pytest.mark.slow

WORLD = mini_benchmark({name: Pin(1, "0" * 64) for name in FILES})
READ: dict[tuple[str, str | None, tuple[tuple[str, str], ...]], list[Any]] = {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("miniworld")


def stored(name: str, folder: Path) -> Path:
    """A file of the mini world, made when it is first asked for."""
    path = folder / name.replace("/", "~")
    if not path.exists():
        path.write_bytes(build(name))
    return path


def examples_of(part: Part, folder: Path) -> list[Any]:
    key = (part.source, part.member, part.options)
    if key not in READ:
        path = stored(part.source, folder)
        found = (
            {part.source: path.read_bytes()}
            if part.member is None
            else read_members(path, [part.member])
        )
        read = READERS[part.reader]
        READ[key] = [
            example
            for name in sorted(found)
            for example in read(found[name], name, **dict(part.options))
        ]
    return READ[key]


def splits(task: str, folder: Path) -> Iterator[tuple[Split, str, list[list[Any]]]]:
    for (split, language), parts in WORLD.tasks[task].parts.items():
        yield split, language, [examples_of(part, folder) for part in parts]


def test_the_files_are_those_that_the_tasks_read() -> None:
    assert set(FILES) == set(WORLD.sources)
    assert len(FILES) == len(set(FILES))


@pytest.mark.parametrize(
    "task", [name for name, task in WORLD.tasks.items() if task.form is TaskForm.PAIR]
)
def test_pairs_are_balanced_and_met_in_one_split_only(task: str, folder: Path) -> None:
    decided: dict[str, dict[Split, set[str]]] = {}
    for split, language, parts in splits(task, folder):
        pairs: list[PairExample] = [pair for part in parts for pair in part]
        counts = Counter(pair.label for pair in pairs)
        assert max(counts.values()) - min(counts.values()) <= 0.02 * len(pairs) + 1, (
            split,
            language,
            counts,
        )
        assert set(counts) == set(WORLD.tasks[task].labels)
        texts = [(pair.first, pair.second) for pair in pairs]
        if task != "anli_plus":  # joins corpora that are drawn apart
            assert len(set(texts)) == len(texts)
        deciding = (
            0 if "0" in counts else 1
        )  # the text by which the generator tells the splits apart
        decided.setdefault(language, {})[split] = {text[deciding] for text in texts}
    for found in decided.values():
        for one in found:
            for other in found:
                assert one is other or not found[one] & found[other]


@pytest.mark.parametrize("task", ["xnli", "pawsx"])
def test_the_same_pairs_in_every_language(task: str, folder: Path) -> None:
    by_split: dict[Split, dict[str, list[PairExample]]] = {}
    for split, language, (pairs, *_) in splits(task, folder):
        by_split.setdefault(split, {})[language] = pairs
    for split in (Split.DEV, Split.TEST):
        golds = {
            language: [(pair.id, pair.label) for pair in pairs]
            for language, pairs in by_split[split].items()
        }
        assert set(golds) == set(languages)
        assert all(gold == golds[SOURCE_LANGUAGE] for gold in golds.values())


@pytest.mark.parametrize(
    "task", [name for name, task in WORLD.tasks.items() if task.form is TaskForm.CHOICE]
)
def test_right_choices_stand_everywhere_and_differ_from_the_wrong_ones(
    task: str, folder: Path
) -> None:
    for split, _, (items,) in splits(task, folder):
        chosen: list[ChoiceExample] = items
        counts = Counter(item.label for item in chosen)
        assert min(counts.values()) > 0.6 * len(chosen) / len(counts), (split, counts)
        assert all(len(set(item.choices)) == len(item.choices) for item in chosen)
        prompts = {(item.prompt, item.choices) for item in chosen}
        assert len(prompts) == len(chosen)


@pytest.mark.parametrize(
    "task", [name for name, task in WORLD.tasks.items() if task.form is TaskForm.SPAN]
)
def test_answers_are_whole_words_of_their_context(task: str, folder: Path) -> None:
    contexts: dict[Split, set[str]] = {}
    for split, language, (questions,) in splits(task, folder):
        found: list[SpanExample] = questions
        assert len(found) >= 100, (split, language)
        for example in found:
            for answer in example.answers:
                end = answer.start + len(answer.text)
                assert example.context[end] in " ."
                assert answer.start == 0 or example.context[answer.start - 1] == " "
        unanswerable = sum(not example.answers for example in found) / len(found)
        assert 0.28 < unanswerable < 0.38 if task == "squad_v2" else unanswerable == 0
        contexts.setdefault(split, set()).update(example.context for example in found)
    for one in contexts:
        assert all(one is other or not contexts[one] & contexts[other] for other in contexts)


@pytest.mark.parametrize(
    "task", [name for name, task in WORLD.tasks.items() if task.form is TaskForm.TAGGING]
)
def test_every_tag_of_the_task_occurs_in_every_large_split(task: str, folder: Path) -> None:
    for split, language, parts in splits(task, folder):
        sentences: list[TaggedSentence] = [sentence for part in parts for sentence in part]
        tags = {tag for sentence in sentences for tag in sentence.tags}
        if task == "panx":
            assert tags == set(WORLD.tasks[task].labels), (split, language)
        elif task == "ccg":
            assert 20 <= len(tags) <= 60
        else:
            assert len(tags) >= 10, (split, language, tags)
        assert len({sentence.words for sentence in sentences}) > 0.97 * len(sentences)


def test_supertags_of_dev_and_test_are_known_from_train(folder: Path) -> None:
    tags = {
        split: {tag for part in parts for sentence in part for tag in sentence.tags}
        for split, _, parts in splits("ccg", folder)
    }
    assert tags[Split.DEV] <= tags[Split.TRAIN]


def test_fused_tokens_take_the_tag_of_their_host(folder: Path) -> None:
    """A multiword token is one word to the reader, tagged as the noun or verb with the clitics."""
    path = stored("ud-treebanks-v2.5.tgz", folder)
    data = read_members(path, ["ud-treebanks-v2.5/*/qag_*-ud-test.conllu"])
    (text,) = (content.decode() for content in data.values())
    fused = {
        line.split("\t")[1]
        for line in text.splitlines()
        if "-" in line.split("\t")[0] and line[0] != "#"
    }
    assert len(fused) > 50
    tagged = {
        (word, tag)
        for sentence in READERS["conllu"](text.encode(), "qag")
        for word, tag in zip(sentence.words, sentence.tags, strict=True)
        if word in fused
    }
    assert {tag for _, tag in tagged} <= {"NOUN", "VERB", "PROPN", "NUM", "AUX"}
    assert "\n# text = " in text
    assert any(".1\t" in line[:5] for line in text.splitlines())


@pytest.mark.parametrize("code", languages)
def test_tokens_of_a_treebank_make_up_its_text(code: str, folder: Path) -> None:
    path = stored("ud-treebanks-v2.5.tgz", folder)
    for content in read_members(path, [f"ud-treebanks-v2.5/*/{code}_*-ud-test.conllu"]).values():
        texts = [
            line.removeprefix("# text = ")
            for line in content.decode().splitlines()
            if line.startswith("# text")
        ]
        sentences = READERS["conllu"](content, code)
        assert texts == [
            " ".join(sentence.words[:-1]) + sentence.words[-1] for sentence in sentences
        ]


def test_gold_pairs_name_lines_of_the_corpora(folder: Path) -> None:
    for split, language, (source, target, gold) in splits("bucc2018", folder):
        sources, targets = {line.id for line in source}, {line.id for line in target}
        assert len(gold) == (60 if split is Split.DEV else 200)
        assert all(pair.source in sources and pair.target in targets for pair in gold), language
        assert len({line.text for line in source}) == len(source)
        assert len({line.text for line in target}) == len(target)


def test_tatoeba_sides_are_aligned_and_unique(folder: Path) -> None:
    for _, language, (source, target) in splits("tatoeba", folder):
        assert len(source) == len(target) == 300, language
        assert len({line.text for line in source}) == len({line.text for line in target}) == 300
