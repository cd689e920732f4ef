"""What a run would cost: steps by kind, hours, wall time by number of workers, disk."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stilts_artifact.pipeline.costs import Costs
from stilts_artifact.pipeline.job import Device
from stilts_artifact.pipeline.scheduler import Scheduler, missing
from stilts_artifact.pipeline.step import Graph, KeyedStep
from stilts_artifact.pipeline.store import Store

WORKERS = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class KindPlan:
    """The steps of one kind.

    Attributes:
        steps: in the graph.
        to_run: of them.
        seconds: of those to run together, on one worker.
        bytes: that their results take.
        basis: how the two are known.
    """

    kind: str
    steps: int
    to_run: int
    seconds: float
    bytes: float
    basis: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The cost of a run.

    Attributes:
        kinds: in the order in which the graph first needs them.
        device: what a worker is: a CPU core or a GPU.
        machine: whose speed the times stand for.
        probed: whether they were scaled to this machine's speed.
        gpu_seconds: GPUs are busy together; 0 on CPUs.
        wall: number of workers -> seconds until the last step ends.
        download_bytes: still to be fetched.
        disk_bytes: the results still to be made take.
    """

    kinds: tuple[KindPlan, ...]
    device: Device
    machine: str
    probed: bool
    gpu_seconds: float
    wall: Mapping[int, float]
    download_bytes: int
    disk_bytes: int

    @property
    def estimated(self) -> bool:
        """Whether any of it rests on a number that was not measured."""
        return any(not kind.basis.startswith("measured") for kind in self.kinds if kind.to_run)


def make_plan(graph: Graph, store: Store, costs: Costs, download_bytes: int = 0) -> Plan:
    """The cost of what is missing of a graph.

    Args:
        download_bytes: of the sources still missing, which the caller knows.

    Raises:
        ConfigError: a kind of step without costs.
    """
    wanted = missing(graph, store)
    chosen = set(wanted)
    seconds = {address: costs.seconds(graph.steps[address], graph) for address in wanted}
    on_gpu = {
        address: costs.device == "cuda" and _spec_gpu(graph, graph.steps[address])
        for address in wanted
    }
    kinds = []
    for kind in dict.fromkeys(step.kind for step in graph.steps.values()):
        steps = [step for step in graph.steps.values() if step.kind == kind]
        running = [step for step in steps if step.address in chosen]
        total = sum(seconds[step.address] for step in running)
        size = sum(costs.bytes(step, graph) for step in running)
        kinds.append(KindPlan(kind, len(steps), len(running), total, size, costs.speed(kind).basis))
    return Plan(
        kinds=tuple(kinds),
        device=costs.device,
        machine=costs.machine,
        probed=costs.probed,
        gpu_seconds=sum(seconds[address] for address in wanted if on_gpu[address]),
        wall={
            workers: wall_seconds(graph, wanted, workers, seconds.__getitem__, on_gpu.__getitem__)
            for workers in WORKERS
        },
        download_bytes=download_bytes,
        disk_bytes=round(sum(kind.bytes for kind in kinds)),
    )


def wall_seconds(
    graph: Graph,
    wanted: list[str],
    workers: int,
    seconds: Callable[[str], float],
    needs_gpu: Callable[[str], bool],
) -> float:
    """Seconds until the last step ends: the engine's own scheduler, with a clock that jumps.

    Every worker takes any step: where GPUs are used, each worker has one.
    """
    scheduler = Scheduler(
        graph, wanted, lambda step: seconds(step.address), lambda step: needs_gpu(step.address)
    )
    now, running = 0.0, list[tuple[float, str]]()
    while True:
        while len(running) < workers and (step := scheduler.take(gpu_free=True)) is not None:
            heapq.heappush(running, (now + seconds(step.address), step.address))
        if not running:
            return now
        now, address = heapq.heappop(running)
        scheduler.finish(address)


def _spec_gpu(graph: Graph, step: KeyedStep) -> bool:
    return graph.kinds[step.kind].needs_gpu
