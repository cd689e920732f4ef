"""Why each step of a graph would run, or need not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from stilts_artifact.pipeline.scheduler import missing
from stilts_artifact.pipeline.step import Graph, KeyedStep, canonical
from stilts_artifact.pipeline.store import Store


@dataclass(frozen=True, slots=True)
class Reason:
    """What a run would do about one step.

    Attributes:
        run: whether it would run.
        why: in words, such as ``never run`` or ``code of target changed: version 1 -> 2``.
    """

    step: KeyedStep
    run: bool
    why: str


def reasons(graph: Graph, store: Store) -> list[Reason]:
    """What a run would do about every step, in graph order, inputs before their users.

    Example of the words: ``done``; ``done, and dropped: nothing that is left needs it``;
    ``not needed: all that rests on it is done``; ``never run``;
    ``never run with these parameters; differs from a finished one in seed: 1 -> 2``;
    ``input encoder would run``; ``input data changed``; ``code of target changed: version 1 -> 2``.
    """
    wanted = set(missing(graph, store))
    kinds = sorted({graph.steps[address].kind for address in wanted})
    history = {
        kind: _History([manifest.step for manifest in store.manifests(kind)]) for kind in kinds
    }
    found = []
    for address, step in graph.steps.items():
        if address in wanted:
            found.append(Reason(step, True, _why(step, wanted, history[step.kind])))
        elif store.has(address):
            found.append(Reason(step, False, "done"))
        elif store.has_report(address):
            found.append(Reason(step, False, "done, and dropped: nothing that is left needs it"))
        else:
            found.append(Reason(step, False, "not needed: all that rests on it is done"))
    return found


class _History:
    """The finished steps of a kind, found by their parameters, and by all but one of them."""

    def __init__(self, steps: Sequence[KeyedStep]) -> None:
        self._same: dict[str, list[KeyedStep]] = defaultdict(list)
        self._but_one: dict[tuple[str, str], KeyedStep] = {}
        for step in steps:
            self._same[canonical(step.params)].append(step)
            for name in step.params:
                self._but_one.setdefault((name, _without(step, name)), step)

    def same(self, step: KeyedStep) -> list[KeyedStep]:
        """Those with the same parameters."""
        return self._same.get(canonical(step.params), [])

    def nearest(self, step: KeyedStep) -> tuple[str, KeyedStep] | None:
        """One with the same inputs and parameters but for the value of one: this one."""
        for name in step.params:
            other = self._but_one.get((name, _without(step, name)))
            if other is not None:
                return name, other
        return None


def _without(step: KeyedStep, name: str) -> str:
    return canonical(
        [step.inputs, {other: value for other, value in step.params.items() if other != name}]
    )


def _why(step: KeyedStep, wanted: set[str], history: _History) -> str:
    would_run = [name for name, address in step.inputs.items() if address in wanted]
    same = history.same(step)
    if not same:
        return "; ".join([_never(step, history), *_inputs(would_run)])
    closest = min(
        same,
        key=lambda other: (len(_changed(step, other)), other.version != step.version, other.key),
    )
    parts = []
    if closest.version != step.version:
        parts.append(f"code of {step.kind} changed: version {closest.version} -> {step.version}")
    # An input that would run may have changed as well; it is named once, by the nearer reason.
    changed = [name for name in _changed(step, closest) if name not in would_run]
    parts += [f"input {name} changed" for name in changed]
    return "; ".join([*parts, *_inputs(would_run)])


def _inputs(names: Sequence[str]) -> list[str]:
    return [f"input {name} would run" for name in names]


def _changed(step: KeyedStep, other: KeyedStep) -> list[str]:
    """Names of the inputs that are not the other's."""
    names = sorted(step.inputs.keys() | other.inputs.keys())
    return [name for name in names if step.inputs.get(name) != other.inputs.get(name)]


def _never(step: KeyedStep, history: _History) -> str:
    nearest = history.nearest(step)
    if nearest is None:
        return "never run"
    name, other = nearest
    old, new = (canonical(params[name])[:40] for params in (other.params, step.params))
    return f"never run with these parameters; differs from a finished one in {name}: {old} -> {new}"
