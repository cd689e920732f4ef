"""A published folder of study 004 with known overconfidence: labels drawn from probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.special import log_softmax

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import EXPERIMENTS
from stilts_artifact.domain.tasks import Benchmark, Split
from stilts_artifact.forms import PAIR
from stilts_artifact.forms.probabilities import (
    PROBABILITIES,
    likeliest,
    log_probabilities_file,
    parse_log_probabilities,
    write_log_probabilities,
)
from stilts_artifact.studies.calibration import Floats, Integers, scaled
from stilts_artifact.studies.effects import Runs

MINI = load_benchmark("mini")
STUDY = EXPERIMENTS["study-004"]
XNLI = MINI.tasks["xnli"]
SOURCE = XNLI.source_language


def drawn(examples: int, seed: int) -> tuple[Floats, Integers]:
    """Log-probabilities of three classes, and labels drawn from them: calibrated."""
    generator = np.random.default_rng(seed)
    told = log_softmax(2 * generator.standard_normal((examples, 3)), axis=1)
    gold = (np.exp(told).cumsum(axis=1) < generator.random((examples, 1))).sum(axis=1)
    return told, gold.clip(max=2)


def publish(folder: Path, row: str, seed: int, place: tuple[Split, str], told: Floats) -> None:
    """Write probabilities and the predictions that follow from them."""
    split, language = place
    run = f"{row}/seed-{seed}"
    path = log_probabilities_file(folder / PROBABILITIES / run, XNLI.name, language, split)
    write_log_probabilities(path, XNLI.labels, told)
    labels = likeliest(parse_log_probabilities(path.read_bytes(), "", XNLI.labels), XNLI.labels)
    PAIR.write_predictions(folder / "predictions" / run, XNLI, language, split, labels)


def runs_of(
    folder: Path,
    temperatures: Mapping[str, Mapping[int, float]],
    languages: tuple[str, ...] = (SOURCE, "qaa", "qab"),
    examples: int = 400,
    benchmark: Benchmark = MINI,
) -> Runs:
    """A folder in which each row's log-odds are calibrated ones divided by a temperature.

    Args:
        temperatures: row -> seed -> its temperature; every row has the same seeds.
        languages: of the benchmark, whose XNLI has the mini one's labels.
    """
    places = [(Split.TEST, language) for language in languages]
    places += [(Split.DEV, benchmark.source_language)]
    seeds = tuple(next(iter(temperatures.values())))
    for number, place in enumerate(places):
        told, gold = drawn(examples, number)
        path = PAIR.file(folder / "labels", XNLI, place[1], place[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{XNLI.labels[label]}\n" for label in gold), "utf-8")
        for row, own in temperatures.items():
            for seed in seeds:
                publish(folder, row, seed, place, scaled(told, own[seed]))
    return Runs(folder, benchmark, STUDY, tuple(temperatures), seeds)
