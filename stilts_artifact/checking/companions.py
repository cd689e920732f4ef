"""What is published beside predictions, held to them.

Probabilities, scores of every layer, and learning curves.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Set
from pathlib import Path

from stilts_artifact.benchmark.experiments import MLM
from stilts_artifact.checking.learning_curves import CURVES, parse_curves
from stilts_artifact.checking.results import Results
from stilts_artifact.data.readers.text import shown
from stilts_artifact.domain.tasks import Benchmark, Task, TaskForm
from stilts_artifact.errors import IntegrityError, unknown_name
from stilts_artifact.forms.alignment import VARIANTS, parse_ranks
from stilts_artifact.forms.alignment_scores import (
    SCORES,
    Measures,
    ScorePlace,
    accuracies,
    parse_scores,
    written,
)
from stilts_artifact.forms.probabilities import (
    PROBABILITIES,
    SUFFIX,
    likeliest,
    parse_log_probabilities,
)

Read = Callable[[Path], bytes]
_SAME = 1.5e-6  # of numbers that both were rounded to six decimals


def verify_companions(results: Results, folder: Path, benchmark: Benchmark, read: Read) -> None:
    """Hold what lies beside predictions against them.

    Args:
        folder: of the predictions.
        read: gives the verified bytes of a listed file.

    Raises:
        IntegrityError: a file without its companion, or the other way; predictions that do not
            follow from their probabilities, or scores that do not follow from ranks; a training
            run that no predictions come from.
        DataError: a file that is not of its format.
        ConfigError: training on a task that is none of the benchmark.
    """
    tasks = {task.name: task for task in results.defined.targets(benchmark)}
    listed = {record.path.removeprefix(f"{results.run_name}/") for record in results.files}
    probabilities: dict[str, tuple[Task, str]] = {}
    scores: defaultdict[str, list[str]] = defaultdict(list)
    predicted: set[tuple[str, str, str]] = set()
    for path in sorted(listed):
        match path.split("/"):
            case ["predictions", row, seed, name, file] if name in tasks:
                run, stem = f"{row}/{seed}/{name}", Path(file).stem
                # And what a run is called whose encoder several targets start from.
                predicted |= {(row, seed, name), (row, seed, "")}
                if results.defined.gives_probabilities(tasks[name]):
                    twin = f"{PROBABILITIES}/{run}/{stem}{SUFFIX}"
                    probabilities[twin] = tasks[name], path
                elif tasks[name].form is TaskForm.ALIGNMENT:
                    scores[f"{SCORES}/{run}/{stem.partition('-')[0]}.csv"].append(path)
    _require_all(PROBABILITIES, probabilities, listed, folder)
    _require_all(SCORES, scores, listed, folder)
    for path, (task, labels) in probabilities.items():
        _require_likeliest(folder / path, folder / labels, task, read)
    layer = results.run_scale.retrieval.layer
    for path, ranks in scores.items():
        _require_scores(folder / path, [folder / one for one in ranks], layer, read)
    if CURVES in listed:
        trained = {*benchmark.tasks, MLM}
        _require_predictions(folder / CURVES, predicted, trained, read)


def _require_predictions(
    path: Path, predicted: Set[tuple[str, str, str]], trained: Set[str], read: Read
) -> None:
    """Every run with a learning curve has predictions; results need not have any curves."""
    for key in parse_curves(read(path), str(path)):
        if key.task not in trained:
            raise unknown_name("task", key.task, sorted(trained), str(path))
        if (key.row, f"seed-{key.seed}", key.target) not in predicted:
            raise IntegrityError(
                "a training run without predictions",
                where=str(path),
                got=",".join(map(str, key.run)),
                expected="only runs that the predictions beside it come from",
            )


def _require_all(kind: str, due: Mapping[str, object], listed: set[str], folder: Path) -> None:
    found = {path for path in listed if path.startswith(f"{kind}/")}
    for path in sorted(found ^ due.keys()):
        what = f"{kind} without predictions" if path in found else f"no {kind}"
        raise IntegrityError(what, where=str(folder / path), expected="one file for each file")


def _require_likeliest(path: Path, predicted: Path, task: Task, read: Read) -> None:
    made = parse_log_probabilities(read(path), str(path), task.labels)
    due = likeliest(made, task.labels)
    said = read(predicted).decode("utf-8", "replace").removesuffix("\n").split("\n")
    if said == due:
        return
    pairs = enumerate(zip(said, due, strict=False), 1)
    line = next((at for at, (one, other) in pairs if one != other), min(len(said), len(due)) + 1)
    raise IntegrityError(
        "predictions that are not the likeliest labels",
        where=f"{predicted}:{line}",
        got=shown(said[line - 1]) if line <= len(said) else f"{len(said)} lines",
        expected=f"{due[line - 1] if line <= len(due) else f'{len(due)} lines'}, as in {path}",
    )


def _require_scores(path: Path, ranks: list[Path], layer: int, read: Read) -> None:
    """Scores of the languages that have ranks; and at the layer of these, what they give."""
    scores = parse_scores(read(path), str(path))
    languages = {place.language for place in scores}
    files = {file.stem.partition("-")[2]: file for file in ranks}
    if languages != files.keys():
        raise IntegrityError(
            "scores of other languages than ranks",
            where=str(path),
            got=", ".join(sorted(languages)),
            expected=", ".join(sorted(files)),
        )
    for language, file in sorted(files.items()):
        found = parse_ranks(read(file), str(file))
        for column, variant in enumerate(VARIANTS):
            place = ScorePlace(layer, language, variant)
            _require_same(path, place, scores, accuracies(found[:, column]))


def _require_same(
    path: Path, place: ScorePlace, scores: Mapping[ScorePlace, Measures], due: Measures
) -> None:
    said = scores.get(place, {})
    for name, value in due.items():
        # NaN, which is what an empty cell is, is near to nothing.
        if not math.isclose(said.get(name, math.nan), value, rel_tol=0, abs_tol=_SAME):
            raise IntegrityError(
                "scores that the ranks do not give",
                where=f"{path}: layer {place.layer}, {place.language}, {place.variant}, {name}",
                got=written(said[name]) if name in said else "no such line",
                expected=written(value),
            )
