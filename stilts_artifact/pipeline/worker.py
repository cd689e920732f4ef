"""One step in a worker process: verified inputs in, one published result out."""

from __future__ import annotations

import os
import pkgutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from stilts_artifact.errors import ArtifactError
from stilts_artifact.pipeline.errors import Fault, Outcome, fault_of
from stilts_artifact.pipeline.job import Context, Job
from stilts_artifact.pipeline.step import KeyedStep, KindSpec
from stilts_artifact.pipeline.store import Draft, Store

THREADS: dict[str, str] = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
}
"""Environment of every worker: a sum of floats depends on the number of threads that share it."""

# A step seeds torch's global generators; two at once in one process would disturb each other.
_ONE_AT_A_TIME = threading.Lock()
_LOG_TAIL = 4000


def work(step: KeyedStep, spec: KindSpec, context: Context) -> Outcome:
    """Make a step's result, unless it is there. Whatever the step raises is returned, not raised.

    An exception would lose its fields on its way through pickle, and its class if only the worker
    can import it.
    """
    with _ONE_AT_A_TIME:
        store = _store(context.root)
        # Another run on the same store may have made it since this one was planned.
        if store.has(step.address):
            return Outcome(0.0)
        _one_thread()
        began = time.monotonic()
        try:
            with store.draft(step) as draft:
                fault = _attempt(step, spec, context, draft)
        # Of the draft itself: what the step raises has become its fault already.
        except (ArtifactError, OSError) as error:
            fault = fault_of(error, step.label, context.root, 0)
        return Outcome(time.monotonic() - began, fault)


def _attempt(step: KeyedStep, spec: KindSpec, context: Context, draft: Draft) -> Fault | None:
    began = time.monotonic()
    try:
        with _output_to(draft.log):
            # Imported within the try: a package that a worker lacks is a fault like any other.
            function = pkgutil.resolve_name(spec.target)
            inputs = {
                name: _input(_store(context.root), address) for name, address in step.inputs.items()
            }
            function(Job(step.params, inputs, draft.out, draft.work, context))
        draft.publish(time.monotonic() - began)
    except (Exception, SystemExit) as error:  # noqa: BLE001
        # Whatever it is, the person who started the run must see it.
        return fault_of(error, step.label, context.root, draft.written(), _tail(draft.log))
    return None


def _input(store: Store, address: str) -> Path:
    store.await_published(address)
    return store.read(address)


@lru_cache(maxsize=4)
def _store(root: Path) -> Store:
    """One store for each root, because a store remembers what it has verified."""
    return Store(root)


def _one_thread() -> None:
    # A cluster's worker was not started with this environment, and a torch that is loaded already
    # no longer reads it: it is told itself.
    os.environ.update(THREADS)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Send all this process prints, its libraries in C included, to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    # By descriptor: code in C writes past Python's sys.stdout and sys.stderr.
    saved = [(number, os.dup(number)) for number in (1, 2)]
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        for number, _ in saved:
            os.dup2(file, number)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, old in saved:
            os.dup2(old, number)
            os.close(old)
        os.close(file)


def _tail(log: Path) -> str:
    try:
        return log.read_text("utf-8", errors="replace")[-_LOG_TAIL:]
    except OSError:
        return ""
