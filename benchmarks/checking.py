"""Checking a whole Table 2: every cell from its files in one pass, or one pair after the other.

python benchmarks/checking.py --rounds 3

The run is made up: the mini world's rows, tasks, languages and sizes, with labels and predictions
drawn at random.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import stilts_artifact
from stilts_artifact import __version__
from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import NONE, experiment_named, rows
from stilts_artifact.checking.results import (
    CellRecord,
    FileRecord,
    InputRecord,
    Results,
    dump_results,
    results_path,
    row_records,
)
from stilts_artifact.checking.sums import expected_root
from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.cells import CellKey, Verdict
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Benchmark, Split, Task, TaskForm
from stilts_artifact.forms import form_of
from stilts_artifact.metrics import METRIC_VERSION
from stilts_artifact.metrics.averages import task_score
from stilts_artifact.metrics.tables import CellValue, table_columns, table_values

SIZES = {
    "xnli": 201,
    "pawsx": 240,
    "udpos": 120,
    "panx": 200,
    "xquad": 225,
    "mlqa": 130,
    "tydiqa": 180,
    "bucc2018": 60,
    "tatoeba": 300,
}
WORDS = [
    f"{first}{second}"
    for first in "bdfgklmnprst"
    for second in ("ara", "elo", "iki", "onu", "umba", "ylt")
]


class Sentence(NamedTuple):
    """One of a document, with the ranks of its translation."""

    document: str
    number: int
    ranks: tuple[int, ...]


def gold_items(task: Task, size: int, chance: random.Random, language: str) -> list[Any]:
    """Labels of one language: label, tags, (context, answer), pair of ids, index, or sentence."""
    if task.form is TaskForm.PAIR:
        same = random.Random(size)  # noqa: S311  line n of every language translates the same example
        return [same.choice(task.labels) for _ in range(size)]
    if task.form is TaskForm.TAGGING:
        return [
            [chance.choice(task.labels) for _ in range(chance.randint(3, 12))] for _ in range(size)
        ]
    if task.form is TaskForm.MINING:
        numbers = chance.sample(range(10**6), size)
        return [
            (f"{language}-{number:06d}", f"{task.source_language}-{number:06d}")
            for number in numbers
        ]
    if task.form is TaskForm.SEARCH:
        return chance.sample(range(size), size)
    if task.form is TaskForm.ALIGNMENT:
        return [Sentence(f"news.{number // 4}", number, (1,) * 6) for number in range(size)]
    return [_passage(chance) for _ in range(size)]


def _passage(chance: random.Random) -> tuple[list[str], str]:
    words = [chance.choice(WORDS) for _ in range(25)]
    return words, _span(words, chance)


def _span(words: Sequence[str], chance: random.Random) -> str:
    start = chance.randrange(len(words) - 2)
    return " ".join(words[start : start + chance.randint(1, 3)])


def guess(task: Task, gold: Any, items: Sequence[Any], chance: random.Random) -> Any:
    """A prediction that is wrong, or right by luck."""
    if task.form is TaskForm.PAIR:
        return chance.choice(task.labels)
    if task.form is TaskForm.TAGGING:
        return [chance.choice(task.labels) if chance.random() < 0.5 else tag for tag in gold]
    if task.form is TaskForm.MINING:
        return (gold[0], chance.choice(items)[1])
    if task.form is TaskForm.SEARCH:
        return chance.randrange(len(items))
    if task.form is TaskForm.ALIGNMENT:
        return gold._replace(ranks=tuple(chance.randint(1, len(items)) for _ in gold.ranks))
    return gold[0], _span(gold[0], chance)


def written(task: Task, items: Sequence[Any], *, labels: bool) -> str:
    """The text of a label or prediction file."""
    if task.form is TaskForm.TAGGING:
        return "\n".join("".join(f"{tag}\n" for tag in tags) for tags in items)
    if task.form is TaskForm.MINING:
        return "".join("\t".join(pair) + "\n" for pair in sorted(set(items)))
    if task.form is TaskForm.ALIGNMENT:
        cells = [item[:2] if labels else item.ranks for item in items]
        return "".join("\t".join(map(str, line)) + "\n" for line in cells)
    if task.form is not TaskForm.SPAN:
        return "".join(f"{item}\n" for item in items)
    if not labels:
        return json.dumps({f"q{number}": item[1] for number, item in enumerate(items)}, indent=1)
    paragraphs = [
        {
            "context": " ".join(words),
            "qas": [{"id": f"q{number}", "question": "?", "answers": [{"text": answer}]}],
        }
        for number, (words, answer) in enumerate(items)
    ]
    return json.dumps({"data": [{"paragraphs": paragraphs}]}, indent=1)


def quality(row: str, task: str, language: str, seed: int) -> float:
    """Share of predictions that are right: far apart between any two files."""
    digest = hashlib.sha256(f"{row} {task} {language}".encode()).digest()
    return 0.2 + 0.7 * digest[0] / 255 + 0.02 * seed


def make_files(
    folder: Path,
    benchmark: Benchmark,
    experiment: str,
    row_names: Sequence[str],
    seeds: Sequence[int],
    sizes: Mapping[str, int],
) -> None:
    """Label and prediction files of a whole run, under ``folder``."""
    for task in (task for task in benchmark.tasks.values() if task.name in sizes):
        split = experiment_named(experiment).scored_split(task)
        for language in task.languages_of(split):
            chance = random.Random(f"{task.name} {split} {language}")  # noqa: S311  made-up data
            items = gold_items(task, sizes[task.name], chance, language)
            _write(folder / "labels", task, language, split, written(task, items, labels=True))
            for row in row_names:
                for seed in seeds:
                    right = quality(row, task.name, language, seed)
                    guesses = [
                        item if chance.random() < right else guess(task, item, items, chance)
                        for item in items
                    ]
                    text = written(task, guesses, labels=False)
                    _write(
                        folder / "predictions" / row / f"seed-{seed}", task, language, split, text
                    )


def _write(folder: Path, task: Task, language: str, split: Split, text: str) -> None:
    path = form_of(task).file(folder, task, language, split)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def make_run(
    results: Path,
    benchmark: Benchmark,
    experiment: str = "table2",
    row_names: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    sizes: Mapping[str, int] = SIZES,
) -> Results:
    """A results folder with its files and a results file that fits them, not yet judged."""
    folder = results / f"{experiment}.mini"
    names = [row.name for row in rows(benchmark)] if row_names is None else list(row_names)
    make_files(folder, benchmark, experiment, names, seeds, sizes)
    defined = experiment_named(experiment)
    values = table_values(folder, benchmark, defined, names, seeds)
    choices = dict.fromkeys((task.name for task in defined.targets(benchmark)), "mnli")
    made = Results(
        experiment=experiment,
        scale="mini",
        scale_reason="made up",
        stamp=load_scale("mini").stamp,
        verdict=Verdict.INCONCLUSIVE,
        rows=row_records(defined, benchmark, names, choices),
        cells=[cell_of(benchmark, experiment, key, value, seeds) for key, value in values.items()],
        claims=[],
        seeds=list(seeds),
        inputs=input_records(benchmark),
        files=file_records(results, folder),
        environment={"python": "any"},
    )
    results_path(results, experiment, "mini").write_bytes(dump_results(made))
    return made


def input_records(benchmark: Benchmark) -> list[InputRecord]:
    """Every source of a benchmark as a verified input."""
    return [
        InputRecord(
            source=source.name,
            bytes=source.bytes or 0,
            sha256=source.sha256 or "",
            satisfied_by="store",
        )
        for source in benchmark.sources.values()
    ]


def cell_of(
    benchmark: Benchmark, name: str, key: CellKey, value: CellValue, seeds: Sequence[int]
) -> CellRecord:
    """A computed cell as a results file has it."""
    experiment = experiment_named(name)
    columns = table_columns(benchmark, experiment)
    column = next(column for column in columns if column.name == key.column)
    signature = Signature(
        task=column.name if column.is_average else column.tasks[0].name,
        split=experiment.scored_split(column.tasks[0]),
        languages=column.languages(experiment) if key.language is None else (key.language,),
        encoder="made-up",
        metric=column.metric_name,
        metric_version=METRIC_VERSION,
        seeds=tuple(seeds),
        dtype="float32",
        scale="mini",
        version=__version__,
    )
    return CellRecord(
        row=key.row,
        column=key.column,
        language=key.language,
        value=value.value,
        expected=None,
        limit=None,
        verdict=Verdict.NOT_CHECKABLE,
        reason="made up",
        signature=signature.short(),
        seeds=value.seeds if len(seeds) > 1 else None,
    )


def file_records(results: Path, folder: Path) -> list[FileRecord]:
    """Every file of a run with its size and hash."""
    return [
        FileRecord(
            path=path.relative_to(results).as_posix(),
            bytes=path.stat().st_size,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def one_by_one(folder: Path, benchmark: Benchmark, names: Sequence[str]) -> dict[CellKey, float]:
    """The plain way: each pair of files read and counted for itself."""
    found: dict[CellKey, float] = {}
    table2 = experiment_named("table2")
    for row in names:
        for column in table_columns(benchmark, table2):
            if column.is_average or column.metric != "score":
                continue
            task = column.tasks[0]
            form, split = form_of(task), table2.scored_split(task)
            for language in task.languages_of(split):
                predicted = form.file(
                    folder / "predictions" / row / "seed-0", task, language, split
                )
                gold = form.file(folder / "labels", task, language, split)
                sums = form.count(task, language, predicted, gold).counts.sum(axis=0)
                points = task_score(form.points(sums))
                found[CellKey(row, task.name, language)] = float(points)
    return found


def recorded_checkout(folder: Path, results: Path) -> Path:
    """A copy of this package whose baseline is the made-up run: it has other labels and values."""
    package = Path(stilts_artifact.__file__).parent
    shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(expected_root(), folder / "expected_results")
    run_command(folder, "record", "--table", "2", "--scale", "mini", "--results", str(results))
    return folder


def run_command(checkout: Path, *arguments: str) -> None:
    """The command as a user runs it in a checkout, interpreter start included."""
    finished = subprocess.run(
        [sys.executable, "-m", "stilts_artifact", *arguments],
        cwd=checkout,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        sys.exit(finished.stderr or f"exit {finished.returncode}")


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Run all three in turn and print medians and the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    benchmark = load_benchmark("mini")
    names = [row.name for row in rows(benchmark)]
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as other:
        results = Path(scratch)
        made = make_run(results, benchmark)
        folder, experiment = results / "table2.mini", experiment_named("table2")
        checkout = recorded_checkout(Path(other), results)
        fast, slow = (
            table_values(folder, benchmark, experiment, names, [0]),
            one_by_one(folder, benchmark, names),
        )
        apart = max(abs((fast[key].value or 0) - value) for key, value in slow.items())
        works: dict[str, Callable[[], object]] = {
            "one pass": lambda: table_values(folder, benchmark, experiment, names, [0]),
            "one by one": lambda: one_by_one(folder, benchmark, names),
            "check --all": lambda: run_command(
                checkout, "check", "--all", "--results", str(results)
            ),
        }
        times = {
            name: [seconds(work) for _ in range(options.rounds)] for name, work in works.items()
        }
    medians = {name: statistics.median(found) for name, found in times.items()}
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, numpy {np.__version__}")
    size = f"{len(made.files):,} files, {len(made.cells):,} cells"
    print(f"{NONE} and {len(names) - 1} more rows, {size}")
    for name, found in medians.items():
        print(f"{name:<11} {found:.2f} s (median of {options.rounds})")
    ratio = medians["one by one"] / medians["one pass"]
    print(f"ratio       {ratio:.1f}; scores differ by at most {apart:.1e} points")


if __name__ == "__main__":
    main()
