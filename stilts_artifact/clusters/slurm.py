"""A Slurm script that runs a command: one job leads, and others with a GPU each work for it.

What a site or a run decides is written here, at the script's top; the rest is ``slurm.sh``, the
same for everyone.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stilts_artifact import __version__
from stilts_artifact.errors import ConfigError
from stilts_artifact.texts import visible

_BODY = Path(__file__).with_name("slurm.sh")
_LEADER_MEMORY = "8G"
# Before its time is up a job is told, so many seconds or a quarter of its time, whichever is less.
_NOTICE_SECONDS = 120
# sbatch's own forms (its manual, --time), less those that say minutes alone.
_WALLTIME = re.compile(r"(?:(\d+)-)?(\d+):(\d\d)(?::(\d\d))?")
_NAME = re.compile(r"[\w.,:+@/-]+")


@dataclass(frozen=True, slots=True)
class SlurmJobs:
    """The jobs that a run gets.

    Args:
        gpus: how many jobs with one GPU each.
        walltime: how long each may last, ``HH:MM:SS`` or ``DAYS-HH:MM:SS``.
        memory: of each job with a GPU, as Slurm writes it.
        partition: of all jobs; ``None`` for the site's default.
        account: whom they are charged to; ``None`` for the user's default.
        image: an Apptainer image whose Python runs everything.

    Raises:
        ConfigError: no GPU, or text that Slurm would not take for what it stands for.
    """

    gpus: int
    walltime: str = "24:00:00"
    memory: str = "64G"
    partition: str | None = None
    account: str | None = None
    image: Path | None = None

    def __post_init__(self) -> None:
        if self.gpus < 1:
            raise ConfigError(
                "too few GPUs", where="--gpus", got=str(self.gpus), expected="1 or more"
            )
        if self.seconds < 60:
            raise ConfigError(
                "no walltime that Slurm counts",
                where="--walltime",
                got=self.walltime,
                expected="a minute or more, as HH:MM:SS or DAYS-HH:MM:SS",
            )
        names = {
            "--memory": self.memory,
            "--partition": self.partition,
            "--account": self.account,
        }
        for option, name in names.items():
            # It becomes part of a script.
            if name is not None and not _NAME.fullmatch(name):
                raise ConfigError("no name that Slurm knows", where=option, got=repr(name))

    @property
    def seconds(self) -> int:
        """The walltime; 0 if it has not the form of one."""
        match = _WALLTIME.fullmatch(self.walltime)
        if match is None:
            return 0
        days, first, second, third = (int(number or 0) for number in match.groups())
        # As sbatch reads them: MINUTES:SECONDS, but DAYS-HOURS:MINUTES.
        if match[1] is None and match[4] is None:
            return 60 * first + second
        return 86400 * days + 3600 * first + 60 * second + third

    @property
    def notice(self) -> int:
        """How many seconds before its end a job is told of it."""
        return min(_NOTICE_SECONDS, self.seconds // 4)


def slurm_script(command: Sequence[str], jobs: SlurmJobs, written_by: str, python: str) -> str:
    """The script.

    Args:
        command: the run, such as ``["reproduce", "--table", "2"]``.
        written_by: the command line that asked for it.
        python: the interpreter that has this package, where there is no image.
    """
    options = "\n".join(f"#SBATCH --{name}={value}" for name, value in _options(jobs).items())
    worker = ["--job-name=stilts-artifact-worker", "--output=stilts-artifact-worker-%A_%a.log"]
    worker += ["--gres=gpu:1", f"--mem={jobs.memory}"]
    interpreter = _words([python, "-s", "-P"])
    if jobs.image is not None:
        # Apptainer shows the current folder by itself, but not where a link is on its path. And the
        # node's PYTHONPATH would get into the image.
        inside = _words([str(jobs.image.absolute()), "python", "-I"])
        interpreter = f'apptainer exec --nv --bind "$PWD" {inside}'
    head = f"""\
#!/bin/bash
# A run on Slurm: {jobs.gpus} jobs with one GPU each, the workers, and this one, the leader, which
# needs none. From a folder that all nodes see:
#
#     sbatch FILE    or, where programs may run for days on a login node: bash FILE
#
# When the time of a worker is up, it goes back into the queue, and the step that it was at goes on
# elsewhere. So does the leader, and the run goes on where it was. `scancel` of the leader ends it.
# Steps that are done are kept: submitted again, this script does the rest.
#
# Written by stilts-artifact {__version__}, to be read and changed:
#     {visible(written_by)}

# ---- what Slurm is asked for, by this job; and by workers, where the lines below do not differ

{options}
# Told by SIGUSR1 that the time is nearly up; by SIGTERM, that it is cancelled or preempted.
#SBATCH --signal=B:USR1@{jobs.notice}
# It may go back into the queue, also where the site does not have it so by itself.
#SBATCH --requeue

workers={jobs.gpus}
worker_options=({_words(worker)})
worker_arguments=(--resources GPU=1)

# ---- what runs

# `module load ...` goes here, where the command below needs one. Of Python, no module is taken from
# the folder in which this is submitted (-P), or from your own site (-s); -I is both, and more.
python=({interpreter})
command=({_words(command)})
"""
    return head + _BODY.read_text(encoding="utf-8")


def _options(jobs: SlurmJobs) -> dict[str, str]:
    """Slurm's options of the leader, which are those of workers too where these have no other."""
    site = {"partition": jobs.partition, "account": jobs.account}
    return {
        "job-name": "stilts-artifact",
        "output": "stilts-artifact-%j.log",
        # A job that comes back from the queue writes on where it was.
        "open-mode": "append",
        **{name: value for name, value in site.items() if value is not None},
        "time": jobs.walltime,
        "ntasks": "1",
        "cpus-per-task": "1",
        "mem": _LEADER_MEMORY,
    }


def _words(words: Sequence[str]) -> str:
    """Words of a shell's array. Commas in quotes, lest they look like its separators.

    Example:
        >>> print(_words(["--only", "*,xnli", "a b", "none,pos"]))
        --only '*,xnli' 'a b' 'none,pos'
    """
    quoted = [shlex.quote(word) for word in words]
    return " ".join(f"'{one}'" if "," in one and one[0] != "'" else one for one in quoted)
