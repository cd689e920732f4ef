"""``stilts-artifact pretrain``: phase (i), the mini encoder that ships with the package, made anew."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stilts_artifact.cli import options
from stilts_artifact.errors import ResourceError

if TYPE_CHECKING:
    from stilts_artifact.domain.tasks import Benchmark
    from stilts_artifact.training.loop import Progress

_LINES = 20  # at most so many lines of progress where there is no terminal


def pretrain(
    out: Annotated[Path, typer.Option("--out", help="Folder to be made.", show_default=False)],
    quick: Annotated[
        bool, typer.Option("--quick", help="Seconds instead of minutes: a test of the machinery.")
    ] = False,
    results: options.ResultsOption = Path("results"),
    store: options.StoreOption = None,
    data: options.DataOption = None,
) -> None:
    """Pretrain the mini encoder and its tokenizer on the mini world's text. Killed, it resumes where it was."""
    try:
        from stilts_artifact.pretraining.pretrain import pretrain as run
    except ModuleNotFoundError as error:
        fix = "install the extra cpu or gpu"
        raise ResourceError(
            "pretraining needs torch and transformers", got=str(error), fix=fix
        ) from error
    from stilts_artifact.benchmark import load_benchmark
    from stilts_artifact.pretraining.recipe import recipe

    chosen = recipe("quick" if quick else "shipped")
    benchmark = load_benchmark("mini")
    forbidden = _forbidden(benchmark, results, store, data)
    sys.stderr.write(
        f"{len(forbidden):,} sentences of development and test sets kept out of the text\n"
    )
    work = (store if store is not None else results / ".store") / "pretraining"
    with step_progress(f"pretraining, {chosen.steps:,} steps") as progress:
        run(chosen, out, work, forbidden, progress=progress)
    if not quick:
        typer.echo(_against_shipped(out))
    typer.echo(f"verdict: encoder in {out}, its card in {out / 'README.md'}; exit 0")


def _against_shipped(out: Path) -> str:
    """How an encoder relates to the one that ships; the latter's card also tells what was measured since."""
    from stilts_artifact.model.hub import shipped_encoder
    from stilts_artifact.model.manifest import WEIGHTS, verify_folder
    from stilts_artifact.pretraining.card import CARD, FACTS

    made, shipped = verify_folder(out), verify_folder(shipped_encoder())
    differing = [name for name in made if name != CARD and made[name] != shipped.get(name)]
    if not differing:
        return "the same as the encoder that ships with the package, bit for bit"
    why = "another processor or version of torch computes other last bits, and training magnifies them"
    if not set(differing) <= {WEIGHTS, FACTS}:
        why = "not the same text, recipe or version of this package"
    return f"differs from the encoder that ships with the package in {', '.join(differing)}: {why}"


def _forbidden(
    benchmark: Benchmark, results: Path, store: Path | None, data: list[Path] | None
) -> frozenset[str]:
    """Evaluation sentences of the mini world, whose files are generated where they are not there yet."""
    from stilts_artifact.data.fetch import fetch
    from stilts_artifact.experiments.setup import url_openers
    from stilts_artifact.pretraining.corpus import evaluation_sentences

    library = options.open_library(benchmark, results, store, data)
    report = fetch(list(benchmark.sources.values()), library, offline=True, openers=url_openers())
    for failure in report.failures:
        raise failure
    return evaluation_sentences(benchmark, library)


class _Lines:
    """A line now and then, for logs."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._first: int | None = None

    def step(self, done: int, total: int, loss: float) -> None:
        if self._first is None:
            self._first, self._began = done, time.monotonic()
        if done % max(1, total // _LINES) and done != total:
            return
        left = (time.monotonic() - self._began) / max(1, done - self._first) * (total - done)
        sys.stderr.write(f"step {done:,} of {total:,}, loss {loss:.3f}, {left / 60:.1f} min left\n")

    def note(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")


@contextmanager
def step_progress(title: str) -> Iterator[Progress]:
    """Progress through the steps of a training run, with the time left."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
    )
    with Bars(*columns, console=Console(file=sys.stderr)) as bars:
        bar = bars.add_task(title, total=None, loss=float("nan"))

        class OnScreen:
            """The bar."""

            def step(self, done: int, total: int, loss: float) -> None:
                bars.update(bar, completed=done, total=total, loss=loss)

            def note(self, text: str) -> None:
                bars.console.print(text, markup=False)

        yield OnScreen()
