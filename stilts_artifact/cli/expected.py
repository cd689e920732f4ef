"""``stilts-artifact expected``: values from the paper, and the sums of the expected values."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.errors import ConfigError

if TYPE_CHECKING:
    from stilts_artifact.benchmark.experiments import Experiment

app = typer.Typer(
    cls=options.Commands,
    no_args_is_help=True,
    help="Enter values from the paper; keep the sums of the expected values.",
)

_FileOption = Annotated[
    Path | None,
    typer.Option(
        "--expected", metavar="FILE", help="File of expected cells; without it, the paper's."
    ),
]


@app.command()
def template(table: options.TableOption, expected: _FileOption = None) -> None:
    """Print every cell without a value as CSV, to be filled in and entered by: set --csv."""
    experiment = options.chosen_experiment(table)
    from stilts_artifact.checking.entered import count_filled
    from stilts_artifact.checking.entered import template as empty_cells
    from stilts_artifact.checking.expected import load_expected

    cells = load_expected(_file(expected, experiment))
    for line in empty_cells(cells).splitlines():
        options.say(line)
    options.say(count_filled(cells), sys.stderr)


@app.command()
def tolerances(table: options.TableOption, expected: _FileOption = None) -> None:
    """Print what each tolerance is, and what it rests on."""
    experiment = options.chosen_experiment(table)
    from stilts_artifact.checking.expected import load_expected

    found = load_expected(_file(expected, experiment))
    # Columns first, then the cells that have one of their own; what rests on the same together.
    named = {
        name: (tolerance, found.bases.get(name)) for name, tolerance in found.tolerances.items()
    }
    named |= {
        str(cell.key): (cell.tolerance, found.basis_of(cell))
        for cell in found.cells.values()
        if cell.tolerance is not None
    }
    for basis in dict.fromkeys(basis for _, basis in named.values()):
        which = [f"{name} {own:g}" for name, (own, other) in named.items() if other == basis]
        options.say(", ".join(which))
        options.say(f"  {basis or 'counts, or recorded here'}")


@app.command("set")
def set_(
    table: options.TableOption,
    value: Annotated[
        str | None, typer.Argument(help="The value, in the digits that the paper prints.")
    ] = None,
    cell: Annotated[
        str | None,
        typer.Option(
            "--cell",
            metavar="ROW,COLUMN[,LANGUAGE]",
            help="The cell, by titles as printed or by names.",
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv", help="Many at once: a CSV file as 'template' prints it, with values filled in."
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
    expected: _FileOption = None,
) -> None:
    """Fill expected cells that no public source has, from a copy of the paper; all or none."""
    experiment = options.chosen_experiment(table)
    from stilts_artifact.checking.entered import count_filled, enter, parse_cell, read_entries
    from stilts_artifact.checking.expected import ENTERED, Entry, load_expected
    from stilts_artifact.checking.sums import require_checkout

    if expected is None:
        require_checkout(f"copy that folder; then --expected COPY/paper/{experiment.name}.yaml")
    path = _file(expected, experiment)
    cells = load_expected(path)
    if csv is not None and (cell, value) == (None, None):
        entries = read_entries(csv, source, cells)
    elif csv is None and cell is not None and value is not None:
        entries = [Entry(parse_cell(cell, cells), value, source, "--cell")]
    else:
        raise ConfigError(
            "nothing to enter, or too much", expected="--cell ROW,COLUMN VALUE, or --csv FILE"
        )
    changed = enter(path, entries, replace=replace, as_printed=as_printed)
    for key in changed:
        options.say(f"entered {key}")
    options.say(count_filled(load_expected(path)))
    options.say(
        f"verdict: {len(changed)} of {len(entries)} cells changed in {path.with_name(ENTERED)}"
    )


@app.command()
def sums(
    write: Annotated[
        bool, typer.Option("--write", help="Write the sums anew, after an edit that is meant.")
    ] = False,
) -> None:
    """Hold the files of expected values against SHA256SUMS; or write that anew."""
    from stilts_artifact.checking.sums import SUMS, expected_root, refresh_sums, verify_sums

    root = expected_root()
    if not write:
        options.say(f"verdict: {verify_sums(root)} files have their sums")
        return
    for name in refresh_sums(root):
        options.say(f"changed {name}")
    options.say(f"verdict: wrote {root / SUMS}")


def _file(expected: Path | None, experiment: Experiment) -> Path:
    """The file that is named, else the paper's."""
    from stilts_artifact.checking.expected import expected_path
    from stilts_artifact.checking.sums import is_recorded

    path = expected or expected_path("paper", experiment.name)
    if not is_recorded(path):
        what = f"there is no file of expected cells for {experiment.title}"
        raise ConfigError(what, where=str(path), fix="name one: --expected FILE")
    return path
