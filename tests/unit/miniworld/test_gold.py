"""Gold is exact: an independent judge who sees only the meanings comes to the same labels."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.miniworld import SEED, SOURCE_LANGUAGE, grammar, languages
from stilts_artifact.miniworld import concepts as c
from stilts_artifact.miniworld.categorial import derivation
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.inference import Inference
from stilts_artifact.miniworld.meanings import Compound, Event, Meaning, Place, Thing
from stilts_artifact.miniworld.splits import SplitName, distinct, owns
from stilts_artifact.miniworld.tasks_choice import cause, continuation
from stilts_artifact.miniworld.tasks_nli import pairs as inferences
from stilts_artifact.miniworld.tasks_paraphrase import pairs as paraphrases
from stilts_artifact.miniworld.tasks_retrieval import BUCC_SIZES, corpora
from stilts_artifact.miniworld.tasks_span import paragraphs
from stilts_artifact.miniworld.tasks_tagging import sentences
from stilts_artifact.miniworld.wording import plain

pytestmark = pytest.mark.slow


def told(premise: Meaning) -> list[Event]:
    assert isinstance(premise, Event | Compound)
    return [premise] if isinstance(premise, Event) else [premise.first, premise.second]


def covers(specific: object, general: object) -> bool:
    """Whether the first referent is the second, or a kind of it."""
    if (
        isinstance(specific, Thing)
        and isinstance(general, Thing)
        and specific.noun in c.CLASSES.get(general.noun, ())
    ):
        return specific._replace(noun="") == general._replace(noun="")
    return specific == general


def flipped(referent: object) -> object:
    if isinstance(referent, Thing) and referent.quality is not None:
        return referent._replace(quality=plain_opposite(referent.quality))
    return None


def judge(premise: Event, claim: Event) -> str:
    premise, claim = plain(premise), plain(claim)
    given = {
        slot: getattr(premise, slot)
        for slot in ("place", "time")
        if getattr(claim, slot) is not None
    }
    if None in given.values() or premise.tense != claim.tense:
        return "neutral"
    clash = any(value != getattr(claim, slot) for slot, value in given.items())
    same_agent = premise.agent == claim.agent
    direct = same_agent and covers(premise.patient, claim.patient)
    crossed = covers(premise.agent, claim.patient) and premise.patient == claim.agent
    reverse = same_agent and covers(flipped(premise.patient), claim.patient)
    if direct and not clash and premise.verb == claim.verb:
        return "entailment" if premise.negated == claim.negated else "contradiction"
    opposed = direct and not clash and plain_opposite(premise.verb) == claim.verb
    same_verb = premise.verb == claim.verb
    if (
        not premise.negated
        and not claim.negated
        and (
            opposed
            or (same_verb and (crossed or reverse) and not clash)
            or (same_verb and direct and clash)
        )
    ):
        return "contradiction"
    return "neutral"


def plain_opposite(verb: str) -> str | None:
    """The antonym of a verb, by whichever of its synonyms the table has it."""
    for word in (verb, c.SYNONYMS.get(verb, verb)):
        if word in c.ANTONYMS:
            other = c.ANTONYMS[word]
            return min(other, c.SYNONYMS.get(other, other))
    return None


def verdict(pair: Inference) -> str:
    """Entailed or contradicted by any premise, else neutral."""
    found = {judge(event, pair.hypothesis) for premise in pair.premises for event in told(premise)}
    assert found != {"entailment", "contradiction"}
    return next((label for label in ("entailment", "contradiction") if label in found), "neutral")


@pytest.mark.parametrize(("name", "bystanders"), [("mnli", 0), ("anli-1", 1), ("anli-3", 3)])
def test_a_judge_of_meanings_agrees_on_inference(name: str, bystanders: int) -> None:
    drawn = inferences(SEED, name, "dev", 600, bystanders)
    wrong = [pair for pair in drawn if verdict(pair) != pair.label]
    assert not wrong, wrong[:2]
    for pair in drawn:
        verb = plain(pair.hypothesis).verb
        events = [plain(event) for premise in pair.premises for event in told(premise)]
        assert (
            sum(event.verb in (verb, plain_opposite(verb)) for event in events) == 1
        )  # one premise decides


def test_anli_rounds_are_progressively_longer() -> None:
    sizes = [len(inferences(SEED, f"anli-{n}", "dev", 3, n)[0].premises) for n in (1, 2, 3)]
    assert sizes == [2, 3, 4]


@pytest.mark.parametrize("name", ["qqp", "pawsx"])
def test_paraphrases_look_alike_and_only_paraphrases_mean_the_same(name: str) -> None:
    own = grammar(SOURCE_LANGUAGE)
    for pair in paraphrases(SEED, name, "train", 2400):
        assert own.text(pair.first) != own.text(pair.second)
        assert (public(pair.first) == public(pair.second)) == pair.same
        assert (pair.rule == "") == pair.same


def public(event: Event) -> list[object]:
    """What a reader learns: not the filler of the slot that is asked for."""
    return [value for slot, value in plain(event)._asdict().items() if slot != event.asks] + [
        event.asks
    ]


def test_role_swaps_keep_the_words() -> None:
    own = grammar(SOURCE_LANGUAGE)
    swaps = [pair for pair in paraphrases(SEED, "pawsx", "train", 3400) if pair.rule == "roles"]
    assert len(swaps) > 100
    same_words = sum(
        sorted(own.text(pair.first).rstrip(".").split())
        == sorted(own.text(pair.second).rstrip(".").split())
        for pair in swaps
    )
    assert same_words > 0.25 * len(swaps)  # the others have synonyms besides


def test_answers_fill_the_slot_that_is_asked() -> None:
    for paragraph in paragraphs(SEED, ("squad", "v2.0"), "dev", 60, 1 / 3):
        verbs = [event.verb for event in paragraph.events]
        assert len(set(verbs)) == len(verbs)
        for asked in paragraph.asked:
            matches = [event for event in paragraph.events if answers(event, asked.question)]
            if asked.answer is None:
                assert not matches
            else:
                index, slot = asked.answer
                assert matches == [paragraph.events[index]]
                assert slot == asked.question.asks


def answers(event: Event, question: Event) -> bool:
    """Whether the event has what the question tells."""
    slots = [slot for slot in ("agent", "patient") if slot != question.asks]
    return event.verb == question.verb and all(
        getattr(event, slot) == getattr(question, slot) for slot in slots
    )


@pytest.mark.parametrize("code", languages)
def test_spans_cut_out_the_phrase_of_the_slot(code: str) -> None:
    """The answer in context is the phrase that the language uses for that participant by itself."""
    own = grammar(code)
    event = Event(
        "buy", Thing("farmer", "old"), Thing("apple"), Place("near", Thing("river")), "morning"
    )
    for front in (None, "place", "time"):
        text, spans = own.spans(event._replace(front=front))
        assert set(spans) == {"agent", "verb", "patient", "place", "time"}
        assert own.word("farmer") in text[slice(*spans["agent"])]
        assert own.word("river") in text[slice(*spans["place"])]
        assert own.word("morning") in text[slice(*spans["time"])]
        if own.language.adposition == "before":
            assert not text[slice(*spans["place"])].startswith(own.word("near"))


def test_the_right_ending_is_the_next_step_and_no_other_is() -> None:
    steps = {
        verb: (scene, at) for scene, own in c.SCRIPTS.items() for at, (verb, _) in enumerate(own)
    }
    stream = Stream(SEED, "test")
    for _ in range(300):
        item = continuation(stream)
        last = item.told[-1]
        assert isinstance(last, Event)
        scene, at = steps[last.verb]
        right = item.candidates[item.right]
        assert steps[right.verb] == (scene, at + 1)
        thing = next(
            (event.patient for event in item.told if isinstance(event, Event) and event.patient),
            None,
        )
        alike = [
            o
            for o in item.candidates
            if o.verb == right.verb and (thing is None or o.patient in (thing, None))
        ]
        assert right in alike
        assert len(alike) == 1 or thing is None


def test_the_right_answer_is_what_the_state_makes_one_do() -> None:
    stream = Stream(SEED, "test")
    doing = {what: state for state, what in c.REACTIONS.items()}
    for _ in range(300):
        item = cause(stream)
        assert item.asked is not None
        who, right = item.asked.agent, item.candidates[item.right]
        events = [event for event in item.told if isinstance(event, Event) and event.agent == who]
        assert events
        if item.concept == "cause":
            done = (
                item.asked.verb,
                item.asked.patient.noun if isinstance(item.asked.patient, Thing) else None,
            )
            assert right.patient == doing[done]
        else:
            assert [
                c.REACTIONS[str(event.patient)][0] for event in events if event.verb == "be"
            ] == [right.verb]


def test_gold_pairs_mean_the_same_and_nothing_else_does() -> None:
    drawn = corpora(SEED, "qac", "sample")
    size, pairs = BUCC_SIZES["sample"]
    assert len(drawn.source) == len(drawn.target) == size
    meant = {
        (one, two)
        for one, a in enumerate(drawn.source)
        for two, b in enumerate(drawn.target)
        if a == b
    }
    assert meant == set(drawn.gold)
    assert len(drawn.gold) == pairs


@given(st.integers(0, 10_000), st.sampled_from(["train", "dev", "test"]))
def test_drawn_items_are_different_owned_and_balanced(seed: int, split: SplitName) -> None:
    stream = Stream(seed, "test")
    drawn = list(distinct(split, lambda: stream.below(500), str, 31, lambda item: str(item % 3), 3))
    assert len(set(drawn)) == len(drawn) == 30
    assert all(owns(split, str(item)) for item in drawn)
    assert [sum(item % 3 == label for item in drawn) for label in range(3)] == [10, 10, 10]


def test_splits_share_no_text() -> None:
    texts = [f"text {number}" for number in range(2000)]
    owners = [[split for split in ("train", "dev", "test") if owns(split, text)] for text in texts]
    assert all(len(found) == 1 for found in owners)
    assert 0.45 < sum(found == ["train"] for found in owners) / len(texts) < 0.55


NODE = re.compile(r"\(<(L) (\S+) \S+ \S+ (\S+) \S+>\)|\(<(T) (\S+) \d (\d)>|(\))")


def combine(left: str, right: str) -> set[str]:
    """Categories that two neighbours make, less features: application, composition, punctuation."""
    found = set()
    if right in (".", f"{left}[conj]"):
        found.add(left)
    if left == "conj":
        found.add(f"{right}[conj]")
    for (body, slash, argument), other in ((split(left), right), (split(right), left)):
        if slash == ("/" if other is right else "\\"):
            if argument == other:
                found.add(body)
            inner, inner_slash, rest = split(other)
            if argument == inner:  # composition, harmonic or crossed
                found.add(f"{bracketed(body)}{inner_slash}{bracketed(rest)}")
    return found


def bracketed(category: str) -> str:
    return f"({category})" if "/" in category or "\\" in category else category


def split(category: str) -> tuple[str, str, str]:
    """``(X/Y)/Z`` as X/Y, /, Z."""
    depth = 0
    for at in range(len(category) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(category[at], 0)
        if depth == 0 and category[at] in "/\\":
            return stripped(category[:at]), category[at], stripped(category[at + 1 :])
    return category, "", ""


def stripped(category: str) -> str:
    return category[1:-1] if category.startswith("(") and category.endswith(")") else category


def test_derivations_follow_the_rules_of_the_grammar() -> None:
    own = grammar(SOURCE_LANGUAGE)
    for meaning in sentences(SEED, ("ccg",), "dev", 200):
        built = derivation(own, meaning)
        words = [match[2] for match in NODE.findall(built.auto) if match[0] == "L"]
        assert " ".join(words[:-1]) + words[-1] == own.text(meaning)
        check(built.auto)


def without_features(category: str) -> str:
    return re.sub(r"\[(?!conj)\w+\]", "", category)


def check(auto: str) -> None:
    stack: list[tuple[str, list[str]]] = []
    done: list[str] = []
    for kind, category, _, branch, name, _, close in NODE.findall(auto):
        if kind:
            stack[-1][1].append(without_features(category))
        elif branch:
            stack.append((without_features(name), []))
        elif close:
            name, children = stack.pop()
            if len(children) == 2:
                assert name in combine(*children), (name, children)
            else:
                assert (children, name) in ((["N"], "NP"), (["NP"], "S/(S\\NP)"))
            (stack[-1][1] if stack else done).append(name)
    assert len(done) == 1


def test_negation_alone_tells_no_paraphrase() -> None:
    pairs = paraphrases(SEED, "pawsx", "train", 3400)
    for same in (True, False):
        share = sum(pair.first.negated for pair in pairs if pair.same == same) / (len(pairs) / 2)
        assert 0.45 < share < 0.55
    denials = [pair for pair in pairs if pair.first.negated != pair.second.negated]
    assert {pair.rule for pair in denials} == {"denial"}
    assert 0.7 < len(denials) / sum(not pair.same for pair in pairs) < 0.8
