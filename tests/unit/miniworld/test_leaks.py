"""No part of an item gives the label away: what a bag of words learns from it alone is chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from math import log

import pytest

from stilts_artifact.data.readers import READERS
from stilts_artifact.domain.examples import ChoiceExample
from stilts_artifact.miniworld import SEED, SOURCE_LANGUAGE, build
from stilts_artifact.miniworld.grammar import grammar
from stilts_artifact.miniworld.inference import LABELS
from stilts_artifact.miniworld.tasks_nli import MNLI_SIZES, texts
from stilts_artifact.miniworld.tasks_nli import pairs as inferences
from stilts_artifact.miniworld.tasks_paraphrase import pairs as paraphrases

pytestmark = pytest.mark.slow

Labelled = Sequence[tuple[set[str], str]]


def features(text: str) -> set[str]:
    """Words, pairs of neighbours, and the length."""
    words = text.rstrip(".?").split()
    return {*words, *(f"{one} {two}" for one, two in pairwise(words)), f"length {len(words)}"}


def difference(first: str, second: str) -> set[str]:
    """Which words only one of two texts has: what a reader who compares has to go by."""
    one, two = set(first.rstrip(".?").split()), set(second.rstrip(".?").split())
    return {
        *(f"-{word}" for word in one - two),
        *(f"+{word}" for word in two - one),
        f"{len(two - one)} new",
    }


def naive_bayes(train: Labelled, test: Labelled) -> float:
    """Accuracy of a Bernoulli naive Bayes classifier on the features that are present."""
    totals = Counter(label for _, label in train)
    counts = {
        label: Counter(f for found, own in train if own == label for f in found) for label in totals
    }

    def score(label: str, found: set[str]) -> float:
        return log(totals[label]) + sum(
            log((counts[label][f] + 0.5) / (totals[label] + 1)) for f in sorted(found)
        )

    right = sum(
        max(sorted(totals), key=lambda label: score(label, found)) == gold for found, gold in test
    )
    return right / len(test)


@cache
def inference_texts(split: str) -> list[tuple[str, str, str]]:
    size = MNLI_SIZES["train"] if split == "train" else 900
    drawn = inferences(SEED, "mnli", split, size)
    return [(*texts(pair, SOURCE_LANGUAGE, SEED), pair.label) for pair in drawn]


def labelled(split: str, part: int) -> Labelled:
    return [(features(row[part]), row[2]) for row in inference_texts(split)]


def test_the_hypothesis_alone_does_not_tell() -> None:
    assert naive_bayes(labelled("train", 1), labelled("test", 1)) < 0.40


def test_the_premise_alone_tells_little() -> None:
    """Premises of different labels must differ in what they lack or deny; that shows, no more."""
    assert naive_bayes(labelled("train", 0), labelled("test", 0)) < 0.48


def test_the_classifier_of_these_tests_can_learn() -> None:
    """The same classifier does well on the difference of the texts: its failure above counts."""
    train, test = (
        [(difference(first, second), label) for first, second, label in inference_texts(split)]
        for split in ("train", "test")
    )
    assert naive_bayes(train, test) > 0.7


def test_negation_is_as_frequent_in_hypotheses_of_every_label() -> None:
    drawn = inferences(SEED, "mnli", "train", MNLI_SIZES["train"])
    shares = [
        sum(pair.hypothesis.negated for pair in drawn if pair.label == label) * 3 / len(drawn)
        for label in LABELS
    ]
    assert max(shares) - min(shares) < 0.06, shares


@pytest.mark.parametrize("side", ["first", "second"])
@pytest.mark.parametrize("name", ["qqp", "pawsx"])
def test_one_text_of_a_pair_does_not_tell(name: str, side: str) -> None:
    own = grammar(SOURCE_LANGUAGE)
    train, test = (
        [
            (features(own.text(getattr(pair, side))), str(pair.same))
            for pair in paraphrases(SEED, name, split, size)
        ]
        for split, size in (("train", 3600), ("test", 600))
    )
    assert naive_bayes(train, test) < 0.57


CHOICE_FILES = {
    "hellaswag": ("hellaswag_train.jsonl", "hellaswag_val.jsonl"),
    "cosmosqa": ("cosmosqa/train.csv", "cosmosqa/valid.csv"),
    "commonsenseqa": ("commonsenseqa/train_rand_split.jsonl", "commonsenseqa/dev_rand_split.jsonl"),
}


@pytest.mark.parametrize("name", CHOICE_FILES)
def test_the_choices_alone_do_not_tell(name: str) -> None:
    train, test = (READERS[name](build(file), file) for file in CHOICE_FILES[name])
    weights = _weights(train)
    chance = 1 / len(test[0].choices)
    right = sum(
        max(
            range(len(item.choices)),
            key=lambda i: sum(weights[f] for f in sorted(features(item.choices[i]))),
        )
        == item.label
        for item in test
    )
    assert right / len(test) < chance + 0.09


def _weights(train: Sequence[ChoiceExample]) -> Counter[str]:
    """How much a feature speaks for a choice being right (log ratio)."""
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for item in train:
        for index, choice in enumerate(item.choices):
            (right if index == item.label else wrong).update(features(choice))
    others = len(train[0].choices) - 1
    return Counter({f: log((right[f] + 0.5) / (wrong[f] / others + 0.5)) for f in {*right, *wrong}})


@pytest.mark.parametrize("name", CHOICE_FILES)
def test_the_right_choice_is_not_the_odd_one_out(name: str) -> None:
    """The longest choice, the shortest, the one most like the others: right by chance, no more."""
    items = READERS[name](build(CHOICE_FILES[name][0]), name)
    chance = 1 / len(items[0].choices)

    def likeness(item: ChoiceExample, index: int) -> int:
        words = set(item.choices[index].split())
        return sum(len(words & set(other.split())) for other in item.choices)

    for key in (lambda item, index: len(item.choices[index]), likeness):
        for sign in (1, -1):
            right = 0.0
            for item in items:
                scores = [sign * key(item, index) for index in range(len(item.choices))]
                best = [index for index, score in enumerate(scores) if score == max(scores)]
                right += (item.label in best) / len(best)
            assert right / len(items) < chance + 0.06, (key, sign)
