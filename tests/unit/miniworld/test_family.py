"""The family of languages: what is crossed is crossed, what is drawn by lot goes with nothing."""

from __future__ import annotations

from collections import Counter
from itertools import islice, product
from pathlib import Path

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.languages import FAMILY_CODES
from stilts_artifact.benchmark.pins import read_pins
from stilts_artifact.data.fetch import fetch
from stilts_artifact.data.library import Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Split
from stilts_artifact.forms import form_of
from stilts_artifact.miniworld import SEED, grammar, languages, meanings, realise, serve
from stilts_artifact.miniworld.concepts import CONTENT, SUFFIXES
from stilts_artifact.miniworld.family import AMOUNTS, BOUND, FAMILY, REPLACED, TEXT, family
from stilts_artifact.miniworld.files import FAMILY_FILES
from stilts_artifact.miniworld.lexicon import descended, lexicon
from stilts_artifact.miniworld.meanings import Meaning
from stilts_artifact.miniworld.phonology import change
from stilts_artifact.miniworld.syntax import tree

pytestmark = pytest.mark.slow

SAMPLE: list[Meaning] = list(islice(meanings(SEED, "test"), 300))


def test_every_combination_is_one_language() -> None:
    cells = [
        (len(member.language.bound), member.language.replaced, member.text)
        for member in FAMILY.values()
    ]
    assert sorted(cells) == sorted(product(BOUND, REPLACED, TEXT))
    assert len(cells) == 24


def test_codes_are_the_benchmarks_and_no_shipped_languages() -> None:
    assert tuple(FAMILY) == FAMILY_CODES
    assert not set(FAMILY) & set(languages)
    assert set(AMOUNTS) == {*FAMILY, "qen"}


def test_scripts_and_orders_are_as_even_as_can_be_at_every_level_of_what_is_crossed() -> None:
    members = list(FAMILY.values())
    for level in (lambda m: len(m.language.bound), lambda m: m.language.replaced, lambda m: m.text):
        for value in {level(member) for member in members}:
            own = [member.language for member in members if level(member) == value]
            for kinds, of_all in (
                (Counter(one.script for one in own), 4),
                (Counter(one.order for one in own), 3),
            ):
                assert len(kinds) == of_all
                assert max(kinds.values()) - min(kinds.values()) <= 2


def test_another_lot_assigns_others_and_the_same_lot_the_same() -> None:
    assert list(family()) == list(FAMILY.values())
    assert [m.language.script for m in family(lot=2)] != [m.language.script for m in family(lot=1)]


def test_a_smaller_family_is_data() -> None:
    small = list(family((0, 8), (0.4,), (1, 2)))
    assert [(len(m.language.bound), m.language.replaced, m.text) for m in small] == [
        (0, 0.4, 1),
        (8, 0.4, 1),
        (0, 0.4, 2),
        (8, 0.4, 2),
    ]


@pytest.mark.parametrize("code", FAMILY)
def test_as_much_vocabulary_is_replaced_as_the_design_says_and_no_two_words_are_one(
    code: str,
) -> None:
    parent, language = lexicon(SEED), FAMILY[code].language
    own = descended(parent, language, SEED)
    inherited = sum(
        change(parent.roots["qen"][concept], language.sound_changes) == own.roots[code][concept]
        for concept in CONTENT
    )
    assert 1 - inherited / len(CONTENT) == pytest.approx(language.replaced, abs=0.02)
    assert len(set(own.roots[code].values())) == len(own.roots[code])
    assert set(own.roots[code]) == set(parent.roots["qen"])
    assert set(own.suffixes[code]) == set(SUFFIXES)
    assert len(set(own.suffixes[code].values())) == len(SUFFIXES)


def test_the_more_bound_categories_the_fewer_words_and_nothing_else_counts() -> None:
    """Equal meanings: languages that differ in all but their bound categories have equal counts."""
    counts: dict[int, set[int]] = {}
    for code, member in FAMILY.items():
        words = sum(len(realise(meaning, code).split()) for meaning in SAMPLE)
        counts.setdefault(len(member.language.bound), set()).add(words)
    assert [len(found) for found in counts.values()] == [1, 1, 1, 1]
    (none,), (two,), (four,), (eight,) = (counts[number] for number in (0, 2, 4, 8))
    assert none > two >= four > eight


def test_every_bound_category_is_a_suffix_of_its_word() -> None:
    """No clitics: a treebank's word has all of its morphemes."""
    for code, member in FAMILY.items():
        words = [word for meaning in SAMPLE for word in tree(grammar(code), meaning)]
        assert all(word.kind != "clitic" for word in words)
        inflected = sum(word.form != word.lemma for word in words)
        assert (inflected > 0) == bool(member.language.bound), code


def test_its_files_are_those_that_its_benchmark_reads_and_pins() -> None:
    assert set(FAMILY_FILES) == set(load_benchmark("family").sources)
    assert set(FAMILY_FILES) == set(read_pins("family_pins.tsv"))


def test_training_data_are_the_shipped_worlds() -> None:
    own, shipped = read_pins("family_pins.tsv"), read_pins("mini_pins.tsv")
    assert own["MNLI.zip"] == shipped["MNLI.zip"]
    assert own["wikipedia.qen.txt"] != shipped["wikipedia.qen.txt"], "of another amount"


def test_readers_of_upstreams_formats_read_what_the_pins_say(tmp_path: Path) -> None:
    benchmark = load_benchmark("family")
    library = Library(benchmark.sources, FileStore(tmp_path))
    made = fetch(
        list(benchmark.sources.values()), library, offline=True, openers={"miniworld": serve}
    )
    assert not made.absent
    for task in benchmark.tasks.values():
        for split, language in task.parts:
            assert form_of(task).read(task, split, language, library), (task.name, language)
    texts = form_of(benchmark.tasks["xnli"])
    pairs = {
        code: texts.read(benchmark.tasks["xnli"], Split.TEST, code, library) for code in AMOUNTS
    }
    assert len({tuple(pair.label for pair in own) for own in pairs.values()}) == 1
