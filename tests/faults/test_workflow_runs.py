"""Whole runs in processes of their own: stopped, side by side, on a cluster that comes and goes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dask import config as dask_config

from stilts_artifact.errors import ExitCode, ResourceError
from stilts_artifact.pipeline.executor import Options, run
from stilts_artifact.pipeline.job import Context
from stilts_artifact.pipeline.process import FIXED
from stilts_artifact.pipeline.progress import Snapshot
from stilts_artifact.pipeline.step import Graph, Step
from tests.faults.hostile import VARIABLES
from tests.faults.workflow_child import wide
from tests.faults.workflow_helpers import diamond, living, results, text, wait_until
from tests.faults.workflow_kinds import KINDS

pytestmark = pytest.mark.slow


def start(root: Path, counts: Path, graph: str, workers: str = "1") -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "tests.faults.workflow_child",
        str(root),
        str(counts),
        workers,
        graph,
    ]
    place = Path(__file__).resolve().parents[2]
    return subprocess.Popen(
        command,
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell's background jobs ignore Ctrl-C, and so would their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill -9"])
def test_a_stopped_run_leaves_no_process_behind_and_resumes(
    root: Path, counts: Path, number: int
) -> None:
    child = start(root, counts, "slow", "2")
    wait_until(
        lambda: (
            len(list(root.glob("store/join/*"))) == 1 and len(list(root.glob("work/*/result"))) == 2
        )
    )
    # A terminal sends Ctrl-C to every process of the run.
    (os.killpg if number == signal.SIGINT else os.kill)(child.pid, number)
    errors = child.communicate(timeout=20)[1]
    assert child.returncode == (ExitCode.INTERRUPTED if number == signal.SIGINT else -number)
    assert "Traceback" not in errors
    wait_until(lambda: not living(child.pid), 10)
    assert len(results(root)) == 1
    after = Graph(
        [Step("join", {"text": "after"}, {"quick": Step("join", {"text": "quick"})})], KINDS
    )
    report = run(after, Context(root), Options(workers=1), lambda state: None)
    assert [node.params["text"] for node in report.found] == ["quick"]
    assert text(root, Step("join", {"text": "quick"})) == "quick"
    assert not list((root / "work").iterdir())


def test_two_runs_that_share_a_store_end_with_one_right_result(
    root: Path, counts: Path, tmp_path: Path
) -> None:
    children = [start(root, counts, "wide") for _ in range(2)]
    outputs = [child.communicate(timeout=60) for child in children]
    assert [child.returncode for child in children] == [0, 0], outputs
    for _, errors in outputs:
        assert all(line.startswith("wide: ") for line in errors.splitlines()), (
            "nobody else may write to the terminal"
        )
    found = results(root)
    assert len(found) == 13
    run(Graph(wide(), KINDS), Context(tmp_path / "alone"), Options(workers=2), lambda state: None)
    assert results(tmp_path / "alone") == found
    assert not list((root / "work").iterdir())
    assert not (root / "aside").exists()


@pytest.mark.slow
def test_two_runs_that_differ_say_so(root: Path, counts: Path) -> None:
    children = [start(root, counts, "differing") for _ in range(2)]
    errors = [child.communicate(timeout=60)[1] for child in children]
    codes = sorted(child.returncode for child in children)
    assert codes == [0, ExitCode.INTEGRITY], errors
    assert "different files" in "".join(errors) and "text in" in "".join(errors)
    assert len(results(root)) == 2


def test_a_scheduler_that_does_not_answer_is_named_within_seconds(root: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    began = time.monotonic()
    with pytest.raises(ResourceError) as caught:
        run(
            Graph([diamond()], KINDS), Context(root), Options(scheduler=address), lambda state: None
        )
    assert time.monotonic() - began < 10
    assert address in str(caught.value) and "dask scheduler" in str(caught.value)


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A Dask scheduler in a process of its own, without workers, and its address."""
    place = tmp_path / "scheduler.json"
    options = [
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
        "--scheduler-file",
        str(place),
    ]
    with dask("scheduler", *options) as child:
        wait_until(lambda: place.exists() and place.stat().st_size > 0)
        yield child, json.loads(place.read_text())["address"]
        child.kill()


def dask(command: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    place = Path(__file__).resolve().parents[2]
    words = [sys.executable, "-m", "dask", command, *arguments]
    return subprocess.Popen(
        words,
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | environment,
    )


def test_a_step_on_another_cluster_sees_nothing_of_its_workers_surroundings(
    root: Path, scheduler: tuple[subprocess.Popen[bytes], str]
) -> None:
    hostile = {name: value for name, value in VARIABLES.items() if not name.startswith("PYTHON")}
    hostile = {name: value for name, value in hostile.items() if not name.startswith("DASK_")}
    step = Step("surroundings")
    options = ("--nthreads", "1", "--no-dashboard")
    with dask("worker", scheduler[1], *options, **hostile) as worker:
        try:
            report = run(
                Graph([step], KINDS),
                Context(root),
                Options(scheduler=scheduler[1]),
                lambda state: None,
            )
        finally:
            worker.kill()
    assert not report.failures
    environment = json.loads(text(root, step))["environment"]
    assert environment.items() >= FIXED.items()
    assert not environment.keys() & (hostile.keys() - FIXED.keys() - {"LC_ALL"})


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate and its key."""
    paths = (tmp_path / "cert.pem", tmp_path / "key.pem")
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=dask -out %s -keyout %s"
    subprocess.run((make % paths).split(), check=True, capture_output=True)
    return paths


def test_a_cluster_over_tls_takes_whoever_has_the_certificate_and_nobody_else(
    root: Path, tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stilts_artifact.pipeline.cluster._ANSWER_SECONDS", 5)
    cert, key = map(str, certificate)
    pair = {"cert": cert, "key": key}
    tls = {"ca-file": cert, "scheduler": pair, "worker": pair, "client": pair}
    files = dask_config.merge(dask_config.get("distributed.comm"), {"tls": tls})
    trust = ("--tls-ca-file", cert, "--tls-cert", cert, "--tls-key", key)
    place = tmp_path / "tls.json"
    options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--protocol", "tls")
    graph = Graph([diamond()], KINDS)
    with dask("scheduler", *options, "--scheduler-file", str(place), *trust) as child:
        try:
            wait_until(lambda: place.exists() and place.stat().st_size > 0)
            address = json.loads(place.read_text())["address"]
            for stranger in (address, address.replace("tls://", "tcp://")):
                with pytest.raises(ResourceError, match="no Dask scheduler answers"):
                    run(graph, Context(root), Options(scheduler=stranger), lambda state: None)
            worker = ("worker", address, "--nthreads", "1", "--no-dashboard", *trust)
            with (
                dask_config.set({"distributed.comm": files}),
                dask(*worker) as workers,
            ):
                try:
                    run(graph, Context(root), Options(scheduler=address), lambda state: None)
                finally:
                    workers.kill()
        finally:
            child.kill()
    assert text(root, diamond()) == "top left top right end"


@pytest.mark.slow
def test_another_clusters_workers_come_late_and_its_scheduler_goes(
    root: Path, counts: Path, scheduler: tuple[subprocess.Popen[bytes], str]
) -> None:
    child, address = scheduler
    states: list[Snapshot] = []
    started: list[subprocess.Popen[bytes]] = []

    def watch(state: Snapshot) -> None:
        states.append(state)
        if len(states) == 2:
            started.append(
                dask("worker", address, "--nthreads", "1", "--memory-limit", "0", "--no-dashboard")
            )
        if state.done == 1 and state.running:
            child.kill()

    quick = Step("join", {"text": "quick"})
    graph = Graph([Step("join", {"text": "long", "seconds": 60}, {"quick": quick})], KINDS)
    try:
        with pytest.raises(
            ResourceError, match="connection to the Dask scheduler is lost"
        ) as caught:
            run(graph, Context(root, {"counts": counts}), Options(scheduler=address), watch)
    finally:
        for worker in started:
            worker.kill()
            worker.wait()
    assert "finished steps are kept" in str(caught.value)
    assert states[0].note == states[1].note == "waiting for a worker"
    assert text(root, quick) == "quick"


def test_an_address_that_is_none(root: Path) -> None:
    with pytest.raises(ResourceError):
        run(
            Graph([diamond()], KINDS),
            Context(root),
            Options(scheduler="no such thing"),
            lambda state: None,
        )
