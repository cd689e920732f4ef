"""``stilts-artifact cluster``: write what a cluster runs, and say how it is handed over."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.cli.ending import typed
from stilts_artifact.errors import ConfigError

app = typer.Typer(
    cls=options.Commands,
    no_args_is_help=True,
    help="Write the script or manifest of a run on a cluster's GPUs.",
)

# Everything from the run's own word on is the run's.
_PASSED_ON = {"allow_interspersed_args": False}
# Commands that take --scheduler, which the script gives them.
_RUNS = ("reproduce", "study")

GpusOption = Annotated[
    int, typer.Option("--gpus", help="How many workers, with one GPU each.", show_default=False)
]
CommandArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="reproduce|study ...", help="The run, as on one machine.", show_default=False
    ),
]


@app.command(context_settings=_PASSED_ON)
def slurm(
    context: typer.Context,
    command: CommandArgument,
    gpus: GpusOption,
    walltime: Annotated[
        str, typer.Option("--walltime", help="Of each job: HH:MM:SS or DAYS-HH:MM:SS.")
    ] = "24:00:00",
    partition: Annotated[
        str | None,
        typer.Option("--partition", help="Slurm's queue.", show_default="the site's default"),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option("--account", help="Who is charged.", show_default="your default"),
    ] = None,
    memory: Annotated[str, typer.Option("--memory", help="Of each worker.")] = "64G",
    apptainer: Annotated[
        Path | None,
        typer.Option(
            "--apptainer",
            metavar="IMAGE.sif",
            help="Run all in this image.",
            show_default="the Python environment of this command",
        ),
    ] = None,
) -> None:
    """Print a Slurm script that makes a run on one GPU a job; text about it on standard error."""
    from stilts_artifact.clusters.slurm import SlurmJobs, slurm_script

    _require_run(context, command)
    jobs = SlurmJobs(gpus, walltime, memory, partition, account, apptainer)
    sys.stdout.write(slurm_script(command, jobs, typed(sys.argv[1:]), sys.executable))
    where = apptainer or Path(sys.prefix)
    for line in (
        "submit:  sbatch FILE, in the folder where you would run the command; all nodes must see",
        f"         it, what the command names, and {where}",
        "watch:   stilts-artifact-JOB.log there; squeue --me shows the leader and its workers",
        f"         (up to {gpus} of them: the run begins with the first)",
        f"time:    {walltime} for each job; then it goes back into the queue, and the run goes on",
        "end:     scancel JOB, of the leader; submitted again, it goes on where it was",
        _plan_line(context, command),
        "         nodes without a network: fetch on the login node, and --offline in the run",
    ):
        options.say(line, sys.stderr)


@app.command(context_settings=_PASSED_ON)
def kubernetes(
    context: typer.Context,
    command: CommandArgument,
    gpus: GpusOption,
    image: Annotated[
        str,
        typer.Option(
            "--image", metavar="NAME@sha256:DIGEST", help="Of this package, in a registry."
        ),
    ],
    claim: Annotated[
        str,
        typer.Option("--claim", help="Volume claim (ReadWriteMany) for results and store."),
    ] = "stilts-artifact",
    memory: Annotated[str, typer.Option("--memory", help="Of each worker.")] = "64Gi",
) -> None:
    """Print a manifest for dask-kubernetes' operator: a run with a GPU for each worker.

    Text about it goes to standard error.
    """
    from stilts_artifact.clusters.kubernetes import TLS_SECRET, Pods, kubernetes_manifest

    _require_run(context, command)
    sys.stdout.write(
        kubernetes_manifest(command, Pods(gpus, image, claim, memory), typed(sys.argv[1:]))
    )
    for line in (
        "needs:   dask-kubernetes' operator, NVIDIA's device plugin, Kubernetes 1.31 or newer,",
        f"         and a volume claim {claim} that all nodes may write",
        "key:     openssl req -x509 -newkey rsa:3072 -nodes -days 365 -subj /CN=dask"
        " -keyout key.pem -out cert.pem",
        f"         kubectl create secret generic {TLS_SECRET} --from-file=cert.pem"
        " --from-file=key.pem",
        "submit:  kubectl apply -f FILE",
        "watch:   kubectl logs -f job/stilts-artifact; results are on the volume",
        "end:     kubectl delete -f FILE, after a run too: it holds the GPUs until then",
        _plan_line(context, command),
    ):
        options.say(line, sys.stderr)


def _require_run(context: typer.Context, command: list[str]) -> None:
    """See that the run's own arguments are such, as its command reads them.

    Raises:
        ConfigError: no run that others can work for.
    """
    name, *arguments = command
    if name not in _RUNS:
        raise ConfigError(
            "no run that a cluster works for",
            got=name,
            expected=" or ".join(_RUNS),
            fix="put the run at the end: ... reproduce --table 2 --scale paper",
        )
    # Typer's own parser: what it refuses, it says as it does everywhere.
    found = _commands(context)[name].make_context(name, arguments, parent=context.find_root())
    for option in ("workers", "scheduler"):
        if found.params[option] is not None:
            raise ConfigError("the cluster has its own", where=f"--{option}", fix="leave it out")
    if name == "reproduce":
        experiment = options.chosen_experiment(found.params["table"], found.params["calibration"])
        if experiment.is_counted:
            raise ConfigError(f"{experiment.title} is counted, not trained: it needs no cluster")


def _plan_line(context: typer.Context, command: list[str]) -> str:
    """How to know beforehand what a run costs: by its arguments, but those that a plan has no use
    for (``--offline``, ``--rehearse``)."""
    name, *arguments = command
    commands, kept, words = _commands(context), list[str](), iter(arguments)
    parameters = commands[name].params
    options = {option: one for one in parameters for option in (*one.opts, *one.secondary_opts)}
    planned = {option for one in commands["plan"].params for option in one.opts}
    for word in words:
        option, equals, _ = word.partition("=")
        known = options.get(option)
        if known is None:
            kept += ["--study", word]  # its number; reproduce has options alone
            continue
        alone = equals or getattr(known, "is_flag", False)
        value = [] if alone else [next(words)]
        kept += [word, *value] if option in planned else []
    return f"before:  stilts-artifact plan {shlex.join(kept)}: hours, disk and downloads"


def _commands(context: typer.Context) -> dict[str, typer.core.TyperCommand]:
    """All commands of this program, by name."""
    group: typer.core.TyperGroup = context.find_root().command  # type: ignore[assignment]
    return group.commands  # type: ignore[return-value]
