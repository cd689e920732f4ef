"""``stilts-artifact container``: build the image and run it, through the Docker API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stilts_artifact.cli import options

app = typer.Typer(
    cls=options.Commands, no_args_is_help=True, help="Build the image and run commands in it."
)

TagOption = Annotated[str, typer.Option("--tag", help="Name of the image.")]


@app.command()
def build(
    variant: Annotated[
        str, typer.Option("--variant", metavar="cpu|gpu", help="Which lock to install.")
    ] = "gpu",
    base: Annotated[
        str | None, typer.Option("--base", help="Base image.", show_default="the Dockerfile's")
    ] = None,
    tag: TagOption = "stilts-artifact",
    network: Annotated[
        str, typer.Option("--network", help="Network of the build; none if wheelhouse/ is full.")
    ] = "default",
    results: options.ResultsOption = Path("results"),
) -> None:
    """Build the image from this clone; results/image gets its bill of materials and provenance."""
    from stilts_artifact import container

    beside = results / "image"
    written = container.build(variant=variant, base=base, tag=tag, network=network, beside=beside)
    for path in written:
        typer.echo(f"written: {path}")
    options.say(f"verdict: image {tag} built; exit 0")


# What is not an option of this command belongs to the one in the image.
@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(
    context: typer.Context,
    results: options.ResultsOption = Path("results"),
    data: options.DataOption = None,
    tag: TagOption = "stilts-artifact",
    network: Annotated[
        str, typer.Option("--network", help="bridge for a command that downloads.")
    ] = "none",
) -> None:
    """Run a command in the image: read-only, no capabilities, no network; its exit code is ours."""
    from stilts_artifact import container

    raise typer.Exit(
        container.run(context.args, results=results, data=data or [], tag=tag, network=network)
    )
