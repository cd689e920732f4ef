"""Runs on real worker processes, killed, crowded, starved: all published is right, none lost."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from stilts_artifact.errors import ConfigError, ExitCode, IntegrityError, ResourceError
from stilts_artifact.pipeline.cluster import default_workers, visible_gpus
from stilts_artifact.pipeline.errors import RunReport, StepError
from stilts_artifact.pipeline.executor import Options, run
from stilts_artifact.pipeline.job import Context
from stilts_artifact.pipeline.progress import Snapshot
from stilts_artifact.pipeline.scheduler import missing
from stilts_artifact.pipeline.step import Graph, Step
from stilts_artifact.pipeline.store import Store
from tests.faults.workflow_helpers import diamond, results, text
from tests.faults.workflow_kinds import KINDS, attempts

pytestmark = pytest.mark.slow

Go = Callable[..., RunReport]


@pytest.fixture
def go(root: Path, counts: Path) -> Go:
    """Runs steps here, on two workers unless told otherwise."""

    def call(
        *targets: Step, workers: int = 2, watch: Callable[[Snapshot], None] = lambda state: None
    ) -> RunReport:
        return run(
            Graph(targets, KINDS),
            Context(root, {"counts": counts}),
            Options(workers=workers),
            watch,
        )

    return call


def test_one_worker_or_four_make_the_same_and_a_second_run_makes_nothing(
    go: Go, root: Path, tmp_path: Path
) -> None:
    report = go(diamond(), workers=1)
    assert len(report.made) == 4 and not report.failures
    assert text(root, diamond()) == "top left top right end"
    states: list[Snapshot] = []
    again = go(diamond(), workers=1, watch=states.append)
    assert (len(again.found), again.made, states) == (4, (), [])
    assert again.seconds < 0.5  # no cluster was started
    other = tmp_path / "other"
    run(Graph([diamond()], KINDS), Context(other), Options(workers=4), states.append)
    assert results(other) == results(root) != {}
    assert (states[-1].done, states[-1].total, states[-1].running, states[-1].workers) == (
        4,
        4,
        (),
        4,
    )


def test_a_failure_stops_only_what_rests_on_it_and_says_all_it_knows(
    go: Go, root: Path, counts: Path
) -> None:
    bad = Step("refuse", {"name": "bad"})
    above = Step("join", {"text": "x"}, {"bad": bad})
    higher = Step("join", {"text": "y"}, {"above": above})
    others = [Step("crash", {"text": "boom"}), Step("leave"), Step("empty"), Step("full")]
    report = go(higher, *others, diamond())
    assert text(root, diamond())
    failed = {failure.step.kind: failure for failure in report.failures}
    assert str(failed["refuse"].error).splitlines()[0] == "label outside its set"
    assert (
        failed["refuse"].error.where == "dev.tsv:7"
        and failed["refuse"].error.fix == "mend the file"
    )
    assert "printed by the step" in failed["refuse"].details
    assert isinstance(failed["crash"].error, StepError)
    (log,) = (root / "errors").glob("crash-*.txt")
    assert str(log) in str(failed["crash"].error) and "last words" in log.read_text()
    assert failed["leave"].error.got == "SystemExit: 3"
    assert isinstance(failed["empty"].error, IntegrityError)
    assert isinstance(failed["full"].error, ResourceError) and "1,000 bytes" in str(
        failed["full"].error
    )
    assert [(skipped.step.params, skipped.because.kind) for skipped in report.skipped] == [
        ({"text": "x"}, "refuse"),
        ({"text": "y"}, "refuse"),
    ]
    assert attempts(counts, "bad") == 1  # a deliberate error is not tried again
    assert not list((root / "work").iterdir())


def test_no_process_of_a_run_opens_a_port_or_a_named_socket(go: Go, root: Path) -> None:
    """Whoever reached a scheduler or a worker could run code as the user who reproduces."""
    import psutil

    ours, before, opened = psutil.Process(), len(_listening(os.getpid())), list[str]()

    def watch(state: Snapshot) -> None:
        opened.extend(
            line for child in ours.children(recursive=True) for line in _listening(child.pid)
        )
        opened.extend(_listening(os.getpid())[before:])

    go(
        *[Step("process", {"text": str(number), "seconds": 0.6}) for number in range(4)],
        watch=watch,
    )
    assert opened == []
    with socket.create_server(("127.0.0.1", 0)):
        assert len(_listening(os.getpid())) == before + 1, "this test would not see one"


def _listening(process: int) -> list[str]:
    """Sockets of a process that others can connect to."""
    import psutil

    try:
        found = psutil.Process(process).net_connections(kind="all")
    except psutil.NoSuchProcess:
        return []
    return [
        str(item.laddr)
        for item in found
        if item.status == psutil.CONN_LISTEN or (item.family == socket.AF_UNIX and item.laddr)
    ]


def test_steps_run_in_processes_of_one_thread(go: Go, root: Path) -> None:
    steps = [Step("process", {"text": str(number)}) for number in range(4)]
    go(*steps)
    seen = [text(root, step).split() for step in steps]
    assert str(os.getpid()) not in {process for process, _, _ in seen}
    assert {threads for _, threads, _ in seen} == {"1"}
    assert {gpus for _, _, gpus in seen} == {"-"}, "a step of the CPU sees no GPU"


def test_each_worker_has_a_gpu_of_its_own(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stilts_artifact.pipeline.cluster.visible_gpus", lambda: ["3", "5"])
    steps = [Step("process-on-gpu", {"text": str(number), "seconds": 0.5}) for number in range(4)]
    report = run(Graph(steps, KINDS), Context(root, device="cuda"), Options(), lambda state: None)
    assert len(report.made) == 4
    assert {text(root, step).split()[2] for step in steps} == {"3", "5"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_each_worker_has_a_real_gpu_of_its_own(root: Path) -> None:
    gpus = visible_gpus()
    steps = [Step("process-on-gpu", {"text": str(n), "seconds": 2}) for n in range(2 * len(gpus))]
    report = run(Graph(steps, KINDS), Context(root, device="cuda"), Options(), lambda state: None)
    assert len(report.made) == len(steps)
    assert {text(root, step).split()[2] for step in steps} == set(gpus)


def test_no_gpu_is_said_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(ResourceError, match="no CUDA GPU"):
        run(Graph([diamond()], KINDS), Context(root, device="cuda"), Options(), lambda state: None)


@pytest.mark.parametrize(("cores", "gigabytes", "expected"), [(4, 64, 4), (64, 15, 10), (2, 1, 1)])
def test_as_many_workers_as_cores_and_memory_allow(
    monkeypatch: pytest.MonkeyPatch, cores: int, gigabytes: int, expected: int
) -> None:
    monkeypatch.setattr("dask.system.CPU_COUNT", cores)
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", gigabytes << 30)
    assert default_workers() == expected


MOMENTS = ["before", "middle", "fsync:1", "fsync:4", "rename:1", "rename-after:1", "rename:2"]


def test_a_worker_killed_at_any_moment_costs_one_steps_work(
    go: Go, root: Path, counts: Path
) -> None:
    """Before and in the step, as its files go to the disk, before and after publication."""
    steps = [Step("die", {"name": at, "at": at, "times": 1, "text": at}) for at in MOMENTS]
    end = Step("join", {"text": "end"}, {at: step for at, step in zip(MOMENTS, steps, strict=True)})
    report = go(end)
    assert not report.failures
    assert text(root, end) == "".join(sorted(MOMENTS)) + "end"
    done_at_death = {"rename-after:1", "rename:2"}
    assert {at: attempts(counts, at) for at in MOMENTS} == {
        at: 1 if at in done_at_death else 2 for at in MOMENTS
    }
    go(end, Step("join", {"text": "one more run, which cleans"}))
    assert not list((root / "work").iterdir())


@pytest.mark.slow
def test_a_step_that_always_kills_its_worker_fails_alone(go: Go, root: Path, counts: Path) -> None:
    deadly = Step("die", {"name": "deadly", "at": "middle", "times": 99})
    good = [Step("join", {"text": str(number), "seconds": 0.3}) for number in range(8)]
    report = go(deadly, *good)
    assert [failure.step.kind for failure in report.failures] == ["die"]
    error = report.failures[0].error
    assert isinstance(error, ResourceError) and "its workers died" in str(error)
    assert error.got == "4 lost workers"
    assert attempts(counts, "deadly") == 4
    assert len(report.made) == 8


def test_checkpoints_come_back_after_a_kill(go: Go, root: Path, counts: Path) -> None:
    step = Step("course", {"name": "course"})
    go(step)
    assert (counts / "rounds").read_text().split() == [str(number) for number in range(1, 11)]
    assert not list((root / "work").iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, with half a megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    if (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=512k", "small", folder], check=False
        ).returncode
        != 0
    ):
        reason = "no right to mount a small file system"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_publishes_nothing_and_the_run_resumes_once_there_is_room(
    small_disk: Path,
) -> None:
    big, small = Step("big", {"bytes": 1 << 20}), Step("join", {"text": "small"})
    graph = Graph([big, small], KINDS)
    report = run(graph, Context(small_disk), Options(workers=1), lambda state: None)
    (failed,) = report.failures
    assert isinstance(failed.error, ResourceError) and failed.error.exit_code == ExitCode.RESOURCE
    assert "no room left" in str(failed.error) and "free at least" in str(failed.error)
    assert [node.kind for node in report.made] == ["join"]
    assert not Store(small_disk).has(graph.address(big))
    assert not list((small_disk / "work").iterdir())
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    report = run(graph, Context(small_disk), Options(workers=1), lambda state: None)
    assert [node.kind for node in report.made] == ["big"]


@pytest.mark.parametrize("bad", [{"workers": 0}, {"workers": 2, "scheduler": "tcp://x:1"}], ids=str)
def test_options_that_make_no_sense(bad: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="workers"):
        Options(**bad)  # type: ignore[arg-type]


def test_seven_hundred_finished_steps_are_seen_at_once(root: Path) -> None:
    steps = [Step("join", {"text": str(number)}) for number in range(700)]
    graph = Graph(steps, KINDS)
    for address in graph.steps:
        folder = Store(root).path(address)
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
    began = time.monotonic()
    assert missing(graph, Store(root)) == []
    assert time.monotonic() - began < 1
