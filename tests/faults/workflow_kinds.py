"""Kinds of steps that tests run in real worker processes, well-behaved ones and others."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from stilts_artifact.errors import DataError
from stilts_artifact.pipeline.job import Job
from stilts_artifact.pipeline.step import KindSpec


def join(job: Job) -> None:
    """Write the text of the inputs and the step's own, after ``seconds``."""
    time.sleep(job.params.get("seconds", 0))
    texts = [(path / "text").read_text() for _, path in sorted(job.inputs.items())]
    (job.out / "text").write_text("".join(texts) + str(job.params.get("text", "")))


def process(job: Job) -> None:
    """Write the number of this worker process and a line of what it sees of its surroundings."""
    time.sleep(job.params.get("seconds", 0))
    threads = os.environ["OMP_NUM_THREADS"]
    (job.out / "text").write_text(
        f"{os.getpid()} {threads} {os.environ.get('CUDA_VISIBLE_DEVICES') or '-'}"
    )


def surroundings(job: Job) -> None:
    """Write down what this process sees, and a sum by the numpy that it finds."""
    import numpy as np

    seen = {
        "environment": dict(os.environ),
        "path": sys.path,
        "optimize": sys.flags.optimize,
        "hash": hash("stilts"),
        "utf8": sys.flags.utf8_mode,
        "numpy": np.__version__,
        "sum": float(np.linspace(0, 1, 1000, dtype=np.float32).sum()),
    }
    (job.out / "text").write_text(json.dumps(seen))


def chatter(job: Job) -> None:
    """Print, and have another program print, and read all that it is given."""
    os.write(1, b"not an answer")
    subprocess.run(["cat"], check=True)
    subprocess.run(["echo", "nor is this"], check=True)
    (job.out / "text").write_text("said")


def refuse(job: Job) -> None:
    """Fail as a reader does, after counting the attempt."""
    _count(job)
    print("printed by the step")
    raise DataError(
        "label outside its set",
        where="dev.tsv:7",
        got="'x'",
        expected="'0' or '1'",
        fix="mend the file",
    )


def crash(job: Job) -> None:
    """Fail by an error nobody foresaw."""
    sys.stderr.write("last words\n")
    raise ZeroDivisionError(job.params["text"])


def leave(job: Job) -> None:
    """Do what a library must not: leave the process."""
    raise SystemExit(3)


def empty(job: Job) -> None:
    """Write nothing."""


def full(job: Job) -> None:
    """Find the disk full after some bytes."""
    (job.out / "text").write_bytes(bytes(1000))
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def big(job: Job) -> None:
    """Write as many bytes as asked for."""
    (job.out / "text").write_bytes(bytes(job.params["bytes"]))


def die(job: Job) -> None:
    """Kill this worker at the first ``times`` attempts, when ``at`` says; then behave."""
    attempt = _count(job)
    if attempt > job.params["times"]:
        return join(job)
    at = job.params["at"]
    if at == "before":
        _kill()
    (job.out / "text").write_text("half")
    if at == "middle":
        _kill()
    (job.out / "text").write_text(job.params.get("text", ""))
    _die_at(at)
    return None


def course(job: Job) -> None:
    """Ten counted rounds with a checkpoint each; at the first attempt's fifth, a kill."""
    state = job.work / "round"
    done = int(state.read_text()) if state.is_file() else 0
    attempt = _count(job)
    log = _folder(job) / "rounds"
    for number in range(done + 1, 11):
        with log.open("a") as file:
            file.write(f"{number}\n")
        state.with_suffix(".new").write_text(str(number))
        state.with_suffix(".new").replace(state)
        if number == 5 and attempt == 1:
            _kill()
    (job.out / "text").write_text("ten")


def patient(job: Job) -> None:
    """Rounds with a checkpoint each, until there is a file ``go``; notes where an attempt began."""
    state = job.work / "round"
    done = int(state.read_text()) if state.is_file() else 0
    with (_folder(job) / "began").open("a") as file:
        file.write(f"{done}\n")
    while not (_folder(job) / "go").exists():
        done += 1
        state.with_suffix(".new").write_text(str(done))
        state.with_suffix(".new").replace(state)
        time.sleep(0.1)
    (job.out / "text").write_text("went")


def differ(job: Job) -> None:
    """A step that breaks its promise: another result each time."""
    time.sleep(job.params.get("seconds", 0))
    (job.out / "same").write_text("same")
    (job.out / "text").write_text(f"{os.getpid()} {time.time_ns()}")


KINDS = {
    name: KindSpec(1, f"{__name__}:{name}")
    for name in (
        "join",
        "chatter",
        "process",
        "refuse",
        "surroundings",
        "crash",
        "leave",
        "empty",
        "full",
        "big",
        "die",
        "course",
        "patient",
        "differ",
    )
}
KINDS["process-on-gpu"] = KindSpec(1, f"{__name__}:process", needs_gpu=True)


def attempts(folder: Path, name: str) -> int:
    """How many attempts a step with this ``name`` has counted."""
    path = folder / name
    return len(path.read_text().splitlines()) if path.is_file() else 0


def _folder(job: Job) -> Path:
    return job.context.folders["counts"]


def _count(job: Job) -> int:
    path = _folder(job) / str(job.params["name"])
    with path.open("a") as file:
        file.write(f"{os.getpid()}\n")
    return attempts(_folder(job), str(job.params["name"]))


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at(at: str) -> None:
    """Kill this process at, or after, the n-th call of a system function: ``rename-after:1``."""
    name, _, number = at.partition(":")
    name, _, after = name.partition("-")
    real, left = getattr(os, name), int(number)

    def deadly(*arguments: object, **options: object) -> object:
        nonlocal left
        left -= 1
        if left == 0 and not after:
            _kill()
        result = real(*arguments, **options)
        if left == 0:
            _kill()
        return result

    setattr(os, name, deadly)
