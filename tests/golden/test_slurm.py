"""What `cluster slurm` writes, run as it stands on a real Slurm of one node.

Only what a run of the product cannot show (a step that waits, or kills itself) is put in the place
of the command that the script runs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import pytest

from stilts_artifact.checking.results import load_results
from stilts_artifact.errors import ResourceError
from stilts_artifact.pipeline.cluster import remote_client
from tests.conftest import Run
from tests.faults.workflow_kinds import attempts

pytestmark = pytest.mark.slow


def _cannot(reason: str) -> NoReturn:
    """Skip on a developer's machine; fail where CI promised root and Debian."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def slurm(repository: Path) -> Iterator[dict[str, str]]:
    """Environment in which a Slurm of its own answers."""
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
            # The path: where a clone is not installed, and for the modules of tests.
            yield {
                **os.environ,
                "SLURM_CONF": f"{folder}/slurm.conf",
                "PYTHONPATH": str(repository),
            }
        finally:
            subprocess.run([script, "stop", folder], check=False, timeout=60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where scripts are submitted: a path with a blank, as users have them."""
    path = tmp_path / "my runs"
    path.mkdir()
    return path


def write_script(artifact: Run, folder: Path, walltime: str, *command: str) -> Path:
    options = ("--gpus", "2", "--partition", "debug", "--walltime", walltime)
    answer = artifact("cluster", "slurm", *options, *command)
    assert answer.returncode == 0, answer.stderr
    path = folder / "run.slurm"
    path.write_text(answer.stdout, encoding="utf-8")
    return path


def ask(slurm: Mapping[str, str], *command: str | Path, cwd: Path | None = None) -> str:
    return subprocess.run(
        command, env=slurm, cwd=cwd, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def wait_until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 600
    while not true():
        assert time.monotonic() < end, "it did not come to pass in time"
        time.sleep(0.2)


def jobs(slurm: Mapping[str, str]) -> dict[str, str]:
    """Slurm's jobs that have not ended -> the reason for which they wait."""
    listed = ask(slurm, "squeue", "--noheader", "--array", "--format=%i %r")
    return dict(line.split(maxsplit=1) for line in listed.splitlines())


def waits_again(slurm: Mapping[str, str], job: str) -> bool:
    """Whether a job went back into the queue; there Slurm lets it wait for two minutes."""
    return jobs(slurm).get(job) == "BeginTime"


def start_soon(slurm: Mapping[str, str], job: str) -> None:
    """Let a job that went back into the queue not wait for all of its two minutes."""
    # Slurm's credentials count seconds: in the same one, the new start would pass for the old one.
    ask(slurm, "scontrol", "update", f"JobId={job}", "StartTime=now+3")


def quoted(path: Path) -> str:
    """A path with a blank, as bash writes it."""
    return str(path).replace(" ", "\\ ")


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def test_a_run_whose_leader_runs_out_of_time_goes_on(
    slurm: dict[str, str], artifact: Run, folder: Path
) -> None:
    run = ("reproduce", "--table", "2", "--scale", "mini", "--only", "none,tatoeba")
    script = write_script(artifact, folder, "01:00:00", *run)
    leader = ask(slurm, "sbatch", "--parsable", script, cwd=folder).strip()
    log = folder / f"stilts-artifact-{leader}.log"
    wait_until(lambda: "steps done" in read(log))
    # What Slurm does before the walltime's end; the other test waits for that.
    ask(slurm, "scancel", "--batch", "--signal=USR1", leader)
    wait_until(lambda: waits_again(slurm, leader))
    assert f"verdict: interrupted, exit 130; to resume: sbatch {quoted(script)}\n" in read(log)
    # Of the first attempt nothing is left: no worker, no key.
    wait_until(lambda: list(jobs(slurm)) == [leader])
    assert not list(folder.glob(".stilts-artifact.*"))
    start_soon(slurm, leader)
    wait_until(lambda: not jobs(slurm))
    shown = ask(slurm, "scontrol", "show", "job", leader)
    assert "Restarts=1 " in shown and "JobState=COMPLETED" in shown and "ExitCode=0:0" in shown
    assert "verdict: Table 2 as far as asked for: REPRODUCED" in read(log)
    assert load_results(folder / "results" / "table2.mini.json").scale == "mini"
    assert not list(folder.glob(".stilts-artifact.*"))


def test_workers_run_out_of_time_and_their_steps_go_on_from_the_checkpoint(
    slurm: dict[str, str], artifact: Run, folder: Path
) -> None:
    script = write_script(artifact, folder, "00:01:00", "reproduce", "--table", "2")
    text = script.read_text(encoding="utf-8")
    for old, new in (
        ("command=(reproduce --table 2)", "command=(root)"),
        ('"${python[@]}" -m stilts_artifact', '"${python[@]}" -m tests.golden.slurm_child'),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    script.write_text(text, encoding="utf-8")
    log, began = folder / "log", folder / "began"
    # As on a login node: the leader's own time is not up.
    with (
        log.open("wb") as stream,
        subprocess.Popen(
            ["bash", script], env=slurm, cwd=folder, stdout=stream, stderr=stream
        ) as leader,
    ):
        try:
            wait_until(lambda: read(began))
            array, address = re.findall(r"workers: job (\d+); scheduler: (tls://\S+)", read(log))[0]
            # Who has no certificate does not even get an answer.
            with (
                pytest.raises(ResourceError, match="no Dask scheduler answers"),
                remote_client(address),
            ):
                pass
            workers = [f"{array}_1", f"{array}_2"]
            # The one that is at the step that waits, and the other one as well.
            wait_until(lambda: all(waits_again(slurm, worker) for worker in workers))
            for worker in workers:
                start_soon(slurm, worker)
            wait_until(lambda: len(read(began).split()) > 1)
            (folder / "go").touch()
            assert leader.wait(timeout=600) == 0, read(log)
        finally:
            leader.terminate()
    wait_until(lambda: not jobs(slurm))
    report = json.loads(read(folder / "report.json"))
    assert report["failures"] == [] and report["made"] == 10
    # Slurm gave each worker a GPU; a run for the CPU sees none of it ("-").
    assert re.fullmatch(r"0 1 2 3 4 5 \d+ 1 -survived .*went end", report["text"])
    assert attempts(folder, "killed") == 2
    assert report["workers"] in (1, 2) and report["losses_allowed"] > 1000
    first, second, *_ = map(int, read(began).split())
    assert first == 0 < second
    assert not list(folder.glob(".stilts-artifact.*"))
