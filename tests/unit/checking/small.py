"""A small passing set: three languages, two rows, every form of task, files and expected values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.checking import make_run
from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.checking.baseline import baseline_yaml, load_measured, recorded_labels
from stilts_artifact.checking.results import Results, dump_results, load_results
from stilts_artifact.checking.sums import refresh_sums
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.domain.tasks import Benchmark, Task
from stilts_artifact.files import write_file

LANGUAGES = ("qaa", "qac", "qen")
ROWS: Mapping[str, Sequence[str]] = {"table2": ("none", "mnli"), "table3": ("none", "best")}
_COMMON = {
    "udpos": 30,
    "panx": 31,
    "xquad": 52,
    "mlqa": 53,
    "tydiqa": 54,
    "bucc2018": 55,
    "tatoeba": 81,
}
SIZES = {
    "table2": {"xnli": 90, "pawsx": 92, **_COMMON},
    "table3": {"xnli": 91, "pawsx": 94, **_COMMON},
}
"""Examples of each language."""


def small_benchmark() -> Benchmark:
    """The mini world in three languages."""
    mini = load_benchmark("mini")
    return replace(mini, tasks={name: _small(task) for name, task in mini.tasks.items()})


def _small(task: Task) -> Task:
    return replace(
        task,
        languages=tuple(code for code in task.languages if code in LANGUAGES),
        parts={place: parts for place, parts in task.parts.items() if place[1] in LANGUAGES},
    )


@dataclass(frozen=True, slots=True)
class SmallSet:
    """Results of one experiment, and the folder of expected values that they pass against."""

    folder: Path
    expected: Path
    experiment: str

    @property
    def results_file(self) -> Path:
        return self.folder / f"{self.experiment}.mini.json"

    @property
    def labels(self) -> Path:
        return self.expected / "labels" / "mini.tsv"

    @property
    def run(self) -> Path:
        return self.folder / f"{self.experiment}.mini"


def make_set(base: Path, experiment: str, seeds: Sequence[int] = (0,)) -> SmallSet:
    """Needs :func:`small_world` in place of the mini world (the fixture ``small``)."""
    made = SmallSet(base / "results", base / "expected", experiment)
    make_run(made.folder, small_benchmark(), experiment, ROWS[experiment], seeds, SIZES[experiment])
    measured = load_measured(made.results_file)
    (made.expected / "mini").mkdir(parents=True)
    (made.expected / "mini" / f"{experiment}.yaml").write_bytes(baseline_yaml(measured, "mini"))
    write_file(made.labels, recorded_labels(measured, {}))
    refresh_sums(made.expected)
    mark_reproduced(made.results_file)
    return made


def mark_reproduced(path: Path) -> Results:
    """Give every cell of a file the verdict that it claims to deserve."""
    results = load_results(path)
    cells = [
        cell.model_copy(update={"verdict": Verdict.REPRODUCED, "reason": "equal"})
        for cell in results.cells
    ]
    results = results.model_copy(update={"cells": cells, "verdict": Verdict.REPRODUCED})
    path.write_bytes(dump_results(results))
    return results
