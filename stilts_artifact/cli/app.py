"""All commands. Only light modules are imported here: ``--help`` must answer at once."""

from __future__ import annotations

from typing import Annotated

import typer

from stilts_artifact import __version__
from stilts_artifact.cli import (
    check,
    cluster,
    compare,
    container,
    doctor,
    expected,
    fetch,
    ls,
    mine,
    options,
    plan,
    pretrain,
    record,
    report,
    reproduce,
    schema,
    score,
    store,
    study,
    sweep,
    verify,
)

app = typer.Typer(
    cls=options.Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Plain help: panels take half of the width, and a third of the time.
    rich_markup_mode=None,
    help="Reproduce and check the tables of arXiv 2005.13013v2 (X-STILTs).\n\n"
    "Exit codes: 0 reproduced, 1 not reproduced, 2 usage, 3 data, 4 integrity, 5 resources, "
    "6 inconclusive or incomplete, 70 a fault of this program, 130 interrupted. --verbose, "
    "--quiet and --debug, which shows the traceback of what failed, may stand anywhere in a line.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"stilts-artifact {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Show the version and exit."
        ),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Tell of every file, step and cell.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="No progress and no tables: errors and the answer.")
    ] = False,
) -> None:
    options.set_detail(verbose=verbose, quiet=quiet)


app.command()(reproduce.reproduce)
app.command()(study.study)
app.command()(plan.plan)
app.command()(check.check)
app.command()(compare.compare)
app.command()(report.report)
app.command()(verify.verify)
app.command()(fetch.fetch)
app.command()(doctor.doctor)
app.command()(score.score)
app.command()(mine.mine)
app.command()(sweep.sweep)
app.command()(pretrain.pretrain)
app.command()(record.record)
app.command()(ls.ls)
app.command()(schema.schema)
app.add_typer(expected.app, name="expected")
app.add_typer(container.app, name="container")
app.add_typer(store.app, name="store")
app.add_typer(cluster.app, name="cluster")
