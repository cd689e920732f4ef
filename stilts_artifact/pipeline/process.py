"""Steps in processes of their own: each sees nothing ambient, and is lost only by its death.

Whoever runs a step, a thread of this machine's cluster or a worker of another one, hands it to a
process of this package over pipes that nobody else can open. A process lives until its ends of the
pipes are closed: however slow or stopped it is, no clock takes it for dead.
"""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from typing import IO, Any

from stilts_artifact.errors import ResourceError
from stilts_artifact.isolation import clean_environment, isolated_command
from stilts_artifact.pipeline.errors import Outcome, fault_of, lost_workers, memory_kills
from stilts_artifact.pipeline.job import Context
from stilts_artifact.pipeline.step import KeyedStep, KindSpec

FIXED: dict[str, str] = {
    # A sum of floats depends on the number of threads that share it.
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "RAYON")},
    "PYTHONHASHSEED": "0",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Environment of every process that runs steps, beside what it may have of this one's."""

# How often a step may lose its process before the step itself is at fault.
_LIVES = 4
# A process that ends by itself before it has begun will do so again.
_STARTS = 3
_LOG_TAIL = 4000


class _Died(Exception):
    """A process ended.

    Args:
        log: the last that it wrote.
        by_itself: before it had begun, and nobody killed it.
    """

    def __init__(self, log: str, *, by_itself: bool) -> None:
        super().__init__(log)
        self.log, self.by_itself = log, by_itself


class _Child:
    """A process that has been started, and the pipes to and from it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        try:
            # Without a name: nothing is left of it, whatever kills whom.
            self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
            self.process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603  # our program
                isolated_command("stilts_artifact.pipeline.worker:serve", sys.path),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env={**clean_environment(), **environment},
                # A group of its own, from before it runs: should it be stopped when this process is
                # killed, the system then continues and ends it, as an orphaned group.
                process_group=0,
            )
        except OSError as error:
            raise _Died(str(error), by_itself=True) from error
        self._begun = False

    def ask(self, *order: Any) -> Outcome:
        """Have it run a step.

        Raises:
            _Died: before it had an answer.
        """
        orders, answers = self.process.stdin, self.process.stdout
        try:
            if orders is None or answers is None:
                raise EOFError
            if not self._begun:
                self._begun = pickle.load(answers)  # noqa: S301  # written by our own process
            pickle.dump(order, orders)
            orders.flush()
            outcome: Outcome = pickle.load(answers)  # noqa: S301
        # Its ends of the pipes are closed: it has ended, or is about to.
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise self._died() from error
        return outcome

    def _died(self) -> _Died:
        self.process.kill()
        code = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                # What it never read would be written once more.
                with contextlib.suppress(OSError):
                    pipe.close()
        with self._log as log:
            log.seek(0)
            text = log.read().decode("utf-8", errors="replace")
        log_tail = text[-_LOG_TAIL:].strip() or f"exit code {code}"
        return _Died(log_tail, by_itself=code > 0 and not self._begun)


class StepProcess:
    """A process that runs one step after another; it starts when the first one comes.

    Args:
        environment: beside :data:`FIXED`, such as the GPU it may use.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**FIXED, **environment}
        self._child: _Child | None = None
        self._closed = False
        # Between the thread that starts processes and the one that closes all.
        self._starting = threading.Lock()
        # A worker with several threads may be given several steps; a GPU holds one.
        self._one_at_a_time = threading.Lock()

    def run(self, step: KeyedStep, spec: KindSpec, context: Context) -> Outcome:
        """The step's outcome; a process that dies is replaced, and the step run again.

        After :data:`_LIVES` deaths that is the step's fault; processes that do not even start end
        the whole run.
        """
        deaths = starts = 0
        kills = memory_kills()
        with self._one_at_a_time:
            while True:
                try:
                    return self._running().ask(step, spec, context)
                except _Died as died:
                    self._child = None
                    # Killed from outside, or for lack of memory, it may do better next time.
                    deaths, starts = deaths + (not died.by_itself), starts + died.by_itself
                    if deaths < _LIVES and starts < _STARTS and not self._closed:
                        continue
                    hopeless = starts == _STARTS
                    error = (
                        _does_not_start(died.log)
                        if hopeless
                        else lost_workers(step.label, deaths, memory_kills() - kills)
                    )
                    fault = fault_of(error, step.label, context.root, 0, died.log)
                    return Outcome(0.0, fault, ends_run=hopeless)

    def close(self) -> None:
        """Kill the process, whatever it does; no other is started."""
        with self._starting:
            self._closed = True
            if self._child is not None:
                self._child.process.kill()
                self._child.process.wait()

    def _running(self) -> _Child:
        with self._starting:
            if self._closed:
                raise _Died("", by_itself=False)
            if self._child is None:
                self._child = _Child(self._environment)
            return self._child


def _does_not_start(why: str) -> ResourceError:
    return ResourceError(
        "the processes that run steps do not start",
        got=why.splitlines()[-1],
        fix="`stilts-artifact doctor` says what this machine lacks; "
        "use fewer --workers where it lacks memory",
    )


# By the worker whose steps they run, in the process of that worker; by its device, too, where the
# worker is another cluster's, and may serve several runs.
_PROCESSES: dict[str, StepProcess] = {}
_CHANGING = threading.Lock()


def run_isolated(step: KeyedStep, spec: KindSpec, context: Context) -> Outcome:
    """Run a step in the process of the Dask worker that this is called on."""
    from distributed import get_worker

    worker: str = get_worker().id
    # A worker of another cluster may have a GPU, which a run that is made for the CPU must not use:
    # every step takes one that it sees.
    hidden = {} if context.device == "cuda" else {"CUDA_VISIBLE_DEVICES": ""}
    with _CHANGING:
        process = _PROCESSES.get(worker)
        if process is None:
            process = _PROCESSES.setdefault(f"{worker} {context.device}", StepProcess(hidden))
    return process.run(step, spec, context)


def own_process(worker: str, environment: Mapping[str, str]) -> StepProcess:
    """Give a worker its process beforehand; the caller closes it.

    Args:
        worker: ``id`` of a Dask worker of this process.
    """
    with _CHANGING:
        return _PROCESSES.setdefault(worker, StepProcess(environment))


def forget_process(worker: str) -> None:
    """Close a worker's process."""
    with _CHANGING:
        process = _PROCESSES.pop(worker)
    process.close()
