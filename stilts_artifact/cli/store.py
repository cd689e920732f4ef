"""``stilts-artifact store``: what lies in a store, whether it is sound, and what may go."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.domain.units import readable_size
from stilts_artifact.errors import ExitCode, MissingDataError

app = typer.Typer(
    cls=options.Commands,
    no_args_is_help=True,
    help="Show and mend what lies in a store: results of steps, checkpoints.",
)


@app.command()
def du(
    results: options.ResultsOption = Path("results"),
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """What takes how much room, by kind of step, and for whom it is kept."""
    from stilts_artifact.pipeline.store import Store
    from stilts_artifact.pipeline.upkeep import REHEARSALS, take_stock
    from stilts_artifact.reporting.console import make_console, new_table

    folder = options.store_folder(results, store)
    stock = take_stock(Store(folder), _published_sums(results))
    if as_json:
        options.say_json(asdict(stock))
        return
    table = new_table(f"Results of steps in {folder}")
    for name in ("kind", "results", "size", "published", "unfinished", "dropped"):
        table.add_column(name, justify="left" if name == "kind" else "right", overflow="fold")
    for kind in stock.kinds:
        dropped = f"{kind.dropped:,} ({readable_size(kind.dropped_bytes)})" if kind.dropped else "-"
        sizes = map(readable_size, (kind.bytes, kind.published, kind.unfinished))
        table.add_row(kind.kind, f"{kind.results:,}", *sizes, dropped)
    make_console().print(table)
    for name in stock.published:
        options.say(f"published from here: {name}")
    if stock.unfinished:
        options.say(
            f"runs that were ended before they were done: {stock.unfinished}; what they need stays "
            f"until they are resumed, or {folder / 'runs'} is removed"
        )
    if stock.rehearsal_bytes:
        options.say(
            f"rehearsals that failed or are at work: {readable_size(stock.rehearsal_bytes)} in "
            f"{folder / REHEARSALS}"
        )
    rest = readable_size(stock.work_bytes + stock.aside_bytes)
    total = sum(kind.bytes for kind in stock.kinds) + stock.work_bytes + stock.aside_bytes
    options.say(
        f"verdict: {readable_size(total)} of steps, {rest} of it unfinished or put aside; "
        f"{readable_size(stock.files_bytes)} of downloads; exit 0"
    )


@app.command()
def verify(
    results: options.ResultsOption = Path("results"),
    store: options.StoreOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Hold every file of every result against its manifest; nothing is changed."""
    from stilts_artifact.pipeline.store import UNLIKE_FIRST, Store
    from stilts_artifact.pipeline.upkeep import damaged

    own = Store(options.store_folder(results, store))
    seen, faults, stream = 0, {}, options.message_stream(as_json)
    for address, error in damaged(own):
        if error is not None:
            faults[address] = error
            continue
        seen += 1
        if (file := own.manifest(address).made.get(UNLIKE_FIRST)) is not None:
            options.say(f"made again, and not as before it was dropped ({file}): {address}", stream)
    code = ExitCode.INTEGRITY if faults else ExitCode.REPRODUCED
    if as_json:
        options.say_json({address: str(error) for address, error in faults.items()})
    for address, error in faults.items():
        options.say(f"damaged: {address}", stream)
        stream.write(f"{error}\n")
    word = f"{seen:,} results are sound"
    if faults:
        word += f", {len(faults):,} are damaged: a run that needs them puts them aside and makes "
        word += "them anew"
    options.say(f"verdict: {word}; exit {code:d}", stream)
    raise typer.Exit(code)


@app.command()
def prune(
    results: options.ResultsOption = Path("results"),
    store: options.StoreOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would go; remove nothing.")
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Drop what no published result and no unfinished run needs; a run makes it again.

    The stores of rehearsals that failed go, too.
    """
    from stilts_artifact.pipeline.kinds import KINDS
    from stilts_artifact.pipeline.store import Store
    from stilts_artifact.pipeline.upkeep import prune as prune_store

    own = Store(options.store_folder(results, store))
    pruned = prune_store(own, KINDS, _published_sums(results), dry_run=dry_run)
    stream = options.message_stream(as_json)
    if as_json:
        options.say_json({**asdict(pruned), "bytes": pruned.bytes})
    word = "would go" if dry_run else "gone"
    for address, size in pruned.results.items():
        options.note(f"{word}  {address}  {readable_size(size)}", stream)
    for name, size in pruned.rehearsals.items():
        options.note(f"{word}  rehearsal {name}  {readable_size(size)}", stream)
    options.say(
        f"verdict: {len(pruned.results):,} results {word}, {readable_size(pruned.bytes)} with what "
        f"killed runs and rehearsals left; exit 0",
        stream,
    )


def _published_sums(results: Path) -> set[str]:
    """sha256 of every file that a results file of a folder rests on.

    Raises:
        DataError, ConfigError: a results file cannot be read: what it rests on is not known.
    """
    from stilts_artifact.checking.results import load_results, results_files

    paths: list[Path] = []
    with contextlib.suppress(MissingDataError):
        paths = results_files(results)
    return {file.sha256 for path in paths for file in load_results(path).files}
