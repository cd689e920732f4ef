"""Table 3: each target's best row, chosen on development data, beside the untrained encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from stilts_artifact.benchmark.experiments import BEST, NONE, Experiment, Row, stages
from stilts_artifact.checking.results import row_records
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.domain.tasks import Task
from stilts_artifact.experiments.scored import (
    Executed,
    RunKey,
    Scored,
    gather,
    merged,
    needed_sources,
)
from stilts_artifact.experiments.session import Measured, Session
from stilts_artifact.metrics.tables import table_values


def measure(session: Session, folder: Path) -> Measured:
    """Choose each target's best row on development data, then score it on test data.

    Args:
        folder: for the predictions and labels that the cells are computed from.
    """
    scored = Scored.open(session)
    selecting, experiment = stages(session.experiment)
    absent = session.obtain(needed_sources(scored.builder, [selecting, experiment], scored.wanted))
    tasks = tuple({task.name: task for _, task in scored.wanted}.values())
    selection = scored.execute(
        scored.request(selecting, scored.wanted),
        f"{experiment.title}, selection on development data",
    )
    best = _best(scored, selection, selecting, tasks)
    none = next(row for row, _ in scored.wanted if row.name == NONE)
    asked = [scored.request(experiment, [(none, task) for task in tasks])]
    # A chosen row stands in the row "best": its steps are those it has in any other table.
    asked += [
        scored.request(experiment, [(best[task.name], task)]).renamed(BEST)
        for task in tasks
        if task.name in best
    ]
    executed = scored.execute(merged(asked), f"{experiment.title}, test data")
    lost = {
        RunKey(BEST, seed, task.name): _why(selection, task)
        for task in tasks
        if task.name not in best
        for seed in session.seeds
    }
    executed = replace(executed, failed={**executed.failed, **lost})
    chosen = {task: row.name for task, row in best.items()}
    if session.kept is not None:
        places = session.kept.places
        before = [row for row in session.kept.rows if row.row == BEST]
        details = {task: name for row in before for task, name in row.details.items()}
        chosen |= {task: name for task, name in details.items() if (BEST, task) in places}
    rows = row_records(experiment, session.benchmark, choices=chosen)
    measured = scored.measure(executed, rows, [*absent, *selection.errors], folder)
    return replace(
        measured,
        inputs=scored.inputs([selection, executed], [selecting, experiment]),
        steps=selection.steps | executed.steps,
        made=selection.made | executed.made,
        seconds=selection.seconds + executed.seconds,
    )


def _best(
    scored: Scored, executed: Executed, selecting: Experiment, tasks: Sequence[Task]
) -> dict[str, Row]:
    """Target -> its best row, the first of equals; targets without any score are left out."""
    session = scored.session
    candidates = [row for row in dict.fromkeys(row for row, _ in scored.wanted) if row.name != NONE]
    names = [row.name for row in candidates]
    # Not in the results folder, all of whose files are recorded as those of the table.
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        gather(folder, executed.predictions, executed.labels)
        values = table_values(folder, session.benchmark, selecting, names, session.scale.seeds)
    best: dict[str, Row] = {}
    for task in tasks:
        found = [
            (value, row)
            for row in candidates
            if (value := values[CellKey(row.name, task.name)].value) is not None
        ]
        if found:
            # By the value alone: rows have no order, and max takes the first of equals.
            best[task.name] = max(found, key=lambda pair: pair[0])[1]
    return best


def _why(executed: Executed, task: Task) -> str:
    reasons = [reason for key, reason in sorted(executed.failed.items()) if key.task == task.name]
    return (
        f"no row was scored on development data: {reasons[0] if reasons else 'none was asked for'}"
    )
