"""What the treebanks say of a word's form is what its suffixes were drawn for."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from stilts_artifact.miniworld import SEED, grammar, languages
from stilts_artifact.miniworld.grammar import Grammar
from stilts_artifact.miniworld.lexicon import lexicon
from stilts_artifact.miniworld.meanings import Event, Name, Place, Thing
from stilts_artifact.miniworld.syntax import tree
from stilts_artifact.miniworld.tasks_tagging import conllu, sentences

# "The dogs will not see a house near Old Town."
DOGS = Event(
    verb="see",
    agent=Thing("dog", number=0),
    patient=Thing("house", definite=False),
    place=Place("near", Name("LOC", ("old", 3))),
    tense="future",
    negated=True,
)


def bundles(own: Grammar, event: Event) -> dict[str, list[str]]:
    """Part of speech -> the features of its words, those without left out."""
    found: dict[str, list[str]] = {}
    for word in tree(own, event):
        if word.features != "_":
            found.setdefault(word.upos, []).append(word.features)
    return found


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("qac", {}),
        ("qen", {"NOUN": ["Number=Plur", "Number=Sing"], "VERB": ["Tense=Pres"]}),
        (
            "qad",
            {
                "NOUN": ["Case=Nom|Number=Plur", "Case=Acc|Number=Sing"],
                "VERB": ["Number=Plur|Tense=Fut"],
                "PROPN": ["Case=Nom"],
            },
        ),
        # The negation is a clitic, and what follows it is said there.
        (
            "qaf",
            {
                "NOUN": [
                    "Case=Nom|Definite=Def|Number=Plur",
                    "Case=Acc|Definite=Ind|Number=Sing",
                ],
                "PART": ["Number=Plur|Polarity=Neg|Tense=Fut"],
                "PROPN": ["Case=Nom"],
            },
        ),
    ],
)
def test_features_are_those_of_the_suffixes_that_a_language_has(
    code: str, expected: dict[str, list[str]]
) -> None:
    assert bundles(grammar(code), DOGS) == expected


def test_a_bound_adposition_is_a_case_and_a_clitic_one_a_word() -> None:
    """As in the family of languages, where no suffix is a clitic."""
    qag = languages["qag"]
    own = Grammar(replace(qag, clitic=()), lexicon(SEED))
    assert bundles(own, DOGS)["PROPN"] == ["Case=Ade"]
    assert bundles(own, DOGS)["VERB"] == ["Number=Plur|Polarity=Neg|Tense=Fut"]
    at_night = bundles(own, DOGS._replace(place=None, time="night"))["NOUN"]
    assert "Case=Tem|Definite=Ind|Number=Sing" in at_night
    (adposition,) = [word for word in tree(grammar("qag"), DOGS) if word.upos == "ADP"]
    assert (adposition.kind, adposition.features) == ("clitic", "_")


@pytest.mark.slow
@pytest.mark.parametrize("code", languages)
def test_form_and_features_of_a_lemma_tell_each_other(code: str) -> None:
    """But for the bare words of a name, and hosts whose clitic says it for them."""
    own = grammar(code)
    forms: dict[tuple[str, str, str], set[str]] = {}
    features: dict[tuple[str, str, str], set[str]] = {}
    for told in sentences(SEED, ("morphology", code), "dev", 400):
        for word, following in pairwise(tree(own, told)):
            if (
                word.kind == "empty"
                or word.upos == "PROPN"
                or "clitic" in (word.kind, following.kind)
            ):
                continue
            forms.setdefault((word.lemma, word.upos, word.features), set()).add(word.form)
            features.setdefault((word.lemma, word.upos, word.form), set()).add(word.features)
    assert len(forms) > 150
    assert all(len(found) == 1 for found in (*forms.values(), *features.values()))


def test_a_treebank_has_a_lemma_of_every_word_and_features_where_there_are_any() -> None:
    own = grammar("qad")
    rows = [
        line.split("\t")
        for told in sentences(SEED, ("morphology",), "dev", 100)
        for line in conllu(own, told, "1").splitlines()
        if line[:1].isdecimal() and line.split("\t")[0].isdecimal()
    ]
    assert len(rows) > 500
    assert all(row[2] != "_" for row in rows)
    assert sum(row[5] != "_" for row in rows) > 0.4 * len(rows)
