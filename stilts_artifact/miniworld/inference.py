"""Entailment, contradiction and neutrality between meanings.

The hypothesis is drawn first, from one distribution whatever the label; the premise is then built
around it. So the hypothesis alone says nothing about the label: only comparing the two does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from stilts_artifact.miniworld import concepts as c
from stilts_artifact.miniworld import scenes
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.meanings import Compound, Event, Meaning, Thing, with_roles_swapped
from stilts_artifact.miniworld.wording import reworded

Label = Literal["entailment", "neutral", "contradiction"]
LABELS: tuple[Label, ...] = ("entailment", "neutral", "contradiction")

# No manner: it is what premises add to a hypothesis, never what they contradict.
_HYPOTHESIS = scenes.Taste(
    quality=0.25, plural=0.1, numeral=0.1, name=0.3, place=0.6, time=0.5, manner=0.0
)


class Inference(NamedTuple):
    """Premises (one decides, the others stand by), hypothesis, label, the rule behind it."""

    premises: tuple[Meaning, ...]
    hypothesis: Event
    label: Label
    rule: str


def hypothesis(r: Stream) -> Event:
    """A claim that carries at least one detail which a premise might lack."""
    while True:
        drawn = scenes.event(r, _HYPOTHESIS)
        if drawn.patient is None or (drawn.place is None and drawn.time is None):
            continue
        negated = r.chance(0.3)
        if not negated and r.chance(0.15) and isinstance(drawn.patient, Thing):
            drawn = drawn._replace(
                patient=drawn.patient._replace(noun=c.HYPERNYMS[drawn.patient.noun])
            )
        return drawn._replace(negated=negated, front=None)


def infer(r: Stream, label: Label, bystanders: int = 0) -> Inference:
    """A pair with this label and ``bystanders`` premises that do not matter."""
    claim = hypothesis(r)
    # A denial follows only from itself. Its premise is reworded more and never stands alone, or
    # being a copy would give the label away.
    rule, premise = _BUILDERS[label](r, claim)
    event = _fronted(r, reworded(r, premise, 0.3 if rule == "same" else 0.15))
    told: Meaning = event
    if rule == "same" or r.chance(0.15):
        other = _bystander(r, claim)
        told = Compound(event, "and", other) if r.chance(0.5) else Compound(other, "and", event)
    premises = [told, *(_bystander(r, claim) for _ in range(bystanders))]
    return Inference(tuple(r.shuffled(premises)), claim, label, rule)


def _fronted(r: Stream, event: Event) -> Event:
    if not r.chance(0.25):
        return event
    return event._replace(front="place" if event.place else "time" if event.time else None)


def _entailing(r: Stream, claim: Event) -> tuple[str, Event]:
    if claim.negated:
        return "same", claim
    return "more specific", _detailed(r, _specialised(r, claim))


def _contradicting(r: Stream, claim: Event) -> tuple[str, Event]:
    if claim.negated or r.chance(0.35):
        return "denial", claim._replace(negated=not claim.negated)
    return _conflict(r, _specialised(r, claim))


def _neutral(r: Stream, claim: Event) -> tuple[str, Event]:
    if claim.negated or r.chance(0.4):
        other = scenes.distinct_agent(r, claim.agent, claim.patient, taste=_HYPOTHESIS)
        # The premise is negated as often as in the other two labels taken together, whatever the
        # hypothesis is.
        negated = r.chance(0.6) if claim.negated else r.chance(0.5)
        return "other agent", claim._replace(agent=other, negated=negated)
    lacking = [slot for slot in ("place", "time") if getattr(claim, slot) is not None]
    vaguer = (
        claim._replace(place=None) if r.choice(lacking) == "place" else claim._replace(time=None)
    )
    return "less specific", _detailed(r, vaguer, *lacking)


def _specialised(r: Stream, event: Event) -> Event:
    """A hypernym gives way to one of its hyponyms."""
    patient = event.patient
    if isinstance(patient, Thing) and patient.noun in c.CLASSES:
        taken = event.agent.noun if isinstance(event.agent, Thing) else ""
        return event._replace(
            patient=patient._replace(noun=r.other(c.CLASSES[patient.noun], taken))
        )
    return event


def _detailed(r: Stream, event: Event, *keep: str) -> Event:
    """Adds details that the event does not have, other than the slots to keep as they are."""
    if event.place is None and "place" not in keep and r.chance(0.6):
        event = event._replace(place=scenes.place(r))
    if event.time is None and "time" not in keep and r.chance(0.6):
        event = event._replace(time=scenes.time(r))
    if r.chance(0.3):
        event = event._replace(manner=r.choice(c.MANNERS))
    return event


def _conflict(r: Stream, claim: Event) -> tuple[str, Event]:
    """One detail changed into one that cannot be true at the same time."""
    options = [slot for slot in ("place", "time") if getattr(claim, slot) is not None]
    if claim.verb in c.ANTONYMS:
        options += ["antonym", "antonym"]
    if isinstance(claim.patient, Thing) and claim.patient.quality is not None:
        options.append("quality")
    if claim.verb in c.ANIMATE_VERBS:
        options.append("roles")
    rule = r.choice(options)
    return rule, _CONFLICTS[rule](r, claim)


def _other_time(r: Stream, claim: Event) -> Event:
    # Morning and winter may both be true; two seasons may not.
    group = next((group for group in (c.DAYTIMES, c.SEASONS) if claim.time in group), scenes.YEARS)
    return claim._replace(time=r.other(group, claim.time))


def _other_place(r: Stream, claim: Event) -> Event:
    where = scenes.place(r)
    while claim.place is not None and where.ground == claim.place.ground:
        where = scenes.place(r)
    return claim._replace(place=where)


def _opposite_quality(_: Stream, claim: Event) -> Event:
    patient = claim.patient
    if not isinstance(patient, Thing) or patient.quality is None:
        return claim
    return claim._replace(patient=patient._replace(quality=c.ANTONYMS[patient.quality]))


def _swapped(_: Stream, claim: Event) -> Event:
    return with_roles_swapped(claim)


_CONFLICTS: Mapping[str, Callable[[Stream, Event], Event]] = {
    "place": _other_place,
    "time": _other_time,
    "antonym": lambda _, claim: claim._replace(verb=c.ANTONYMS[claim.verb]),
    "quality": _opposite_quality,
    "roles": _swapped,
}
_BUILDERS: Mapping[Label, Callable[[Stream, Event], tuple[str, Event]]] = {
    "entailment": _entailing,
    "neutral": _neutral,
    "contradiction": _contradicting,
}


def _bystander(r: Stream, claim: Event) -> Event:
    """An event of somebody else that neither supports nor denies the claim."""
    while True:
        drawn = scenes.event(r, _HYPOTHESIS)
        if not scenes.same_kind(drawn.agent, claim.agent) and drawn.verb not in _bearing_on(claim):
            return drawn


def _bearing_on(claim: Event) -> tuple[str, str]:
    return claim.verb, c.ANTONYMS.get(claim.verb, claim.verb)
