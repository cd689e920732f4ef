"""The engine in one process, with a clock that jumps: which step ends next is known beforehand.

Everything is the engine's own but the cluster: scheduler, store, records, the register of runs, and
the function that a worker calls. A run can be ended, as by SIGKILL, at any call that changes the
disk.
"""

from __future__ import annotations

import contextlib
import os
import queue
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stilts_artifact.pipeline import executor
from stilts_artifact.pipeline.errors import Outcome, RunReport
from stilts_artifact.pipeline.executor import Options, run
from stilts_artifact.pipeline.job import Context
from stilts_artifact.pipeline.step import Graph, KeepModels, KeyedStep, KindSpec, Step
from stilts_artifact.pipeline.store import Store
from stilts_artifact.pipeline.worker import work

_JOIN = "tests.faults.workflow_kinds:join"
KINDS = {
    "data": KindSpec(1, _JOIN),
    "encoder": KindSpec(1, _JOIN, model="encoder"),
    "target": KindSpec(1, _JOIN, model="target"),
    "predict": KindSpec(1, _JOIN),
}
_CHANGES = ("rename", "replace", "unlink", "rmdir", "mkdir")


@dataclass
class InlineClient:
    """Stands for Dask's client and for the queue of ended steps.

    Args:
        seconds: address -> how long the step takes.
        watch: called whenever a step has ended, before the engine hears of it.
    """

    workers: int
    seconds: Mapping[str, float]
    watch: Callable[[], None] = lambda: None
    now: float = 0.0
    running: dict[str, tuple[float, tuple[Any, ...], Any]] = field(default_factory=dict)

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"workers": {number: {"resources": {}} for number in range(self.workers)}}

    def submit(self, function: object, *order: Any, key: str, pure: bool) -> Any:
        end = self.now + self.seconds.get(order[0].address, 1.0)
        future = SimpleNamespace(
            key=key, add_done_callback=lambda _: None, cancel=lambda: None, result=None
        )
        self.running[key] = (end, order, future)
        return future

    def get(self, timeout: float) -> str:
        """The name of the step that ends next, which is run only now."""
        key = min(self.running, key=lambda name: (self.running[name][0], name))
        self.now, order, future = self.running.pop(key)
        outcome: Outcome = work(*order)
        future.result = lambda: outcome
        self.watch()
        return key

    def get_nowait(self) -> str:
        raise queue.Empty


def go(
    graph: Graph,
    root: Path,
    client: InlineClient,
    keep: KeepModels = "none",
    costs: Any = None,
) -> RunReport:
    """Run a graph in this process; with costs, what is planned decides the order."""
    with pytest.MonkeyPatch.context() as patch:
        queues = SimpleNamespace(SimpleQueue=lambda: client, Empty=queue.Empty)
        patch.setattr(executor, "queue", queues)
        patch.setattr(executor, "_client", lambda *_: contextlib.nullcontext(client))
        return run(graph, Context(root), Options(keep_models=keep, costs=costs), lambda state: None)


def killed_at(change: int, act: Callable[[], object]) -> bool:
    """Do something in a process that is killed at its n-th change of the disk, if it has so many.

    Returns:
        Whether it was killed; it may not end in any other way than by doing what it was to do.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with _deadly(change):
                act()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 9), "what was to be done failed"
    return code == 9


@contextlib.contextmanager
def _deadly(left: int) -> Iterator[None]:
    def wrapped(real: Callable[..., Any]) -> Callable[..., Any]:
        def change(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os._exit(9)
            return real(*arguments, **options)

        return change

    with pytest.MonkeyPatch.context() as patch:
        for name in _CHANGES:
            patch.setattr(os, name, wrapped(getattr(os, name)))
        yield


def held(store: Store, graph: Graph) -> list[KeyedStep]:
    """The models of a graph that are here."""
    models = [step for step in graph.steps.values() if KINDS[step.kind].model is not None]
    return [step for step in models if store.has(step.address)]


def row(name: str, targets: int = 2) -> list[Step]:
    """Predictions of a row: its encoder, fine-tuned on some targets."""
    encoder = Step("encoder", {"text": name}, {"data": Step("data", {"text": "data "})})
    found = []
    for number in range(targets):
        data = Step("data", {"text": f"{number} "})
        target = Step("target", {"text": f" {number} "}, {"encoder": encoder, "data": data})
        found.append(Step("predict", {"text": "predicted"}, {"model": target, "data": data}))
    return found


def models_of(steps: list[Step]) -> list[Step]:
    """The models behind some steps."""
    below = [other for step in steps for other in step.inputs.values()]
    own = [step for step in below if KINDS[step.kind].model is not None]
    return list(dict.fromkeys([*own, *(models_of(below) if below else [])]))
