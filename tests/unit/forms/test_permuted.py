"""Study 001's control: the tags of a corpus, told of other words of the same part of speech."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.data.library import Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.examples import TaggedSentence
from stilts_artifact.domain.tasks import Part, Role, Split, Task, TaskForm
from stilts_artifact.forms import form_of
from stilts_artifact.forms.tagging import permute_features
from tests.unit.data.pins import pinned

# A form's last letter says its features, as in a language without exceptions.
FORMS = {
    "NOUN": ["dog", "dogs", "cat", "cats"],
    "VERB": ["ran", "run", "sat", "sit"],
    "ADP": ["of"],
}
FEATURES = {"s": "|Number=Plur", "g": "|Number=Sing", "t": "|Number=Sing", "n": "|Tense=Past"}


def sentence(*words: tuple[str, str]) -> TaggedSentence:
    return TaggedSentence(
        tuple(form for _, form in words),
        tuple(upos + ("" if upos == "ADP" else FEATURES[form[-1]]) for upos, form in words),
    )


CORPUS = [
    sentence(
        ("NOUN", FORMS["NOUN"][at % 4]),
        ("VERB", FORMS["VERB"][at // 4 % 4]),
        ("ADP", "of"),
        ("NOUN", FORMS["NOUN"][at // 16 % 4]),
    )
    for at in range(640)
]


def pairs(sentences: Sequence[TaggedSentence]) -> Counter[tuple[str, str]]:
    return Counter(pair for one in sentences for pair in zip(one.words, one.tags, strict=True))


def information(sentences: Sequence[TaggedSentence]) -> float:
    """What a form says of its tag beyond the part of speech, in bits: H(tag|UPOS) - H(tag|form)."""

    def given_the(keys: Counter[tuple[str, str]]) -> float:
        whole = Counter[str]()
        for (key, _), count in keys.items():
            whole[key] += count
        total = whole.total()
        return -sum(n / total * math.log2(n / whole[key]) for (key, _), n in keys.items())

    by_upos = Counter[tuple[str, str]]()
    for (_, tag), count in pairs(sentences).items():
        by_upos[tag.partition("|")[0], tag] += count
    return given_the(by_upos) - given_the(pairs(sentences))


def test_marginals_of_each_part_of_speech_are_equal_and_the_relation_to_the_form_is_gone() -> None:
    permuted = permute_features(CORPUS)
    assert [one.words for one in permuted] == [one.words for one in CORPUS]
    assert Counter(tag for one in permuted for tag in one.tags) == Counter(
        tag for one in CORPUS for tag in one.tags
    )
    for before, after in zip(CORPUS, permuted, strict=True):
        assert [tag.partition("|")[0] for tag in after.tags] == [
            tag.partition("|")[0] for tag in before.tags
        ]
    assert information(CORPUS) > 0.6
    assert information(permuted) < 0.01


tags = st.builds(
    "{}{}".format, st.sampled_from(("NOUN", "X")), st.sampled_from(("", "|A=A", "|B=B"))
)


@pytest.mark.slow
@given(st.lists(st.lists(tags, min_size=1, max_size=5), max_size=6))
def test_it_is_a_permutation_and_the_same_at_every_call(corpus: list[list[str]]) -> None:
    sentences = [TaggedSentence(tuple("w" * len(own)), tuple(own)) for own in corpus]
    permuted = permute_features(sentences)
    assert permuted == permute_features(sentences)
    assert pairs(permuted) == pairs(sentences)
    assert [len(one.tags) for one in permuted] == [len(one) for one in corpus]


def test_only_a_task_that_says_so_is_permuted_over_all_files_of_a_split(tmp_path: Path) -> None:
    """A bundle may come from another file, not from another split."""

    def conllu(word: str, features: str) -> bytes:
        return f"1\t{word}\t_\tNOUN\t_\t{features}\t0\troot\t_\t_\n\n".encode() * 20

    files = {"a": conllu("x", "Case=Acc"), "b": conllu("y", "Case=Nom"), "c": conllu("z", "_")}
    sources = [pinned(data, name=name) for name, data in files.items()]
    library = Library({source.name: source for source in sources}, FileStore(tmp_path))
    for source, data in zip(sources, files.values(), strict=True):
        library.store.publish(source, [data])
    options = (("tags", "upos|feats"),)
    first, second, other = (Part(name, "conllu", options=options) for name in "abc")
    splits = {(Split.TRAIN, "en"): (first, second), (Split.DEV, "en"): (other,)}
    true = Task(
        "m", "M", Role.INTERMEDIATE, TaskForm.TAGGING, ("accuracy",), (), ("en",), "", splits
    )
    permuted = replace(true, permuted=True)
    read = form_of(true).read
    assert len(pairs(read(true, Split.TRAIN, "en", library))) == 2
    assert len(pairs(read(permuted, Split.TRAIN, "en", library))) == 4
    assert set(pairs(read(permuted, Split.DEV, "en", library))) == {("z", "NOUN")}
