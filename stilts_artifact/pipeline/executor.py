"""Run what is missing of a graph on Dask workers.

The engine itself decides what starts when, and gives Dask no more steps than there are free
workers: a worker that dies then takes with it the one step it ran, and no step is blamed for the
death of a worker it only waited at. Workers of a cluster may be about to join: without any, the run
waits, and says so.
"""

from __future__ import annotations

import queue
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stilts_artifact.errors import ConfigError, ResourceError
from stilts_artifact.pipeline.cluster import local_client, remote_client
from stilts_artifact.pipeline.errors import (
    Failure,
    Outcome,
    RunReport,
    Skipped,
    failure_of,
    fault_of,
    lost_workers,
)
from stilts_artifact.pipeline.job import Context
from stilts_artifact.pipeline.process import run_isolated
from stilts_artifact.pipeline.progress import Pace, Slots, Snapshot, Watch
from stilts_artifact.pipeline.runs import Ask, Runs
from stilts_artifact.pipeline.scheduler import Scheduler, missing, unmade
from stilts_artifact.pipeline.step import Graph, KeepModels, KeyedStep
from stilts_artifact.pipeline.store import Store

if TYPE_CHECKING:
    from distributed import Client

    from stilts_artifact.pipeline.costs import Costs

_TICK_SECONDS = 0.5
# How often a step has its inputs made again that other runs drop, before that is a fault.
_REMAKES = 5


@dataclass(frozen=True, slots=True)
class Options:
    """How to run, which has no bearing on any result.

    Args:
        workers: processes on this machine; default one for each core, or one for each GPU.
        scheduler: address of a Dask scheduler to use instead of this machine.
        costs: what steps are planned to take, for their order and the time left; without it, all
            steps count alike.
        keep_models: which trained models are not dropped once nothing needs them.

    Raises:
        ConfigError: fewer than one worker, or workers for a cluster that has its own.
    """

    workers: int | None = None
    scheduler: str | None = None
    costs: Costs | None = None
    keep_models: KeepModels = "all"

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ConfigError(
                "too few workers", where="--workers", got=str(self.workers), expected="1 or more"
            )
        if self.workers is not None and self.scheduler is not None:
            fix = "leave --workers out: the cluster has its own"
            raise ConfigError(
                "--workers and --scheduler exclude each other", where="--workers", fix=fix
            )


def run(graph: Graph, context: Context, options: Options, watch: Watch) -> RunReport:
    """Make every target of the graph. Finished steps are neither run nor sent anywhere.

    Returns:
        What was found, made, failed and skipped. One failing step stops only what rests on it.

    Raises:
        ResourceError: the cluster does not start, does not answer, or is lost.
        KeyboardInterrupt: after all local workers are stopped; the same call resumes.
    """
    began = time.monotonic()
    # A cluster's worker may have another working directory, where a relative path leads elsewhere.
    context = replace(context, root=context.root.resolve())
    store = Store(context.root)
    wanted = missing(graph, store)
    found = tuple(step for address, step in graph.steps.items() if address not in set(wanted))
    ask, runs = Ask.of(graph, options.keep_models), Runs(store)
    if not wanted:
        # Of a store that may not be written, results are read all the same.
        with suppress(OSError):
            if runs.dead:
                store.clean()
                runs.settle(graph.kinds, ask)
        return RunReport(found, (), (), (), time.monotonic() - began)
    store.clean()
    with runs.entered(ask):
        runs.settle(graph.kinds, ask)
        # Again: before it was entered, another run may have dropped what this one found.
        wanted = missing(graph, store)
        with _client(context, options) as client:
            current = _Run(graph, wanted, context, options, client, runs)
            current.loop(watch)
    for step in current.made:
        # Whoever asked for the run reads them next, perhaps not where they were made.
        store.await_published(step.address)
    runs.settle(graph.kinds, ask, over=True)
    return RunReport(
        found,
        tuple(current.made),
        tuple(current.failures),
        tuple(current.skipped),
        time.monotonic() - began,
        tuple(current.remarks),
    )


@contextmanager
def _client(context: Context, options: Options) -> Iterator[Client]:
    if options.scheduler is not None:
        with remote_client(options.scheduler) as client:
            yield client
    else:
        with local_client(context.root / "work", options.workers, context.device) as client:
            yield client


class _Run:
    """The state of one run."""

    def __init__(
        self,
        graph: Graph,
        wanted: list[str],
        context: Context,
        options: Options,
        client: Client,
        runs: Runs,
    ) -> None:
        self.made: list[KeyedStep] = []
        self.remarks: list[str] = []
        self.failures: list[Failure] = []
        self.skipped: list[Skipped] = []
        self._graph, self._context, self._options, self._client = graph, context, options, client
        # Of all steps: what was dropped may have to be made again.
        planned = _planned(graph, options.costs)
        on_gpu = {address for address, step in graph.steps.items() if self._needs_gpu(step)}
        self._pace = Pace(graph, planned, wanted, on_gpu)
        self._scheduler = Scheduler(
            graph,
            wanted,
            lambda step: planned[step.address],
            self._needs_gpu,
            options.keep_models,
        )
        self._store = Store(context.root)
        self._runs = runs
        self._undropped: list[str] = []
        self._made: set[str] = set()
        self._remade: Counter[str] = Counter()
        self._running: dict[str, tuple[Any, KeyedStep, float]] = {}
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._slots = _Slots(client)
        # Two runs may share a scheduler without sharing a store.
        self._unique = uuid.uuid4().hex[:8]

    def loop(self, watch: Watch) -> None:
        """Run until nothing runs and nothing can start."""
        try:
            while self._scheduler.waiting or self._running:
                self._start()
                watch(self._snapshot())
                self._wait()
            watch(self._snapshot())
            # Another run may have read them until now.
            for address in self._undropped:
                self._drop(address)
        finally:
            # A cluster may outlive this run: it must not start what nobody waits for any more.
            for future, _, _ in self._running.values():
                future.cancel()

    def _needs_gpu(self, step: KeyedStep) -> bool:
        return self._context.device == "cuda" and self._graph.kinds[step.kind].needs_gpu

    def _start(self) -> None:
        self._slots.refresh()
        on_gpu = sum(self._needs_gpu(step) for _, step, _ in self._running.values())
        while len(self._running) < self._slots.threads:
            step = self._scheduler.take(
                gpu_free=on_gpu < self._slots.gpus,
                workers=self._slots.threads,
                idle=not self._running,
            )
            if step is None:
                return
            gpu = self._needs_gpu(step)
            on_gpu += gpu
            name = f"{step.kind}-{step.key[:12]}-{self._unique}"
            resources: dict[str, Any] = {"resources": {"GPU": 1}} if gpu else {}
            arguments = (step, self._graph.kinds[step.kind], self._context)
            future: Any = self._client.submit(
                run_isolated, *arguments, key=name, pure=False, **resources
            )
            self._running[name] = (future, step, time.monotonic())
            # Dask calls back from a thread of its own, hence the queue: only this thread may touch
            # the run's state.
            future.add_done_callback(lambda ended: self._ended.put(str(ended.key)))

    def _wait(self) -> None:
        """Wait for the end of a step, or the next tick; then take note of all that have ended."""
        try:
            name = self._ended.get(timeout=_TICK_SECONDS)
            while True:
                self._end(name)
                name = self._ended.get_nowait()
        except queue.Empty:
            return

    def _end(self, name: str) -> None:
        future, step, began = self._running.pop(name)
        outcome = self._outcome(future, step)
        if isinstance(outcome, Failure):
            self._fail(outcome)
        elif outcome.fault is not None and outcome.ends_run:
            raise outcome.fault.error()
        elif outcome.gone and self._remade[step.address] < _REMAKES:
            self._remake(step, outcome.gone)
        elif outcome.fault is not None:
            self._fail(failure_of(step, outcome.fault, self._context.root))
        else:
            self.made.append(step)
            self._made.add(step.address)
            self.remarks += [outcome.remark] if outcome.remark else []
            freed = self._scheduler.finish(step.address)
            self._undropped += [address for address in freed if not self._drop(address)]
            # 0 means that it was there already, which says nothing of how long such a step takes.
            if outcome.seconds > 0:
                self._pace.finish(step.address, time.monotonic() - began)

    def _drop(self, address: str) -> bool:
        why = f"nothing needed it any more, and --keep-models was {self._options.keep_models}"
        return self._runs.drop(address, why, own=address in self._made)

    def _remake(self, step: KeyedStep, gone: tuple[str, ...]) -> None:
        """Another run has dropped what a step reads: it waits until that is made again."""
        self._remade[step.address] += 1
        inputs = {address: one.inputs.values() for address, one in self._graph.steps.items()}
        again = unmade(gone, (), inputs, self._store)
        lost = next((one.step for one in self.failures if one.step.address in again), None)
        if lost is None:
            self._scheduler.reopen(step.address, again)
        else:
            # Tried already, for another of its readers: to wait for it would be to wait for ever.
            self.skipped.append(Skipped(step, lost))
            self._skip_users(step, lost)

    def _fail(self, failure: Failure) -> None:
        self.failures.append(failure)
        self._skip_users(failure.step, failure.step)

    def _skip_users(self, step: KeyedStep, because: KeyedStep) -> None:
        self.skipped += [Skipped(user, because) for user in self._scheduler.fail(step.address)]

    def _outcome(self, future: Any, step: KeyedStep) -> Outcome | Failure:
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        try:
            # It has ended; a worker that dies with what it returned has Dask run it again.
            outcome: Outcome = future.result()
        except KilledWorker as error:
            # Another machine's: what its system killed there, nobody says here.
            return Failure(step, lost_workers(step.label, error.allowed_failures + 1, 0))
        except (FutureCancelledError, TimeoutError, OSError) as error:
            raise _lost(self._options.scheduler, error) from error
        except Exception as error:  # noqa: BLE001
            # A worker that cannot even start the step: it lacks this package, say.
            return failure_of(
                step, fault_of(error, step.label, self._context.root, 0), self._context.root
            )
        return outcome

    def _snapshot(self) -> Snapshot:
        now = time.monotonic()
        elapsed = {step.address: now - began for _, step, began in self._running.values()}
        waiting = self._scheduler.waiting
        slots = Slots(self._slots.threads, self._slots.gpus)
        total, failed = len(self._graph.steps), len(self.failures) + len(self.skipped)
        return Snapshot(
            total=total,
            done=total - len(elapsed) - len(waiting) - failed,
            running=tuple(step.label for _, step, _ in self._running.values()),
            failed=failed,
            workers=self._slots.threads,
            seconds_left=self._pace.left(elapsed, waiting, slots),
            note=self._note(),
            remarks=tuple(self.remarks),
        )

    def _note(self) -> str:
        if self._running:
            return ""
        if self._slots.threads == 0:
            return "waiting for a worker"
        if self._slots.gpus == 0 and self._scheduler.has_ready(gpu=True):
            return "waiting for a worker with the resource GPU=1"
        return ""


def _planned(graph: Graph, costs: Costs | None) -> dict[str, float]:
    """Seconds that each step is planned to take; 1 of each where no plan knows them all."""
    if costs is not None:
        with suppress(ConfigError):
            return {address: costs.seconds(step, graph) for address, step in graph.steps.items()}
    return dict.fromkeys(graph.steps, 1.0)


class _Slots:
    """How many steps the cluster can take at once; its workers come and go."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._asked = float("-inf")
        self.threads = 0
        self.gpus = 0

    def refresh(self) -> None:
        """Ask the scheduler, at most once a tick.

        Raises:
            ResourceError: it is gone.
        """
        now = time.monotonic()
        if now - self._asked < _TICK_SECONDS:
            return
        self._asked = now
        try:
            workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        except (OSError, TimeoutError, RuntimeError) as error:
            raise _lost(None, error) from error
        # One step at a time in a process, however many threads it has.
        self.threads = len(workers)
        self.gpus = int(sum(worker["resources"].get("GPU", 0) for worker in workers))


def _lost(address: str | None, error: Exception) -> ResourceError:
    got = f"{type(error).__name__}: {error}"[:300]
    fix = "start the cluster again, then run the same command: finished steps are kept"
    return ResourceError(
        "the connection to the Dask scheduler is lost", where=address, got=got, fix=fix
    )
