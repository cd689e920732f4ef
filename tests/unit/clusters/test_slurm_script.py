"""The Slurm script as text: what sbatch and bash read in it. tests/golden/test_slurm.py runs it."""

from __future__ import annotations

import subprocess
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
    path.write_text(script(account="me", partition="gpu"), encoding="utf-8")
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
    assert python == ["apptainer", "exec", "--nv", image, "python", "-s", "-P"]


def test_slurm_reads_every_option_and_no_argument_becomes_a_line() -> None:
    text = script(walltime="2-12:00:00", partition="gpu", account="me")
    # sbatch looks for options up to the first line that is no comment.
    head, comment, _ = text.partition("\nworkers=8\n")
    assert comment
    assert all(line.startswith("#") for line in head.splitlines() if line)
    options = [line for line in text.splitlines() if line.startswith("#SBATCH")]
    assert options == [line for line in head.splitlines() if line.startswith("#SBATCH")]
    wanted = {"--time=2-12:00:00", "--partition=gpu", "--account=me", "--signal=B:USR1@120"}
    assert wanted < {line.removeprefix("#SBATCH ") for line in options}
    assert {"--gres=gpu:1", "--mem=64G"} < set(array(text, "worker_options"))


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
