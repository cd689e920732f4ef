"""A process is dead when it has ended: stopped or slow ones are waited for, dead ones counted."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from stilts_artifact.errors import ResourceError
from stilts_artifact.isolation import isolated_command
from stilts_artifact.pipeline.errors import RunReport
from stilts_artifact.pipeline.executor import Options, run
from stilts_artifact.pipeline.job import Context
from stilts_artifact.pipeline.progress import Snapshot
from stilts_artifact.pipeline.step import Graph, Step
from tests.faults.workflow_helpers import living, text, wait_until
from tests.faults.workflow_kinds import KINDS, attempts

pytestmark = pytest.mark.slow

# How often the engine looks before it may be said not to give up.
LOOKS = 8


def go(root: Path, counts: Path, step: Step, watch: Callable[[Snapshot], None]) -> RunReport:
    graph = Graph([step], KINDS)
    return run(graph, Context(root, {"counts": counts}), Options(workers=1), watch)


def replace_program(monkeypatch: pytest.MonkeyPatch, program: str, *arguments: str) -> None:
    """Start processes by another program, which is given the right command."""

    def command(target: str, paths: list[str]) -> list[str]:
        right = json.dumps(isolated_command(target, paths))
        return [sys.executable, "-c", program, right, *arguments]

    monkeypatch.setattr("stilts_artifact.pipeline.process.isolated_command", command)


def test_a_process_that_is_slow_to_start_is_waited_for(
    root: Path, counts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "import json, os, sys, time\n"
        "right, gate = json.loads(sys.argv[1]), sys.argv[2]\n"
        "while not os.path.exists(gate): time.sleep(0.05)\n"
        "os.execv(right[0], right)\n"
    )
    replace_program(monkeypatch, program, str(tmp_path / "gate"))
    looks: list[Snapshot] = []

    def watch(state: Snapshot) -> None:
        looks.append(state)
        if len(looks) == LOOKS:
            (tmp_path / "gate").touch()

    report = go(root, counts, Step("join", {"text": "late"}), watch)
    assert len(report.made) == 1 and not report.failures
    assert {state.done for state in looks[:LOOKS]} == {0}


@pytest.mark.parametrize("moment", ["starting", "running"])
def test_a_stopped_process_is_not_a_dead_one(root: Path, counts: Path, moment: str) -> None:
    step = Step("die", {"name": "stopped", "at": "never", "times": 0, "seconds": 1, "text": "x"})
    stopped: list[psutil.Process] = []
    looks = 0
    # Not those that an earlier test of this process left, such as multiprocessing's own.
    before = psutil.Process().children()

    def watch(state: Snapshot) -> None:
        nonlocal looks
        workers = [child for child in psutil.Process().children() if child not in before]
        if not stopped and workers and (moment == "starting" or attempts(counts, "stopped")):
            workers[0].suspend()
            stopped.append(workers[0])
        elif stopped:
            looks += 1
            if looks == LOOKS:
                assert stopped[0].status() == psutil.STATUS_STOPPED
                stopped[0].resume()

    report = go(root, counts, step, watch)
    assert looks >= LOOKS and not report.failures
    assert attempts(counts, "stopped") == 1


def test_processes_that_end_at_their_start_end_the_run_and_say_why(
    root: Path, counts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import sys; open(sys.argv[2], 'a').write('start\\n'); import no_such_library"
    replace_program(monkeypatch, program, str(counts / "starts"))
    with pytest.raises(ResourceError, match="do not start") as caught:
        go(root, counts, Step("join", {"text": "never"}), lambda state: None)
    assert caught.value.got == "ModuleNotFoundError: No module named 'no_such_library'"
    assert attempts(counts, "starts") == 3


def test_a_process_killed_at_its_start_is_replaced(
    root: Path, counts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the system, for lack of memory: that is no reason to end the run."""
    program = (
        "import json, os, signal, sys\n"
        "with open(sys.argv[2], 'a+') as file:\n"
        "    file.write('start\\n'); file.flush(); file.seek(0)\n"
        "    if len(file.readlines()) < 4: os.kill(os.getpid(), signal.SIGKILL)\n"
        "right = json.loads(sys.argv[1])\n"
        "os.execv(right[0], right)\n"
    )
    replace_program(monkeypatch, program, str(counts / "starts"))
    step = Step("join", {"text": "at last"})
    report = go(root, counts, step, lambda state: None)
    assert not report.failures and text(root, step) == "at last"
    assert attempts(counts, "starts") == 4


@pytest.mark.parametrize("moment", ["starting", "running"])
def test_a_stopped_process_ends_with_the_run_that_started_it(
    root: Path, counts: Path, moment: str
) -> None:
    """Killed as nothing can prepare for: no orphan, though it sees no end of its pipe."""
    command = [sys.executable, "-m", "tests.faults.workflow_child", str(root), str(counts), "2"]
    place = Path(__file__).resolve().parents[2]
    child = subprocess.Popen(
        [*command, "slow"], cwd=place, start_new_session=True, stderr=subprocess.DEVNULL
    )
    # In two long steps; or as soon as there is a process, which has no time to begin.
    while not (workers := leaders(child.pid)) or (
        moment == "running" and len(list(root.glob("work/*/result"))) < 2
    ):
        assert child.poll() is None, "the run has ended"
        time.sleep(0.001)
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    wait_until(lambda: not living(child.pid))


def leaders(parent: int) -> list[int]:
    """Children in groups of their own: before that, a process is a copy of the run itself."""
    found = []
    for process in psutil.Process(parent).children():
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(process.pid) == process.pid:
                found.append(process.pid)
    return found


def test_another_user_reaches_neither_the_pipes_nor_the_memory_of_a_run(
    root: Path, counts: Path
) -> None:
    """And there is no port: see test_workflow. A foreign user is tried for real, as root can."""
    if os.geteuid() != 0:
        reason = "only root can become another user"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    refused: list[str] = []

    def watch(state: Snapshot) -> None:
        for process in (psutil.Process(), *psutil.Process().children()):
            refused.extend(as_nobody(process.pid))

    go(root, counts, Step("join", {"text": "x", "seconds": 1}), watch)
    assert set(refused) == {"refused"} and len(refused) > 4


def as_nobody(process: int) -> list[str]:
    """What a user without rights is answered who opens the pipes and memory of a process."""
    answers, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        for name in ("fd/0", "fd/1", "mem", "environ"):
            try:
                os.close(os.open(f"/proc/{process}/{name}", os.O_RDWR if name == "mem" else 0))
                os.write(writer, b"opened ")
            except PermissionError:
                os.write(writer, b"refused ")
            except OSError:
                pass  # it has ended meanwhile
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(answers) as file:
        return file.read().split()


def test_what_a_step_prints_or_starts_gets_between_no_orders_and_answers(
    root: Path, counts: Path
) -> None:
    after = Step("join", {"text": " all"}, {"first": Step("chatter")})
    assert len(go(root, counts, after, lambda state: None).made) == 2
    assert text(root, after) == "said all"


def test_a_machine_without_another_thread_is_said(
    root: Path, counts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("stilts_artifact.pipeline.cluster._event_loop", refuse)
    with pytest.raises(ResourceError, match="the workers do not start"):
        go(root, counts, Step("join", {"text": "never"}), lambda state: None)
