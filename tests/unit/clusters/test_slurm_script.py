"""The Slurm script as text: what sbatch and bash read in it; and what becomes of its exit code.

tests/golden/test_slurm.py runs it on a real Slurm.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stilts_artifact.cli import ending
from stilts_artifact.clusters.slurm import SlurmJobs, slurm_script
from stilts_artifact.errors import ConfigError

WORDS = ["reproduce", "--only", "*,xnli", "none,pos", "a b", "it's", "$HOME", "\nrm -rf x"]
WRITTEN_BY = "stilts-artifact \nrm -rf x"


def script(**options: Any) -> str:
    return slurm_script(WORDS, SlurmJobs(8, **options), WRITTEN_BY, "/my env/bin/python")


def array(text: str, name: str) -> list[str]:
    """What bash makes of an array in the part that people read and change."""
    head = text.partition("# ---- how it works")[0]
    program = f"{head}printf '%s\\0' \"${{{name}[@]}}\""
    answer = subprocess.run(["bash", "-euc", program], capture_output=True, text=True, check=True)
    return answer.stdout.split("\0")[:-1]


def test_shellcheck_finds_no_fault_in_the_script(tmp_path: Path) -> None:
    path = tmp_path / "run.slurm"
    text = script(account="me", partition="gpu", image=Path("/my image.sif"))
    path.write_text(text, encoding="utf-8")
    # A word of the run may hold a dollar sign (SC2016).
    command = ["shellcheck", "--exclude=SC2016", path]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.stdout == "" and answer.returncode == 0


def test_every_word_of_the_run_reaches_it_as_it_was_given() -> None:
    assert array(script(), "command") == WORDS
    assert array(script(), "python") == ["/my env/bin/python", "-s", "-P"]


def test_an_image_runs_everything() -> None:
    python = array(script(image=Path("/images/my artifact.sif")), "python")
    image = "/images/my artifact.sif"
    assert python[:5] == ["apptainer", "exec", "--nv", "--bind", str(Path.cwd())]
    assert python[5:] == [image, "python", "-I"]


def test_slurm_reads_every_option_and_no_argument_becomes_a_line() -> None:
    text = script(walltime="2-12:00:00", partition="gpu", account="me")
    # sbatch looks for options up to the first line that is no comment.
    head, comment, _ = text.partition("\nworkers=8\n")
    assert comment
    assert all(line.startswith("#") for line in head.splitlines() if line)
    options = [line for line in text.splitlines() if line.startswith("#SBATCH")]
    assert options == [line for line in head.splitlines() if line.startswith("#SBATCH")]
    wanted = {"--time=2-12:00:00", "--partition=gpu", "--account=me", "--signal=B:USR1@120"}
    wanted.add("--requeue")
    assert wanted < {line.removeprefix("#SBATCH ") for line in options}
    assert {"--gres=gpu:1", "--mem=64G"} < set(array(text, "worker_options"))


@pytest.fixture
def submit(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Run the script where the commands that it calls are scripts of a line or two."""
    commands = tmp_path / "bin"
    commands.mkdir()
    (tmp_path / "runs").mkdir()

    def run(*, signalled: bool = False, **programs: str) -> tuple[int, str]:
        """Its exit code, and what was asked of Slurm after the workers."""
        programs = {
            "openssl": ":",
            "scancel": 'echo "scancel $*" >>asked',
            "sbatch": "echo 77",
            "scontrol": '[ "$1" = show ] || echo "scontrol $*" >>asked',
            "python": f"""\
case "$*" in
  *'dask scheduler'*)
    echo '{{"address": "tls://here:1"}}' >"${{@:7:1}}"
    exec sleep 600
    ;;
esac
{programs.pop("the_run")}""",
        } | programs
        for name, program in programs.items():
            (commands / name).write_text(f"#!/bin/bash\n{program}\n", encoding="utf-8")
            (commands / name).chmod(0o755)
        text = slurm_script(["reproduce"], SlurmJobs(2), "typed", str(commands / "python"))
        (tmp_path / "run.slurm").write_text(text, encoding="utf-8")
        path = f"{commands}{os.pathsep}{os.environ['PATH']}"
        with subprocess.Popen(
            ["bash", tmp_path / "run.slurm"],
            cwd=tmp_path / "runs",
            env={"PATH": path, "SLURM_JOB_ID": "5"},
        ) as job:
            try:
                while signalled and not (tmp_path / "runs" / "began").exists():
                    assert job.poll() is None
                    time.sleep(0.01)
                if signalled:
                    job.send_signal(signal.SIGUSR1)
                code = job.wait(timeout=600)
            finally:
                job.kill()
        asked = tmp_path / "runs" / "asked"
        return code, asked.read_text("utf-8") if asked.exists() else ""

    return run


# It has begun only when it would hear the signal: between the two a loaded machine takes its time.
WAITS = "sleep 600 & trap 'kill $!; exit 130' TERM; touch began; wait"


@pytest.mark.parametrize("code", [0, 1, 6])
def test_the_exit_code_is_the_runs(submit: Callable[..., tuple[int, str]], code: int) -> None:
    assert submit(the_run=f"exit {code}") == (code, "scancel 77\n")


def test_files_that_cannot_be_removed_change_nothing(
    submit: Callable[..., tuple[int, str]],
) -> None:
    assert submit(the_run="exit 6", rm="exit 1") == (6, "scancel 77\n")


def test_where_slurm_takes_no_workers_nothing_was_found_not_reproduced(
    submit: Callable[..., tuple[int, str]],
) -> None:
    assert submit(the_run="exit 0", sbatch="exit 1") == (5, "")


@pytest.mark.parametrize(
    "the_run", [WAITS, "touch began; exec sleep 600"], ids=["ready", "not yet"]
)
def test_when_its_time_is_up_it_goes_back_into_the_queue(
    submit: Callable[..., tuple[int, str]], the_run: str
) -> None:
    assert submit(signalled=True, the_run=the_run) == (0, "scancel 77\nscontrol requeue 5\n")


def test_where_it_may_not_it_was_interrupted(submit: Callable[..., tuple[int, str]]) -> None:
    assert submit(signalled=True, the_run=WAITS, scontrol="exit 1") == (130, "scancel 77\n")


def test_the_exit_code_of_what_ended_before_anyone_waited_is_kept() -> None:
    await_, _, _ = script().partition("await() {")[2].partition("\n}\n")
    # By then bash itself has taken note of the end.
    program = f"await() {{{await_}\n}}\n(exit 7) & child=$!; sleep 0.2; await $child; echo $status"
    answer = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "7\n"


@pytest.mark.parametrize(
    ("walltime", "seconds"),
    [("24:00:00", 86400), ("1-00:30", 88200), ("2:30", 150), ("1-1:01:01", 90061)],
)
def test_walltimes_are_read_as_sbatch_reads_them(walltime: str, seconds: int) -> None:
    assert SlurmJobs(1, walltime).seconds == seconds


def test_of_a_short_walltime_a_job_may_use_most() -> None:
    assert SlurmJobs(1, "00:01:00").notice == 15


@pytest.mark.parametrize(
    "options",
    [
        {"gpus": 0},
        {"memory": "64G; rm -rf x"},
        {"partition": "gpu\n#SBATCH --exclusive"},
        {"account": ""},
        {"walltime": "00:00:30"},
        {"walltime": "1440"},
        {"walltime": "soon"},
    ],
    ids=str,
)
def test_what_slurm_would_not_take_for_what_it_means_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        SlurmJobs(**({"gpus": 1} | options))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("mine --src a", "reproduce or study"),
        ("reproduce --table 1", "is counted, not trained"),
        ("reproduce --tabel 2", "No such option: --tabel"),
        ("reproduce --table 9", "expected: one of 1"),
        ("reproduce --table 2 --workers 3", "the cluster has its own"),
        ("study 000 --scheduler tcp://a:1", "the cluster has its own"),
        ("", "Missing argument"),
    ],
)
def test_what_is_no_run_of_a_cluster_is_refused_before_it_is_written(
    command: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = ending.run(["cluster", "slurm", "--gpus", "2", *command.split()], debug=False)
    shown = capsys.readouterr()
    assert code == 2 and message in shown.err and shown.out == ""


def test_what_to_do_with_it_is_said_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    study = ["study", "000", "--scale", "paper", "--seeds", "2"]
    assert ending.run(["cluster", "slurm", "--gpus", "2", *study], debug=False) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("#!/bin/bash\n") and "sbatch" in shown.err
    assert "stilts-artifact plan --study 000 --scale paper --seeds 2:" in shown.err


@pytest.mark.parametrize(
    ("run", "planned"),
    [
        (
            "reproduce --table 2 --offline --scale=mini --rehearse --prefix pipx",
            "--table 2 --scale=mini",
        ),
        (
            "study --offline --seeds 2 000 --mirror a=b --keep-models none",
            "--seeds 2 --study 000 --keep-models none",
        ),
    ],
)
def test_the_plan_that_is_named_is_one_that_plan_takes(
    run: str, planned: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending.run(["cluster", "slurm", "--gpus", "2", *run.split()], debug=False) == 0
    assert f"stilts-artifact plan {planned}: hours" in capsys.readouterr().err
