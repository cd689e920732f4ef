"""What measured cells rest on, and which of it was verified.

A result lists the upstream files that were verified when it was made, and brings the labels that
its predictions are scored against. A number says something about the benchmark only if every source
behind it is on the first list, and every label file is the benchmark's: else nobody can tell what
it is a number of, and it is neither reproduced nor refuted. A number that rests on somebody's own
data is of something else than the benchmark, and is held against nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.assemble import single_files
from stilts_artifact.benchmark.experiments import (
    BEST,
    LANGUAGES,
    Experiment,
    counted_places,
    stages,
)
from stilts_artifact.checking.labels import RECORD
from stilts_artifact.checking.results import CellRecord, ClaimRecord, Results
from stilts_artifact.data.library import stand_ins
from stilts_artifact.domain.cells import CellKey, Verdict
from stilts_artifact.domain.tasks import Benchmark, Part, Split, Task
from stilts_artifact.forms import form_of
from stilts_artifact.forms.provenance import evaluation_parts, training_parts
from stilts_artifact.metrics.tables import Column, table_columns

_OPEN = (Verdict.NOT_RUN, Verdict.NOT_CHECKABLE)
"""Verdicts of claims that say nothing about their numbers."""
_HERE = Path()

PartsFault = Callable[[Iterable[Part]], str | None]
"""What is wrong with a number that rests on these parts; ``None`` if nothing is."""
CellFault = Callable[[CellKey], str | None]
"""The same of a cell."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a number is held against nothing.

    Args:
        verdict: of a cell with such a number, and of claims on it.
    """

    reason: str
    verdict: Verdict = Verdict.INCONCLUSIVE


def unfounded(
    results: Results, benchmark: Benchmark, pins: Mapping[str, str] | None
) -> dict[CellKey, Fault]:
    """Measured cells that rest on something which was not verified, or on somebody's own data.

    Args:
        pins: sha256 of the benchmark's label files, as
            :func:`stilts_artifact.checking.labels.load_labels` has them.
    """
    inputs = _Inputs(benchmark, {used.source for used in results.inputs})
    counted = results.defined.is_counted

    def of_parts(fault: PartsFault) -> CellFault:
        if counted:
            return partial(_count_fault, benchmark, fault)
        return _Scores(results, benchmark, fault, None).parts_fault

    verified = (
        of_parts(inputs.fault) if counted else _Scores(results, benchmark, inputs.fault, pins).fault
    )
    checks: list[tuple[CellFault, Verdict]] = [(verified, Verdict.INCONCLUSIVE)]
    if shortened := _shortened(results):
        checks.append((of_parts(partial(_short, shortened)), Verdict.INCONCLUSIVE))
    if names := frozenset(results.run_scale.own_data):
        # First: it decides the verdict.
        checks.insert(0, (of_parts(partial(_own_data, names)), Verdict.NOT_CHECKABLE))
    faults: dict[CellKey, Fault] = {}
    for cell in results.cells:
        if cell.value is not None:
            found = [(check(cell.key), verdict) for check, verdict in checks]
            said = [(reason, verdict) for reason, verdict in found if reason is not None]
            if said:
                faults[cell.key] = Fault("; ".join(reason for reason, _ in said), said[0][1])
    return faults


def _shortened(results: Results) -> frozenset[Part]:
    """Single files that stand for a split in many of them."""
    if not results.run_scale.single_files:
        return frozenset()
    return frozenset(
        file
        for task in load_benchmark(results.run_scale.benchmark).tasks.values()
        for parts in task.parts.values()
        for part in parts
        for file in single_files(part, results.benchmark)
    )


def _short(shortened: frozenset[Part], parts: Iterable[Part]) -> str | None:
    """Which of these parts are only some files of a split, ``None`` if none is."""
    found = sorted({str(part.member).rpartition("/")[2] for part in shortened.intersection(parts)})
    return f"partial: of a split in many files it has {_first(found)}" if found else None


def _own_data(names: frozenset[str], parts: Iterable[Part]) -> str | None:
    """Which own files are among these parts, ``None`` if none is."""
    found = sorted(names.intersection(part.source for part in parts))
    return f"it rests on own data, unpinned: {_first(found)}" if found else None


def _first(names: Sequence[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def weaken_cells(cells: Iterable[CellRecord], faults: Mapping[CellKey, Fault]) -> list[CellRecord]:
    """Cells with their verdicts; a number that rests on nothing verified is INCONCLUSIVE.

    Such a number is held against nothing, and has no limit.
    """
    return [
        cell
        if cell.key not in faults or cell.verdict is Verdict.NOT_RUN
        else _weakened(cell, faults[cell.key])
        for cell in cells
    ]


def _weakened(cell: CellRecord, fault: Fault) -> CellRecord:
    # What cannot be compared stands without the value: beside it, a difference would be shown.
    expected = None if fault.verdict is Verdict.NOT_CHECKABLE else cell.expected
    update = {"verdict": fault.verdict, "reason": fault.reason, "limit": None, "expected": expected}
    return cell.model_copy(update=update)


def weaken_claims(
    claims: Iterable[ClaimRecord], faults: Mapping[CellKey, Fault]
) -> list[ClaimRecord]:
    """Claims with their verdicts; one on such numbers has the verdict of these."""
    named = {str(key): fault for key, fault in faults.items()}

    def weakened(claim: ClaimRecord) -> ClaimRecord:
        cell = next((cell for cell in claim.cells if cell in named), None)
        if cell is None or claim.verdict in _OPEN:
            return claim
        fault = named[cell]
        update = {"verdict": fault.verdict, "reason": f"{cell}: {fault.reason}"}
        return claim.model_copy(update=update)

    return [weakened(claim) for claim in claims]


class _Inputs:
    """The verified inputs of a result.

    Args:
        listed: ``source``, or ``source!member`` where a member stood in for its archive.
    """

    def __init__(self, benchmark: Benchmark, listed: Collection[str]) -> None:
        self._benchmark, self._listed = benchmark, listed
        self._covered: dict[Part, bool] = {}

    def fault(self, parts: Iterable[Part]) -> str | None:
        """Why the inputs do not cover these parts, ``None`` if they do."""
        missing = sorted({part.source for part in parts if not self._covers(part)})
        if not missing:
            return None
        return f"it rests on {_first(missing)}, not among the verified inputs of the result"

    def _covers(self, part: Part) -> bool:
        if part not in self._covered:
            self._covered[part] = part.source in self._listed or self._by_members(part)
        return self._covered[part]

    def _by_members(self, part: Part) -> bool:
        members = stand_ins(self._benchmark.sources[part.source], part)
        return bool(members) and all(
            f"{part.source}!{member.path}" in self._listed for member in members or ()
        )


class _Scores:
    """What the cells of a scored experiment rest on."""

    def __init__(
        self,
        results: Results,
        benchmark: Benchmark,
        parts_fault: PartsFault,
        pins: Mapping[str, str] | None,
    ) -> None:
        self._results, self._benchmark = results, benchmark
        self._parts_fault, self._pins = parts_fault, pins
        columns = table_columns(benchmark, results.defined)
        self._columns: Mapping[str, Column] = {column.name: column for column in columns}
        labels = f"{results.run_name}/labels/"
        self._files = {record.path.removeprefix(labels) for record in results.files}
        details = {row.row: row.details for row in results.rows}
        self._chosen: Mapping[str, str] = details.get(BEST, {})
        first = stages(results.defined)[0]
        self._rows = {row.name: row for row in first.rows(benchmark)}
        # Each is asked for by many cells: of every row, or of every language.
        self._trained = cache(self._training_fault)
        self._evaluated = cache(self._evaluation_fault)

    def fault(self, key: CellKey) -> str | None:
        """Why a cell has no foundation, ``None`` if it has one."""
        return self._partial(key) or self.parts_fault(key)

    def _partial(self, key: CellKey) -> str | None:
        """Of an average, which languages are not in it."""
        for task in self._columns[key.column].tasks if key.language is None else ():
            languages = task.languages_of(self._results.defined.scored_split(task))
            labelled = [code for code in languages if self._label_file(task, code) in self._files]
            if len(labelled) < len(languages):
                return (
                    f"partial: {task.title} in {len(labelled)} of {len(languages)} languages, "
                    "the data of the others were not there"
                )
        return None

    def parts_fault(self, key: CellKey) -> str | None:
        """What is wrong with the parts behind a cell, ``None`` if nothing is."""
        for task in self._columns[key.column].tasks:
            split = self._results.defined.scored_split(task)
            languages = task.languages_of(split) if key.language is None else (key.language,)
            faults = [self._trained(key.row, task.name)]
            faults += [self._evaluated(task.name, language) for language in languages]
            for fault in faults:
                if fault is not None:
                    return fault
        return None

    def _training_fault(self, row: str, target: str) -> str | None:
        name = self._chosen.get(target) if row == BEST else row
        if name is None:
            return f"the result does not say which row was chosen for {target}"
        task = self._benchmark.tasks[target]
        return self._parts_fault(training_parts(self._rows[name], task, self._benchmark))

    def _evaluation_fault(self, target: str, language: str) -> str | None:
        task, experiment = self._benchmark.tasks[target], self._results.defined
        fault = self._parts_fault(_evaluated(task, experiment, language))
        if fault is not None or self._pins is None:
            return fault
        name = self._label_file(task, language)
        if name in self._pins:
            return None
        return (
            f"the labels {name} are not recorded: nothing says that they are the benchmark's "
            f"({RECORD}, where their sources are)"
        )

    def _label_file(self, task: Task, language: str) -> str:
        split = self._results.defined.scored_split(task)
        return form_of(task).file(_HERE, task, language, split).as_posix()


def _evaluated(task: Task, experiment: Experiment, language: str) -> Iterator[Part]:
    """What a language is scored on; where rows are chosen, what they were chosen on, too."""
    for stage in stages(experiment):
        if language in task.languages_of(stage.scored_split(task)):
            yield from evaluation_parts(task, stage, language)


def _count_fault(benchmark: Benchmark, parts_fault: PartsFault, key: CellKey) -> str | None:
    return parts_fault(_counted(key, benchmark))


def _counted(key: CellKey, benchmark: Benchmark) -> Iterator[Part]:
    """What a count is counted in; the number of languages is that of the splits read."""
    task = benchmark.tasks[key.row]
    for split, language in counted_places(task, benchmark):
        asked = (
            split is not Split.TRAIN
            if key.column == LANGUAGES
            else (split, language) == (key.column, key.language)
        )
        if asked:
            yield from task.parts[split, language]
