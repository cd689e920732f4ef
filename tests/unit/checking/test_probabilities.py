"""What is published of study 004 must hang together: labels follow from their probabilities."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.checking import file_records, make_run
from stilts_artifact.checking.recompute import recompute
from stilts_artifact.checking.results import Results
from stilts_artifact.config import load
from stilts_artifact.errors import DataError, IntegrityError
from stilts_artifact.forms.probabilities import log_probabilities_file, write_log_probabilities
from tests.unit.checking.small import small_benchmark

ROWS, SEEDS = ("none", "squad_v1-smaller"), (1, 2)
Change = Callable[[Path], None]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Results]:
    """Runs of study 004 with the probabilities that their predictions follow from."""
    benchmark = small_benchmark()
    monkeypatch.setattr(load, "load_benchmark", lambda *_, **__: benchmark)
    results = make_run(tmp_path, benchmark, "study-004", ROWS, SEEDS, {"xnli": 30})
    folder = tmp_path / "study-004.mini"
    add_probabilities(folder)
    return folder, results


def add_probabilities(folder: Path) -> None:
    labels = small_benchmark().tasks["xnli"].labels
    chance = np.random.default_rng(1)
    for run in sorted((folder / "predictions").glob("*/*")):
        dev = run / "xnli" / "dev-qen.tsv"
        dev.write_bytes((run / "xnli" / "test-qen.tsv").read_bytes())
        for path in sorted((run / "xnli").iterdir()):
            said = [labels.index(label) for label in path.read_text().split()]
            scores = chance.normal(size=(len(said), len(labels)))
            scores[np.arange(len(said)), said] = scores.max(axis=1) + 0.5
            split, _, language = path.stem.partition("-")
            name = run.relative_to(folder / "predictions")
            target = folder / "probabilities" / name
            write_log_probabilities(
                log_probabilities_file(target, "xnli", language, split), labels, scores
            )


def listed(folder: Path, results: Results) -> Results:
    """The results with every file as it is now."""
    return results.model_copy(update={"files": file_records(folder.parent, folder)})


def test_labels_that_are_the_likeliest_pass(made: tuple[Path, Results]) -> None:
    folder, results = made
    found = recompute(listed(folder, results), folder, small_benchmark(), None)
    assert all(value.value is not None for value in found.values.values())


def test_probabilities_that_nobody_lists_are_surplus(made: tuple[Path, Results]) -> None:
    folder, results = made
    with pytest.raises(IntegrityError, match="that the results do not list"):
        recompute(results, folder, small_benchmark(), None)


RUN = "squad_v1-smaller/seed-2/xnli"


@pytest.mark.parametrize(
    ("path", "what"),
    [
        (f"predictions/{RUN}/test-qaa.tsv", "probabilities without predictions"),
        (f"predictions/{RUN}/dev-qen.tsv", "probabilities without predictions"),
        (f"probabilities/{RUN}/test-qaa.csv", "no probabilities"),
        (f"probabilities/{RUN}/dev-qen.csv", "no probabilities"),
    ],
)
def test_a_file_without_its_twin_is_refused(
    made: tuple[Path, Results], path: str, what: str
) -> None:
    folder, results = made
    (folder / path).unlink()
    with pytest.raises(IntegrityError, match=what) as caught:
        recompute(listed(folder, results), folder, small_benchmark(), None)
    assert caught.value.where == str(
        folder / path.replace("predictions", "probabilities").replace(".tsv", ".csv")
    )


def test_no_other_experiment_has_probabilities(tmp_path: Path, made: tuple[Path, Results]) -> None:
    folder, _ = made
    benchmark = small_benchmark()
    other = make_run(tmp_path / "other", benchmark, "table2", ("none",), (1,), {"xnli": 30})
    run = tmp_path / "other" / "table2.mini"
    (folder / "probabilities").rename(run / "probabilities")
    with pytest.raises(IntegrityError, match="probabilities without predictions"):
        recompute(listed(run, other), run, benchmark, None)


@pytest.mark.parametrize("name", ["test-qac", "dev-qen"])
def test_a_label_that_is_not_the_likeliest_is_named(made: tuple[Path, Results], name: str) -> None:
    folder, results = made
    path = folder / "predictions" / RUN / f"{name}.tsv"
    lines = path.read_text().splitlines()
    lines[6] = "neutral" if lines[6] != "neutral" else "entailment"
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(IntegrityError, match="not the likeliest labels") as caught:
        recompute(listed(folder, results), folder, small_benchmark(), None)
    assert (caught.value.where, caught.value.got) == (f"{path}:7", repr(lines[6]))


@pytest.mark.parametrize("kept", [29, 31])
def test_other_examples_than_predicted_are_noticed(made: tuple[Path, Results], kept: int) -> None:
    """Of development data nothing is scored, so no count of labels would tell."""
    folder, results = made
    path = folder / "probabilities" / RUN / "dev-qen.csv"
    lines = path.read_text().splitlines()
    path.write_text("".join(f"{line}\n" for line in [*lines, lines[-1]][: kept + 1]))
    with pytest.raises(IntegrityError, match="not the likeliest labels") as caught:
        recompute(listed(folder, results), folder, small_benchmark(), None)
    predicted = folder / "predictions" / RUN / "dev-qen.tsv"
    assert caught.value.where == f"{predicted}:{max(kept, 30)}"


def test_a_file_of_no_probabilities_is_refused(made: tuple[Path, Results]) -> None:
    folder, results = made
    path = folder / "probabilities" / RUN / "test-qaa.csv"
    path.write_text(path.read_text().replace("-", "", 1))
    with pytest.raises(DataError, match="probabilities") as caught:
        recompute(listed(folder, results), folder, small_benchmark(), None)
    assert caught.value.where == f"{path}:2"


def test_only_labels_of_english_development_data_stand_beside_those_of_test_data(
    made: tuple[Path, Results],
) -> None:
    folder, results = made
    labels = folder / "labels" / "xnli"
    (labels / "dev-qen.tsv").write_bytes((labels / "test-qen.tsv").read_bytes())
    recompute(listed(folder, results), folder, small_benchmark(), None)
    (labels / "dev-qaa.tsv").write_bytes((labels / "test-qaa.tsv").read_bytes())
    with pytest.raises(IntegrityError, match="labels that are not the benchmark's"):
        recompute(listed(folder, results), folder, small_benchmark(), None)
