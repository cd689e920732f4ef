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

    node: KeyedStep
    run: bool
    why: str


def reasons(graph: Graph, store: Store) -> list[Reason]:
    """What a run would do about every step, in graph order, inputs before their users.

    Example of the words: ``done``; ``not needed: all that rests on it is done``; ``never run``;
    ``never run with these parameters; differs from a finished one in seed: 1 -> 2``;
    ``input encoder would run``; ``input data changed``; ``code of target changed: version 1 -> 2``.
    """
    wanted = set(missing(graph, store))
    kinds = sorted({graph.nodes[address].kind for address in wanted})
    history = {kind: _History([record.node for record in store.records(kind)]) for kind in kinds}
    found = []
    for address, node in graph.nodes.items():
        if address in wanted:
            found.append(Reason(node, True, _why(node, wanted, history[node.kind])))
        elif store.has(address):
            found.append(Reason(node, False, "done"))
        else:
            found.append(Reason(node, False, "not needed: all that rests on it is done"))
    return found


class _History:
    """The finished steps of a kind, found by their parameters, and by all but one of them."""

    def __init__(self, nodes: Sequence[KeyedStep]) -> None:
        self._same: dict[str, list[KeyedStep]] = defaultdict(list)
        self._but_one: dict[tuple[str, str], KeyedStep] = {}
        for node in nodes:
            self._same[canonical(node.params)].append(node)
            for name in node.params:
                self._but_one.setdefault((name, _without(node, name)), node)

    def same(self, node: KeyedStep) -> list[KeyedStep]:
        """Those with the same parameters."""
        return self._same.get(canonical(node.params), [])

    def nearest(self, node: KeyedStep) -> tuple[str, KeyedStep] | None:
        """One that has the same inputs and names of parameters, and another value for one of them: this one."""
        for name in node.params:
            other = self._but_one.get((name, _without(node, name)))
            if other is not None:
                return name, other
        return None


def _without(node: KeyedStep, name: str) -> str:
    return canonical(
        [node.inputs, {other: value for other, value in node.params.items() if other != name}]
    )


def _why(node: KeyedStep, wanted: set[str], history: _History) -> str:
    would_run = [name for name, address in node.inputs.items() if address in wanted]
    same = history.same(node)
    if not same:
        return "; ".join([_never(node, history), *_inputs(would_run)])
    closest = min(
        same,
        key=lambda other: (len(_changed(node, other)), other.version != node.version, other.key),
    )
    parts = []
    if closest.version != node.version:
        parts.append(f"code of {node.kind} changed: version {closest.version} -> {node.version}")
    changed = [name for name in _changed(node, closest) if name not in would_run]
    parts += [f"input {name} changed" for name in changed]
    return "; ".join([*parts, *_inputs(would_run)])


def _inputs(names: Sequence[str]) -> list[str]:
    return [f"input {name} would run" for name in names]


def _changed(node: KeyedStep, other: KeyedStep) -> list[str]:
    """Names of the inputs that are not the other's."""
    names = sorted(node.inputs.keys() | other.inputs.keys())
    return [name for name in names if node.inputs.get(name) != other.inputs.get(name)]


def _never(node: KeyedStep, history: _History) -> str:
    nearest = history.nearest(node)
    if nearest is None:
        return "never run"
    name, other = nearest
    old, new = (canonical(params[name])[:40] for params in (other.params, node.params))
    return f"never run with these parameters; differs from a finished one in {name}: {old} -> {new}"
