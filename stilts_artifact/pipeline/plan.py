"""What a run would cost: steps by kind, hours, wall time by number of workers, disk."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from stilts_artifact.pipeline.costs import Costs
from stilts_artifact.pipeline.job import Device
from stilts_artifact.pipeline.scheduler import Scheduler, missing
from stilts_artifact.pipeline.step import Graph, KeepModels, KeyedStep
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
        basis: how the time is known: ``probed`` here, ``tabled`` elsewhere, or ``guessed``.
    """

    kind: str
    steps: int
    to_run: int
    seconds: float
    bytes: float
    basis: str


@dataclass(frozen=True, slots=True)
class ProbedOn:
    """When a machine was probed, and how many processes wanted a core just before."""

    date: str
    load: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The cost of a run.

    Attributes:
        kinds: in the order in which the graph first needs them.
        device: what a worker is: a CPU core or a GPU.
        machine: whose speed the times stand for.
        threads: of a worker on a CPU.
        basis: how times of what computes with the model are known: ``probed`` on this machine,
            ``tabled`` of another one, or ``guessed`` by counted operations.
        uncertain: factor, both ways, by which times may be wrong, of all kinds of steps together.
        probe: its date, and the load of the machine before it; ``None`` without one.
        gpu_seconds: GPUs are busy together; 0 on CPUs.
        wall: number of workers -> seconds until the last step ends, of a machine that does nothing
            else.
        download_bytes: still to be fetched.
        keep_models: which trained models stay.
        disk: number of workers -> bytes that the results still to be made take at the worst moment,
            with what the steps of that moment have unfinished.
        peak_disk_bytes: the largest of them.
        end_disk_bytes: that stay when all is made.
    """

    kinds: tuple[KindPlan, ...]
    device: Device
    machine: str
    threads: int
    basis: str
    uncertain: float
    probe: ProbedOn | None
    gpu_seconds: float
    wall: Mapping[int, float]
    download_bytes: int
    keep_models: KeepModels
    disk: Mapping[int, int]
    peak_disk_bytes: int
    end_disk_bytes: int


def make_plan(
    graph: Graph,
    store: Store,
    costs: Costs,
    download_bytes: int = 0,
    keep_models: KeepModels = "all",
) -> Plan:
    """The cost of what is missing of a graph.

    Args:
        download_bytes: of the sources still missing, which the caller knows.
        keep_models: which trained models are not dropped.

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
        kinds.append(KindPlan(kind, len(steps), len(running), total, size, costs.basis_of(kind)))
    need = Need(
        seconds.__getitem__,
        on_gpu.__getitem__,
        {address: costs.bytes(graph.steps[address], graph) for address in wanted}.__getitem__,
        {address: costs.work_bytes(graph.steps[address], graph) for address in wanted}.__getitem__,
    )
    runs = {workers: simulate(graph, wanted, workers, need, keep_models) for workers in WORKERS}
    imports = costs.imports if wanted else 0.0
    uncertain = costs.uncertain({kind.kind: kind.seconds for kind in kinds})
    return Plan(
        kinds=tuple(kinds),
        device=costs.device,
        machine=costs.machine,
        threads=costs.threads,
        basis=costs.basis,
        uncertain=uncertain,
        probe=None if costs.probe is None else ProbedOn(costs.probe.date, costs.probe.load),
        gpu_seconds=sum(seconds[address] for address in wanted if on_gpu[address]),
        # Every worker's process imports what it needs before its first step.
        wall={workers: run.seconds + imports for workers, run in runs.items()},
        download_bytes=download_bytes,
        keep_models=keep_models,
        disk={workers: round(run.peak) for workers, run in runs.items()},
        peak_disk_bytes=round(max(run.peak for run in runs.values())),
        end_disk_bytes=round(max(run.end for run in runs.values())),
    )


class Need(NamedTuple):
    """What each step takes, by address.

    Args:
        seconds: it runs for.
        gpu: whether it needs one.
        bytes: of its result.
        work: bytes that it has while it runs; they are gone before its result is written.
    """

    seconds: Callable[[str], float]
    gpu: Callable[[str], bool]
    bytes: Callable[[str], float]
    work: Callable[[str], float]


class Simulated(NamedTuple):
    """A run that was only simulated: its seconds, and bytes at the worst moment and at the end."""

    seconds: float
    peak: float
    end: float


def simulate(
    graph: Graph, wanted: list[str], workers: int, need: Need, keep: KeepModels = "all"
) -> Simulated:
    """A run by the engine's own scheduler, with a clock that jumps.

    Every worker takes any step: where GPUs are used, each worker has one.
    """
    scheduler = Scheduler(
        graph,
        wanted,
        lambda step: need.seconds(step.address),
        lambda step: need.gpu(step.address),
        keep,
    )
    made = set(wanted)
    now, held, peak, running = 0.0, 0.0, 0.0, list[tuple[float, str]]()
    while True:
        while len(running) < workers:
            step = scheduler.take(gpu_free=True, workers=workers, idle=not running)
            if step is None:
                break
            heapq.heappush(running, (now + need.seconds(step.address), step.address))
            held += max(need.bytes(step.address), need.work(step.address))
            peak = max(peak, held)
        if not running:
            return Simulated(now, peak, held)
        now, address = heapq.heappop(running)
        held -= max(need.work(address) - need.bytes(address), 0.0)
        held -= sum(need.bytes(model) for model in scheduler.finish(address) if model in made)


def _spec_gpu(graph: Graph, step: KeyedStep) -> bool:
    return graph.kinds[step.kind].needs_gpu
