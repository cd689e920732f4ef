"""What is published of study 002 hangs together: reported scores are those of the ranks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.checking import file_records, make_run
from stilts_artifact.checking.recompute import recompute
from stilts_artifact.checking.results import Results
from stilts_artifact.config import load
from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.examples import AlignedSentence
from stilts_artifact.errors import DataError, IntegrityError
from stilts_artifact.forms import ALIGNMENT
from stilts_artifact.forms.alignment import VARIANTS
from stilts_artifact.forms.alignment_scores import (
    MEASURES,
    Measures,
    ScorePlace,
    accuracies,
    places,
    scores_file,
    write_scores,
)
from tests.unit.checking.small import small_benchmark

ROWS, SEEDS = ("none", "mnli"), (1, 2)
LANGUAGES, SENTENCES, LAYERS = ("qaa", "qac"), 24, 5
REPORTED = load_scale("mini").retrieval.layer
SCORES = "scores/mnli/seed-2/ntrex/test.csv"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Results]:
    """Runs of study 002 with the scores of every layer."""
    benchmark = small_benchmark()
    monkeypatch.setattr(load, "load_benchmark", lambda *_, **__: benchmark)
    task, folder = benchmark.tasks["ntrex"], tmp_path / "study-002.mini"
    data = [AlignedSentence("x", "y", f"d.{number // 4}") for number in range(SENTENCES)]
    chance = np.random.default_rng(1)
    for language in LANGUAGES:
        ALIGNMENT.write_gold(folder / "labels", task, language, "test", data)
    for run in (f"{row}/seed-{seed}" for row in ROWS for seed in SEEDS):
        scores: dict[ScorePlace, Measures] = {
            place: dict(zip(MEASURES, chance.normal(size=len(MEASURES)).tolist(), strict=True))
            for place in places(LANGUAGES, LAYERS)
        }
        for language in LANGUAGES:
            ranks = chance.integers(1, 4, size=(SENTENCES, len(VARIANTS), 2))
            ALIGNMENT.write_predictions(folder / "predictions" / run, task, language, "test", ranks)
            for column, variant in enumerate(VARIANTS):
                place = ScorePlace(REPORTED, language, variant)
                scores[place] = {**scores[place], **accuracies(ranks[:, column])}
        write_scores(scores_file(folder / "scores" / run, "ntrex", "test"), scores)
    return folder, make_run(tmp_path, benchmark, "study-002", ROWS, SEEDS, {})


def check(folder: Path, results: Results) -> None:
    """Recompute the results with every file as it is now."""
    listed = results.model_copy(update={"files": file_records(folder.parent, folder)})
    found = recompute(listed, folder, small_benchmark(), None)
    assert all(value.value is not None for value in found.values.values())


def test_scores_that_are_those_of_the_ranks_pass(made: tuple[Path, Results]) -> None:
    check(*made)


def test_scores_that_nobody_lists_are_surplus(made: tuple[Path, Results]) -> None:
    folder, results = made
    left = [record for record in results.files if "/scores/" not in record.path]
    results = results.model_copy(update={"files": left})
    with pytest.raises(IntegrityError, match="that the results do not list"):
        recompute(results, folder, small_benchmark(), None)


def test_a_run_without_scores_is_refused(made: tuple[Path, Results]) -> None:
    folder, results = made
    (folder / SCORES).unlink()
    with pytest.raises(IntegrityError, match="no scores") as caught:
        check(folder, results)
    assert caught.value.where == str(folder / SCORES)


def edited(folder: Path, place: ScorePlace, change: Callable[[list[str]], list[str]]) -> None:
    path = folder / SCORES
    start = f"{place.layer},{place.language},{place.variant},"
    lines = [
        ",".join(change(line.split(","))) if line.startswith(start) else line
        for line in path.read_text().splitlines()
    ]
    path.write_text("".join(f"{line}\n" for line in lines))


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("cell", [3, 4, 5, 6])
def test_a_score_that_the_ranks_do_not_give_is_named(
    made: tuple[Path, Results], variant: str, cell: int
) -> None:
    folder, results = made
    place = ScorePlace(REPORTED, "qac", variant)  # type: ignore[arg-type]
    edited(folder, place, lambda cells: [*cells[:cell], "12.345678", *cells[cell + 1 :]])
    with pytest.raises(IntegrityError, match="scores that the ranks do not give") as caught:
        check(folder, results)
    where = f"{folder / SCORES}: layer {REPORTED}, qac, {variant}, {MEASURES[cell - 3]}"
    assert (caught.value.where, caught.value.got) == (where, "12.345678")


def test_an_empty_cell_is_no_score(made: tuple[Path, Results]) -> None:
    folder, results = made
    edited(folder, ScorePlace(REPORTED, "qaa", "raw"), lambda cells: [*cells[:3], "", *cells[4:]])
    with pytest.raises(IntegrityError, match="scores that the ranks do not give"):
        check(folder, results)


def test_what_ranks_say_nothing_of_is_not_held_to_them(made: tuple[Path, Results]) -> None:
    """Of other layers, and of other measures, only the encoder would tell."""
    folder, results = made
    other = ScorePlace(REPORTED + 1, "qaa", "raw")
    edited(folder, other, lambda cells: [*cells[:3], "1.000000", *cells[4:]])
    check(folder, results)


def test_scores_of_other_languages_or_fewer_layers_are_refused(made: tuple[Path, Results]) -> None:
    folder, results = made
    path = folder / SCORES
    text = path.read_text()
    path.write_text(text.replace(",qac,", ",qab,"))
    with pytest.raises(IntegrityError, match="scores of other languages than ranks") as caught:
        check(folder, results)
    assert (caught.value.got, caught.value.expected) == ("qaa, qab", "qaa, qac")
    shallow = [
        line for line in text.splitlines() if not line[0].isdigit() or int(line[0]) < REPORTED
    ]
    path.write_text("".join(f"{line}\n" for line in shallow))
    with pytest.raises(IntegrityError, match="scores that the ranks do not give") as caught:
        check(folder, results)
    assert caught.value.got == "no such line"
    path.write_text(text.replace("layer,", "layers,", 1))
    with pytest.raises(DataError, match="not a file of alignment scores"):
        check(folder, results)


def test_no_other_experiment_has_scores(tmp_path: Path, made: tuple[Path, Results]) -> None:
    folder, _ = made
    benchmark = small_benchmark()
    other = make_run(tmp_path / "other", benchmark, "table2", ("none",), (1,), {"xnli": 30})
    run = tmp_path / "other" / "table2.mini"
    (folder / "scores").rename(run / "scores")
    listed = other.model_copy(update={"files": file_records(run.parent, run)})
    with pytest.raises(IntegrityError, match="scores without predictions"):
        recompute(listed, run, benchmark, None)
