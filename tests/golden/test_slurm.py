"""The README's Slurm recipe, run as it stands there on a real Slurm of one node."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import dask
import pytest

from stilts_artifact.errors import ResourceError
from stilts_artifact.pipeline.executor import Options, run
from stilts_artifact.pipeline.job import Context
from stilts_artifact.pipeline.progress import Snapshot
from stilts_artifact.pipeline.step import Graph, Step
from stilts_artifact.pipeline.store import Store
from tests.faults.workflow_kinds import KINDS, attempts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

# A cluster's queue, memory and GPUs, which the one-node Slurm has not.
CHANGES = {
    '"queue": "gpu"': '"queue": "debug"',
    '"memory": "64GB"': '"memory": "512MB"',
    '["--gres=gpu:1"]': "[]",
    "_jobs=8": "_jobs=2",
    # dask-jobqueue writes it into a shell script as it is, and this clone may lie in a path with a
    # blank.
    '"processes": 1': f'"processes": 1, "python": {shlex.quote(sys.executable)!r}',
}


def _cannot(reason: str) -> NoReturn:
    """Skip on a developer's machine; fail where CI promised root and Debian."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def slurm(repository: Path) -> Iterator[dict[str, str]]:
    """Environment in which a Slurm answers."""
    if os.geteuid() != 0:
        _cannot("Slurm's daemons are started by root only")
    if shutil.which("slurmctld") is None and os.environ.get("CI") != "true":
        pytest.skip("Slurm is not installed, and only CI installs it (.ci/slurm.sh)")
    if shutil.which("apt-get") is None:
        _cannot("the test's Slurm is Debian's")
    script = repository / ".ci" / "slurm.sh"
    # pytest's own folders are too deep for a socket.
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        try:
            subprocess.run([script, "start", folder], check=True, timeout=300)
            yield {
                **os.environ,
                "SLURM_CONF": f"{folder}/slurm.conf",
                "PYTHONPATH": str(repository),
            }
        finally:
            subprocess.run([script, "stop", folder], check=False, timeout=60)


@pytest.fixture
def tls(slurm: dict[str, str], repository: Path, tmp_path: Path) -> dict[str, str]:
    """Environment of a user who has done as the README says for TLS."""
    (commands,) = (block for block in readme(repository, "sh") if "openssl" in block)
    home = slurm | {"HOME": str(tmp_path)}
    subprocess.run(["bash", "-euc", commands], env=home, check=True, capture_output=True)
    return home


def readme(repository: Path, language: str) -> list[str]:
    """The README's blocks of code in a language."""
    text = (repository / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def scheduler(tls: dict[str, str], repository: Path, tmp_path: Path) -> Iterator[str]:
    """Address of a Dask scheduler whose workers are Slurm jobs, started by the README's script."""
    (recipe,) = (block for block in readme(repository, "python") if "SLURMCluster" in block)
    for old, new in CHANGES.items():
        assert old in recipe
        recipe = recipe.replace(old, new)
    script = tmp_path / "slurm.py"
    script.write_text(recipe, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, script], cwd=tmp_path, env=tls, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            yield child.stdout.readline().strip()
        finally:
            child.send_signal(signal.SIGINT)
            child.wait(timeout=60)


def jobs(slurm: dict[str, str]) -> list[str]:
    """Names of Slurm's jobs that run or wait."""
    command = ["squeue", "--noheader", "--states=RUNNING,PENDING", "--format=%j"]
    return subprocess.run(
        command, env=slurm, capture_output=True, text=True, check=True
    ).stdout.split()


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "it did not come to pass in time"
        time.sleep(0.2)


def test_steps_run_in_slurm_jobs_and_survive_a_lost_one(
    slurm: dict[str, str], scheduler: str, tmp_path: Path
) -> None:
    counts = tmp_path / "counts"
    counts.mkdir()
    parts = {f"part-{number}": Step("join", {"text": f"{number} "}) for number in range(6)}
    parts["worker"] = Step("process", {"text": "where"})
    parts["zz-killed"] = Step(
        "die", {"name": "killed", "at": "middle", "times": 1, "text": "survived "}
    )
    end = Step("join", {"text": "end"}, parts)
    graph, states = Graph([end], KINDS), list[Snapshot]()
    context = Context(tmp_path / "root", {"counts": counts})
    assert scheduler.startswith("tls://")
    with pytest.raises(ResourceError, match="no Dask scheduler answers"):
        run(graph, context, Options(scheduler=scheduler), states.append)  # no certificate yet
    with dask.config.set(certificates(tmp_path)):
        report = run(graph, context, Options(scheduler=scheduler), states.append)
    assert not report.failures and len(report.made) == 9
    text = (Store(tmp_path / "root").read(graph.address(end)) / "text").read_text()
    assert text.startswith("0 1 2 3 4 5 ") and text.endswith("survived end")
    assert attempts(counts, "killed") == 2
    assert max(state.workers for state in states) in (1, 2)
    wait_until(lambda: jobs(slurm) == ["dask-worker", "dask-worker"])
    again = run(graph, context, Options(scheduler=scheduler), states.append)
    assert len(again.found) == 9


def certificates(home: Path) -> dict[str, object]:
    """What Dask reads in the home of a user who has done as the README says."""
    found = dask.config.collect_yaml([str(home / ".config" / "dask")])
    return {
        "distributed.comm": dask.config.merge(dask.config.config, *found)["distributed"]["comm"]
    }
