"""``stilts-artifact expected``: enter values from the paper, and keep the expected values' sums."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.errors import ConfigError

app = typer.Typer(
    no_args_is_help=True, help="Enter values from the paper; keep the sums of the expected values."
)


@app.command("set")
def set_(
    table: options.TableOption,
    value: Annotated[
        str | None, typer.Argument(help="The value, in the digits that the paper prints.")
    ] = None,
    cell: Annotated[
        str | None, typer.Option("--cell", metavar="ROW,COLUMN[,LANGUAGE]", help="The cell.")
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv", help="Many at once: a CSV file with row,column,language,value,source."
        ),
    ] = None,
    source: Annotated[str, typer.Option("--source", help="Where the value is printed.")] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite cells that have a value.")
    ] = False,
    as_printed: Annotated[
        bool,
        typer.Option(
            "--as-printed", help="Accept an average that its cells contradict, as misprints do."
        ),
    ] = False,
    expected: Annotated[
        Path | None,
        typer.Option("--expected", help="File of expected cells. [default: the paper's]"),
    ] = None,
) -> None:
    """Fill expected cells that no public source has, from a copy of the paper; all of them or
    none.
    """
    experiment = options.chosen_experiment(table)
    from stilts_artifact.checking.entered import enter, parse_cell, read_entries
    from stilts_artifact.checking.expected import ENTERED, Entry, expected_path

    if csv is not None and (cell, value) == (None, None):
        entries = read_entries(csv, source)
    elif csv is None and cell is not None and value is not None:
        entries = [Entry(parse_cell(cell), value, source, "--cell")]
    else:
        raise ConfigError(
            "nothing to enter, or too much", expected="--cell ROW,COLUMN VALUE, or --csv FILE"
        )
    path = expected or expected_path("paper", experiment.name)
    changed = enter(path, entries, replace=replace, as_printed=as_printed)
    for key in changed:
        options.say(f"entered {key}")
    options.say(
        f"verdict: {len(changed)} of {len(entries)} cells changed in {path.with_name(ENTERED)}"
    )


@app.command()
def sums(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail where a file has another sum.")
    ] = False,
) -> None:
    """Write SHA256SUMS of the expected values anew, after an edit that is meant; or check them."""
    from stilts_artifact.checking.sums import SUMS, expected_root, refresh_sums, verify_sums

    root = expected_root()
    if check:
        options.say(f"verdict: {verify_sums(root)} files have their sums")
        return
    for name in refresh_sums(root):
        options.say(f"changed {name}")
    options.say(f"verdict: wrote {root / SUMS}")
