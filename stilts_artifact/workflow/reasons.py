"""Why each step of a graph would run, or need not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stilts_artifact.workflow.agenda import missing
from stilts_artifact.workflow.records import Record
from stilts_artifact.workflow.steps import Graph, Node, canonical
from stilts_artifact.workflow.store import Store


@dataclass(frozen=True, slots=True)
class Reason:
    """What a run would do about one step.

    Attributes:
        run: whether it would run.
        why: in words, such as ``never run`` or ``code of target changed: version 1 -> 2``.
    """

    node: Node
    run: bool
    why: str


def reasons(graph: Graph, store: Store) -> list[Reason]:
    """What a run would do about every step, in graph order, inputs before their users.

    Example of the words: ``done``; ``not needed: all that rests on it is done``; ``never run``; ``never run with
    these parameters; differs from a finished one in seed: 1 -> 2``; ``input encoder would run``; ``input data
    changed``; ``code of target changed: version 1 -> 2``.
    """
    wanted = set(missing(graph, store))
    kinds = sorted({graph.nodes[address].kind for address in wanted})
    history = {kind: store.records(kind) for kind in kinds}
    found = []
    for address, node in graph.nodes.items():
        if address in wanted:
            found.append(Reason(node, True, _why(node, graph.nodes, wanted, history[node.kind])))
        elif store.has(address):
            found.append(Reason(node, False, "done"))
        else:
            found.append(Reason(node, False, "not needed: all that rests on it is done"))
    return found


def _why(node: Node, nodes: Mapping[str, Node], wanted: set[str], history: Sequence[Record]) -> str:
    would_run = [name for name, address in node.inputs.items() if address in wanted]
    same = [record.node for record in history if canonical(record.node.params) == canonical(node.params)]
    if not same:
        return "; ".join([_nearest(node, history), *_inputs(would_run)])
    closest = min(same, key=lambda other: (len(_changed(node, other)), other.version != node.version, other.key))
    parts = []
    if closest.version != node.version:
        parts.append(f"code of {node.kind} changed: version {closest.version} -> {node.version}")
    changed = [name for name in _changed(node, closest) if name not in would_run]
    parts += [f"input {name} changed" for name in changed]
    return "; ".join([*parts, *_inputs(would_run)])


def _inputs(names: Sequence[str]) -> list[str]:
    return [f"input {name} would run" for name in names]


def _changed(node: Node, other: Node) -> list[str]:
    """Names of the inputs that are not the other's."""
    names = sorted(node.inputs.keys() | other.inputs.keys())
    return [name for name in names if node.inputs.get(name) != other.inputs.get(name)]


def _nearest(node: Node, history: Sequence[Record]) -> str:
    """Where one parameter alone differs from a finished step's with the same inputs, that one tells the reason."""
    for record in history:
        other = record.node
        names = sorted(node.params.keys() | other.params.keys())
        different = [name for name in names if node.params.get(name) != other.params.get(name)]
        if len(different) == 1 and other.inputs == node.inputs:
            (name,) = different
            old, new = (canonical(params.get(name))[:40] for params in (other.params, node.params))
            return f"never run with these parameters; differs from a finished one in {name}: {old} -> {new}"
    return "never run"
