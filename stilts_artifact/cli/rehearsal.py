"""``stilts-artifact reproduce --rehearse``: what a dress rehearsal shows, and how it ends."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.cli import options
from stilts_artifact.domain.units import readable_size, readable_time
from stilts_artifact.errors import ExitCode, MissingDataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from stilts_artifact.benchmark.experiments import Experiment
    from stilts_artifact.experiments.rehearsal import Rehearsal
    from stilts_artifact.experiments.session import Machine
    from stilts_artifact.experiments.setup import Choices

_SHOWN = 20  # reasons


def run_rehearsal(
    experiment: Experiment, choices: Choices, machine: Machine, results: Path, *, as_json: bool
) -> ExitCode:
    """Rehearse an experiment; 0 if the machinery works, whatever its scores are."""
    from stilts_artifact.experiments.rehearsal import FOLDER, rehearse
    from stilts_artifact.experiments.setup import open_session
    from stilts_artifact.pipeline.upkeep import REHEARSALS
    from stilts_artifact.reporting.console import make_console

    session = open_session(experiment, choices, machine, results, display=options.display())
    stream = options.message_stream(as_json)
    options.note(f"rehearsal of scale {session.scale.name} ({session.reason})", stream)
    options.require_writable(results)
    found = rehearse(session)
    if options.detail() is not options.Detail.QUIET:
        console = make_console(stream)
        _show_uses(found, console)
        _show_needs(found, session.scale.device, console)
        for difference in found.rounding:
            console.print(f"bfloat16 against float32, {difference}")
    errors = [one for one in found.outcome.errors if not isinstance(one, MissingDataError)]
    errors += [one for one in (own.error() for own in found.rounding) if one is not None]
    for error in errors:
        stream.write(f"error: {error}\n")
    for reason in found.failed[:_SHOWN]:
        options.say(f"no value: {reason}", stream)
    if as_json:
        options.say_json(_as_json(found))
    title, code = session.experiment.title, ExitCode.REPRODUCED
    if errors or found.failed:
        code = errors[0].exit_code if errors else ExitCode.INCOMPLETE
        said = f"the machinery fails at {len(found.failed)} cells"
        if not found.failed:
            said = "not all is as it should be, see above"
    else:
        said = "the machinery works"
    if found.failed:
        # Else its store is gone.
        left = f"`stilts-artifact store prune` removes what it left in {machine.store / REHEARSALS}"
        options.note(f"the same command goes on where it was; else {left}", stream)
    options.note(f"its files, which are no results: {results / FOLDER}", stream)
    options.say(f"verdict: rehearsal of {title}: {said}; exit {code:d}", stream)
    return code


def _show_uses(found: Rehearsal, console: Console) -> None:
    from stilts_artifact.reporting.console import new_table

    on = "GPU" if found.device == "cuda" else "CPU"
    table = new_table(f"What each kind of step took here, on a {on}")
    table.add_column("kind")
    for name in ("steps", "longest", "together", "memory", "GPU memory", "written", "results"):
        table.add_column(name, justify="right")
    for use in found.uses:
        table.add_row(
            use.kind,
            f"{use.steps:,}",
            readable_time(use.seconds),
            readable_time(use.total),
            readable_size(use.memory) if use.memory else "-",
            readable_size(use.gpu_memory) if use.gpu_memory else "-",
            readable_size(use.written) if use.written else "-",
            readable_size(use.results),
        )
    console.print(table)
    console.print(
        f"in all {readable_time(found.seconds)}; store at its peak {readable_size(found.disk)}; "
        "memory is the most that one step held"
    )
    if found.smaller:
        cut = ", ".join(f"{name} {now} of {own}" for name, (now, own) in found.smaller.items())
        console.print(f"examples of an optimiser step, fewer than in the real run: {cut}")


def _show_needs(found: Rehearsal, device: str, console: Console) -> None:
    from stilts_artifact.reporting.console import new_table

    table = new_table("What the real run needs, and what is here")
    for name in ("", "needed", "here", "enough"):
        table.add_column(name, overflow="fold")
    for row in _needs(found, device):
        table.add_row(*row)
    console.print(table)


def _needs(found: Rehearsal, device: str) -> Iterator[tuple[str, str, str, str]]:
    """What, how much of it, what there is, and whether that will do."""
    offers, plan = found.offers, found.plan
    if device == "gpu":
        largest = max((size for one in offers for size in one.gpus), default=0)
        number = sum(len(one.gpus) for one in offers)
        here = f"{number} of {readable_size(largest)}" if number else "no GPU"
        needed = readable_size(found.gpu_memory)
        yield "GPU memory", needed, here, _enough(largest >= found.gpu_memory)
    memory = min(one.memory for one in offers)
    needed, here = readable_size(found.memory), readable_size(memory)
    yield "memory of a worker, as here", needed, here, _enough(memory >= found.memory)
    if plan is not None:
        # As many workers as there are GPUs; where there are none, the first number that is planned.
        number = max(1, sum(len(one.gpus) for one in offers))
        known = [workers for workers in plan.disk if workers >= number] or [max(plan.disk)]
        free, disk = min(one.disk for one in offers), plan.disk[min(known)] + plan.download_bytes
        enough = _enough(free >= disk)
        yield "disk at its peak", readable_size(disk), f"{readable_size(free)} free", enough
        what = "GPU" if plan.device == "cuda" else "CPU worker"
        for workers, seconds in plan.wall.items():
            least, most = seconds / plan.uncertain, seconds * plan.uncertain
            between = f"{readable_time(least)} to {readable_time(most)}"
            yield f"time with {workers} {what}{'s' * (workers > 1)}", between, "", ""
    stock = found.stock
    if stock.downloadable:
        here = f"{stock.here:,}"
        yield "files to download", f"{stock.downloadable:,}", here, _enough(not stock.absent)
    if stock.by_hand:
        # What they leave out is NOT_RUN, and no reason not to run.
        yield "files to be brought by hand", f"{len(stock.by_hand):,} more", "", ""


def _enough(is_enough: bool) -> str:
    return "yes" if is_enough else "no"


def _as_json(found: Rehearsal) -> dict[str, object]:
    return {
        "rehearsal": found.outcome.results.experiment,
        "scale": found.outcome.results.scale,
        "device": found.device,
        "seconds": round(found.seconds, 3),
        "weights": found.weights,
        "peak_disk_bytes": found.disk,
        "uses": [asdict(use) for use in found.uses],
        "smaller_batches": found.smaller,
        "needed": {"gpu_memory": found.gpu_memory, "memory": found.memory},
        "plan": None if found.plan is None else asdict(found.plan),
        "offers": [asdict(one) for one in found.offers],
        "bfloat16": [asdict(one) for one in found.rounding],
        "failed": list(found.failed),
    }
