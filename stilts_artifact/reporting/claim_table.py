"""The claims in docs/reviewers.md: what tests each, what that costs, and the verdict to expect.

    python -m stilts_artifact.reporting.claim_table docs/reviewers.md            # write it anew
    python -m stilts_artifact.reporting.claim_table docs/reviewers.md --check    # is it up to date?

The claims come from ``expected_results/claims.yaml``, the costs from the plan of exactly the
command that is shown.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import (
    AVERAGE,
    EXPERIMENTS,
    OVERALL,
    Experiment,
    experiment_named,
    rows,
)
from stilts_artifact.checking.claims import Claim, claims_path, load_claims
from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.domain.units import readable_size
from stilts_artifact.errors import ArtifactError, ConfigError
from stilts_artifact.reporting.differences import known_differences
from stilts_artifact.reporting.markdown import escape, grid

if TYPE_CHECKING:
    from stilts_artifact.pipeline.plan import Plan

SCALE = "paper"
BEGIN, END = "<!-- claims -->", "<!-- /claims -->"
REGENERATE = "python -m stilts_artifact.reporting.claim_table docs/reviewers.md"

_FEW = 3  # rows or columns that a command names one by one
_INTRODUCTION = """\
Costs are the plan's, from an empty store, for one GPU ({machine}); claims share most of their
steps, and one run of Table 2 decides all of its. The expected verdict is what follows if the paper
is right. No run at paper scale was made for this package; at a smaller scale only directions are
judged, and `mini` says nothing about the paper."""
_TABLE_1 = (
    "Table 1: eighteen tasks and their sizes",
    f"`stilts-artifact reproduce --table 1 --scale {SCALE}`",
    "0",
    "1.5 GB",
    "minutes",
    "REPRODUCED where a public source states the size",
)
_NO_SOURCE = (
    "Cells of Tables 2 and 3 without a public source, until someone enters them from the paper."
)


@dataclass(frozen=True, slots=True)
class Command:
    """What tests a claim: an experiment, and which of its cells, as ``--only`` names them."""

    experiment: Experiment
    only: tuple[str, ...]

    def __str__(self) -> str:
        quoted = (f'"{item}"' if "*" in item else item for item in self.only)
        return " ".join(
            [
                f"stilts-artifact {self.experiment.command} --scale {SCALE}",
                *(f"--only {item}" for item in quoted),
            ]
        )


def claims_section() -> str:
    """The section on claims, between its markers."""
    claims = load_claims(claims_path()).claims
    machine = plan_of(Command(EXPERIMENTS["table2"], ())).machine
    headings = ("claim", "command", "GPU-hours", "disk", "time", "expected verdict")
    table = grid(headings, [_TABLE_1, *map(_line, claims)], 2)
    return "\n\n".join(
        [_INTRODUCTION.format(machine=machine), table, *_unsupported(claims), _badges()]
    )


def _line(claim: Claim) -> tuple[str, ...]:
    command = command_of(claim)
    if command is None:
        return (escape(claim.title), "-", "-", "-", "-", str(Verdict.NOT_CHECKABLE))
    plan = plan_of(command)
    hours, wall = f"{plan.gpu_seconds / 3600:.0f}", f"{plan.wall[1] / 3600:.0f} h"
    verdict = f"{Verdict.REPRODUCED}{_unless(claim)}"
    return (
        escape(claim.title),
        f"`{command}`",
        hours,
        readable_size(plan.disk[1]),
        wall,
        verdict,
    )


def _unless(claim: Claim) -> str:
    """Which data that nobody can download decide whether a claim is judged at all."""
    benchmark = load_benchmark(load_scale(SCALE).benchmark)
    known = {row.name: row for row in rows(benchmark)}
    needed = [known[row] for row, _ in claim.needs(list(known)).cells if row in known]
    tasks = {task for row in needed for task in row.tasks}
    sources = {
        part.source
        for task in tasks
        for parts in benchmark.tasks[task].parts.values()
        for part in parts
    }
    by_hand = [f"`{name}`" for name in sorted(sources) if not benchmark.sources[name].urls]
    texts = {row.text for row in needed if row.text is not None}
    read = [part for name in texts for own in benchmark.texts[name].parts.values() for part in own]
    if any(not benchmark.sources[part.source].urls for part in read):
        by_hand.append("Wikipedia text that you bring")
    return f"; NOT_RUN without {' and '.join(by_hand)}" if by_hand else ""


def command_of(claim: Claim) -> Command | None:
    """The shortest command that measures the cells of a claim; ``None`` if there are no such rows.

    A few rows, or a few columns, are named; else the whole table is run.
    """
    benchmark = load_benchmark(load_scale(SCALE).benchmark)
    known = [row.name for row in rows(benchmark)]
    needs = claim.needs(known)
    if needs.absent is not None:
        return None
    experiment = experiment_named(claim.experiment)
    if experiment.selected_by is not None:
        return Command(experiment, ())
    names = [task.name for task in experiment.targets(benchmark)]
    used, asked = {row for row, _ in needs.cells}, {column for _, column in needs.cells}
    needed = [row for row in known if row in used]
    columns = names if asked & {AVERAGE, OVERALL} else [name for name in names if name in asked]
    if len(needed) <= _FEW and columns == names:
        return Command(experiment, tuple(needed))
    return (
        Command(experiment, tuple(f"*,{column}" for column in columns))
        if len(columns) <= _FEW
        else Command(experiment, ())
    )


@cache
def plan_of(command: Command) -> Plan:
    """What a command costs on a machine that has nothing yet."""
    from stilts_artifact.benchmark.asked import wanted_cells
    from stilts_artifact.experiments.planning import NOT_HERE_YET, plan, sources_of, steps_of
    from stilts_artifact.experiments.steps import StepBuilder
    from stilts_artifact.model.hub import PhaseOne
    from stilts_artifact.pipeline.costs import load_costs
    from stilts_artifact.pipeline.store import Store

    scale = load_scale(SCALE)
    benchmark = load_benchmark(scale.benchmark)
    encoder = PhaseOne.of(scale.encoder)
    builder = StepBuilder(benchmark, scale, encoder, dict.fromkeys(benchmark.sources, NOT_HERE_YET))
    wanted = wanted_cells(benchmark, command.experiment, command.only)
    sources = sources_of(builder, command.experiment, wanted)
    with tempfile.TemporaryDirectory() as empty:
        store, costs = Store(Path(empty)), load_costs(scale)
        steps = steps_of(builder, command.experiment, wanted)
        return plan(steps, store, costs, sources, scale.keep_models)


def _unsupported(claims: Sequence[Claim]) -> list[str]:
    """What cannot be tested here, and why."""
    lines = [
        f"- {escape(claim.title)}: {escape(claim.gap or '')}."
        for claim in claims
        if command_of(claim) is None
    ]
    lines += [
        f"- {escape(difference.title)}: {escape(difference.here)}"
        for difference in known_differences()
        if difference.status == "limit"
    ]
    lines.append(f"- {_NO_SOURCE}")
    return ["### Not supported, and why", "\n".join(lines)]


def _badges() -> str:
    return (
        resources.files(__package__)
        .joinpath("templates/badges.md")
        .read_text(encoding="utf-8")
        .strip()
    )


def replace_section(page: str, section: str) -> str:
    """A page with the section between its markers replaced.

    Raises:
        ConfigError: it does not have the two markers.

    Example:
        >>> replace_section("a\\n<!-- claims -->\\nold\\n<!-- /claims -->\\nb", "new")
        'a\\n<!-- claims -->\\n\\nnew\\n\\n<!-- /claims -->\\nb'
    """
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", flags=re.DOTALL)
    if len(pattern.findall(page)) != 1:
        raise ConfigError(
            "no place for the claims",
            where="docs/reviewers.md",
            expected=f"{BEGIN} and {END}, once",
        )
    # A function: in a text, the backslashes of escaped Markdown would be read as escapes of re.
    return pattern.sub(lambda _: f"{BEGIN}\n\n{section}\n\n{END}", page)


def main(arguments: Sequence[str]) -> int:
    """Write the section anew, or with ``--check`` see whether it is up to date."""
    from stilts_artifact.files import write_file

    check = "--check" in arguments
    paths = [Path(argument) for argument in arguments if argument != "--check"]
    if len(paths) != 1:
        raise ConfigError(
            "which file?", got=" ".join(arguments), expected="docs/reviewers.md [--check]"
        )
    old = paths[0].read_text(encoding="utf-8")
    new = replace_section(old, claims_section())
    if check and new != old:
        raise ConfigError("the claims are not up to date", where=str(paths[0]), fix=REGENERATE)
    if new != old:
        write_file(paths[0], new.encode())
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ArtifactError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
