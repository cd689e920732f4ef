"""One step in a worker process: verified inputs in, one published result out."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import pkgutil
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import IO

from stilts_artifact.errors import ArtifactError
from stilts_artifact.files import remove_orphans
from stilts_artifact.pipeline.errors import Outcome, fault_of
from stilts_artifact.pipeline.job import Context, Job
from stilts_artifact.pipeline.meter import Meter, release
from stilts_artifact.pipeline.step import KeyedStep, KindSpec
from stilts_artifact.pipeline.store import Draft, Store

_LOG_TAIL = 4000
_PR_SET_PDEATHSIG = 1


def serve() -> None:
    """Run the steps that come in on standard input, one by one, and answer with their outcomes.

    Ends with the process that started it, whatever becomes of that.
    """
    _die_with_parent()
    # Ctrl-C reaches every process of a terminal; this one is killed by whoever started it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Kept from all else: what libraries print must not get into the answers, nor may a program that
    # they start read the orders.
    order_stream, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    orders: queue.SimpleQueue[tuple[KeyedStep, KindSpec, Context]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(order_stream, orders), daemon=True).start()
    answer: object = True
    while True:
        pickle.dump(answer, answers)
        answers.flush()
        release()
        answer = work(*orders.get())


def _read(
    stream: IO[bytes], orders: queue.SimpleQueue[tuple[KeyedStep, KindSpec, Context]]
) -> None:
    with contextlib.suppress(EOFError, pickle.UnpicklingError):
        while True:
            orders.put(pickle.load(stream))  # noqa: S301  # written by the process that started us
    # Nobody waits for this process any more.
    os._exit(1)


def _die_with_parent() -> None:
    # The end of its pipe says that a parent is gone, but not to a process that is stopped itself,
    # or whose library holds Python's lock: Linux kills that one too.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def work(step: KeyedStep, spec: KindSpec, context: Context) -> Outcome:
    """Make a step's result, unless it is there. Whatever the step raises is returned, not raised.

    An exception would lose its fields on its way through pickle, and its class if only the worker
    can import it.
    """
    store = _store(context.root)
    # Made by another run on the same store since this one was planned; or by a process that was
    # killed at the end, before it had removed its checkpoints.
    if store.has(step.address):
        remove_orphans(store.work, step.key)
        return Outcome(0.0)
    began = time.monotonic()
    try:
        with store.draft(step) as draft:
            outcome = _attempt(step, spec, context, draft)
    # Of the draft itself: what the step raises has become its fault already.
    except (ArtifactError, OSError) as error:
        outcome = Outcome(0.0, fault_of(error, step.label, context.root, 0))
    gone: tuple[str, ...] = ()
    if outcome.fault is not None:
        # Dropped by another run, while this step waited or read: no fault of its own.
        inputs = sorted(set(step.inputs.values()))
        gone = tuple(one for one in inputs if not store.has(one) and store.has_report(one))
    return replace(outcome, seconds=time.monotonic() - began, gone=gone)


def _attempt(step: KeyedStep, spec: KindSpec, context: Context, draft: Draft) -> Outcome:
    # A GPU adds up in an order of its own each time.
    exact = not (spec.needs_gpu and context.device == "cuda")
    began = time.monotonic()
    try:
        with _output_to(draft.log):
            # Imported within the try: a package that a worker lacks is a fault like any other.
            function = pkgutil.resolve_name(spec.target)
            inputs = {
                name: _input(_store(context.root), address) for name, address in step.inputs.items()
            }
            meter = Meter()
            function(Job(step.params, inputs, draft.out, draft.work, context))
        remark = draft.publish(time.monotonic() - began, meter.used(), exact=exact)
        return Outcome(0.0, remark=remark)
    except (Exception, SystemExit) as error:  # noqa: BLE001
        # Whatever it is, the person who started the run must see it.
        fault = fault_of(error, step.label, context.root, draft.written(), _tail(draft.log))
        return Outcome(0.0, fault)


def _input(store: Store, address: str) -> Path:
    store.await_published(address)
    return store.read(address)


@lru_cache(maxsize=4)
def _store(root: Path) -> Store:
    """One store for each root, because a store remembers what it has verified."""
    return Store(root)


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
