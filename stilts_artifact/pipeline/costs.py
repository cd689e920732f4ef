"""What steps cost: a shipped table of speeds, and a probe of this machine's speed against it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from stilts_artifact.documents import parse_yaml
from stilts_artifact.domain.tasks import Split
from stilts_artifact.errors import unknown_name
from stilts_artifact.pipeline.job import Device
from stilts_artifact.pipeline.step import Graph, KeyedStep
from stilts_artifact.pipeline.tasks.params import (
    AlignParams,
    IntermediateParams,
    PrepareParams,
    RetrieveParams,
    SplitParams,
    TargetParams,
    TextParams,
)

_PROBE_SECONDS = 0.5
_FILE = "throughput.yaml"


@dataclass(frozen=True, slots=True)
class Speed:
    """What one kind of step costs.

    Attributes:
        seconds: whatever it works on.
        tokens_per_second: for what it reads; ``None`` if that is in ``seconds``.
        bytes: its result takes, whatever it works on.
        bytes_per_token: for what it reads.
        work_bytes: it has while it runs, before its result: two checkpoints, of a training run.
        basis: ``measured``, or what it was estimated from.
    """

    basis: str
    seconds: float = 0.0
    tokens_per_second: float | None = None
    bytes: float = 0.0
    bytes_per_token: float = 0.0
    work_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class Extent:
    """Examples of a task's training split, of one language of another; tokens of an example.

    Attributes:
        dev: of one language of the development split, where that is much smaller than the test.
    """

    train: int
    rows: int
    tokens: int
    dev: int | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """How fast one worker of this machine multiplies matrices, in operations per second."""

    device: Device
    flops: float


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of one scale.

    Attributes:
        device: what the table's speeds stand for.
        flops: matrix speed of that machine, one worker.
        machine: the same in words.
        faster: how much faster than that the machine in question is.
        probed: whether ``faster`` was measured.
    """

    device: Device
    flops: float
    machine: str
    kinds: Mapping[str, Speed]
    tasks: Mapping[str, Extent]
    faster: float = 1.0
    probed: bool = False

    def at(self, probe: Probe) -> Costs:
        """The same for the machine that was probed; unchanged if its device is not the table's."""
        if probe.device != self.device:
            return self
        return replace(self, faster=probe.flops / self.flops, probed=True)

    def seconds(self, step: KeyedStep, graph: Graph) -> float:
        """Expected seconds of a step on one worker.

        Raises:
            ConfigError: the table does not know its kind.
        """
        speed = self.speed(step.kind)
        reading = (
            self.tokens(step, graph) / speed.tokens_per_second if speed.tokens_per_second else 0.0
        )
        return (speed.seconds + reading) / self.faster

    def bytes(self, step: KeyedStep, graph: Graph) -> float:
        """Expected size of a step's result."""
        speed = self.speed(step.kind)
        return speed.bytes + speed.bytes_per_token * self.tokens(step, graph)

    def work_bytes(self, step: KeyedStep) -> float:
        """Expected size of what a step has while it runs, before it writes its result."""
        kind = step.kind
        if kind == "intermediate" and IntermediateParams.of(step.params).mlm is None:
            # Only with text is all of the vocabulary trained, and in the checkpoints.
            kind = "target"
        return self.speed(kind).work_bytes

    def tokens(self, step: KeyedStep, graph: Graph) -> float:
        """Tokens that a step works on, each time it sees them; 0 for a kind that reads none."""
        count = _TOKENS.get(step.kind)
        return 0.0 if count is None else count(self, step, graph)

    def speed(self, kind: str) -> Speed:
        """What one kind of step costs.

        Raises:
            ConfigError: the table does not know it.
        """
        if kind not in self.kinds:
            raise unknown_name(f"kind of step in {_FILE}", kind, self.kinds)
        return self.kinds[kind]

    def extent(self, task: str) -> Extent:
        """How much data a task has.

        Raises:
            ConfigError: the table does not know it.
        """
        if task not in self.tasks:
            raise unknown_name(f"task in {_FILE}", task, self.tasks)
        return self.tasks[task]


def load_costs(scale: str, device: Device | None = None) -> Costs:
    """The shipped table for one scale.

    Args:
        device: that is meant; where there is no table for it, the scale's first is taken.

    Raises:
        ConfigError: the table has no such scale.
    """
    data = resources.files(__package__).joinpath(_FILE).read_bytes()
    content = parse_yaml(data, _FILE)
    if scale not in content["scales"]:
        error = unknown_name("scale", scale, content["scales"])
        error.fix = "let a scale of your own extend one of these: it is then taken to be as fast"
        raise error
    tables = content["scales"][scale]
    own: Device = next(iter(tables)) if device is None or device not in tables else device
    chosen = tables[own]
    kinds = {kind: Speed(**fields) for kind, fields in chosen["kinds"].items()}
    tasks = {task: Extent(**fields) for task, fields in content["tasks"].items()}
    return Costs(own, chosen["flops"], chosen["machine"], kinds, tasks)


def probe(device: Device) -> Probe:
    """Multiply matrices for half a second: one CPU thread in float32, or the GPU in bfloat16."""
    import torch

    gpu = device == "cuda"
    size = 8192 if gpu else 768
    threads = torch.get_num_threads()
    # As a worker computes: the figure stands for one of them.
    torch.set_num_threads(1)
    try:
        matrix = torch.randn(
            size, size, device=device, dtype=torch.bfloat16 if gpu else torch.float32
        )
        # The best round: the others were slowed by a first use, or by what else the machine does.
        best = min(_timed(matrix, gpu) for _ in _while(_PROBE_SECONDS))
    finally:
        torch.set_num_threads(threads)
    return Probe(device, 2 * size**3 / best)


def _while(seconds: float) -> Any:
    """At least three rounds, then until time is up."""
    end, count = time.monotonic() + seconds, 0
    while count < 3 or time.monotonic() < end:
        yield count
        count += 1


def _timed(matrix: Any, gpu: bool) -> float:
    import torch

    began = time.perf_counter()
    torch.mm(matrix, matrix)
    if gpu:
        # Until here the product may only be queued.
        torch.cuda.synchronize()
    return time.perf_counter() - began


def _split(costs: Costs, params: SplitParams) -> float:
    """Tokens of prepared or raw data, every language once."""
    extent = costs.extent(params.task)
    rows = extent.train if params.split is Split.TRAIN else extent.rows
    if params.split is Split.DEV and extent.dev is not None:
        rows = extent.dev
    if params.rows is not None:
        rows = min(rows, params.rows)
    return float(rows * extent.tokens * len(params.languages))


def _prepared(costs: Costs, step: KeyedStep, graph: Graph) -> float:
    return _split(costs, PrepareParams.of(step.params))


def _trained(costs: Costs, step: KeyedStep, graph: Graph) -> float:
    data = graph.steps[step.inputs["train"]]
    return TargetParams.of(step.params).schedule.epochs * _prepared(costs, data, graph)


def _mixed(costs: Costs, step: KeyedStep, graph: Graph) -> float:
    """Every task of a mixture, its rows capped; masked language modelling reads about its cap."""
    params, total = IntermediateParams.of(step.params), 0.0
    for task, how in params.tasks.items():
        tokens = _prepared(costs, graph.steps[step.inputs[f"train:{task}"]], graph)
        if how.cap is not None:
            tokens = min(tokens, how.cap * costs.extent(task).tokens)
        total += how.epochs * tokens
    if params.mlm is not None:
        text = TextParams.of(graph.steps[step.inputs["text"]].params)
        rows = (text.rows or 0) * len(text.languages)
        if params.mlm.matched is None:
            total += params.mlm.epochs * min(rows, params.mlm.cap or rows) * text.max_length
        else:
            matched = graph.steps[step.inputs["matched"]]
            total += params.mlm.matched.epochs * _prepared(costs, matched, graph)
    return total


def _predicted(costs: Costs, step: KeyedStep, graph: Graph) -> float:
    data = [graph.steps[step.inputs[name]] for name in ("data", "dev") if name in step.inputs]
    return sum(_prepared(costs, own, graph) for own in data)


def _retrieved(costs: Costs, step: KeyedStep, graph: Graph) -> float:
    return _split(costs, RetrieveParams.of(step.params))


def _aligned(costs: Costs, step: KeyedStep, graph: Graph) -> float:
    """One side of the pairs of every language, and the source language once."""
    params = AlignParams.of(step.params)
    languages = len(params.languages)
    return _split(costs, params) / 2 * (languages + 1) / languages


_TOKENS: Mapping[str, Callable[[Costs, KeyedStep, Graph], float]] = {
    "prepare": _prepared,
    "target": _trained,
    "intermediate": _mixed,
    "predict": _predicted,
    "probabilities": _predicted,
    "retrieve": _retrieved,
    "align": _aligned,
}
