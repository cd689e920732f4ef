"""The tables beside a study's results file, as figures need them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stilts_artifact.documents import CsvRow, parse_csv, read_document
from stilts_artifact.errors import DataError
from stilts_artifact.studies.calibration_tables import (
    CALIBRATION,
    CALIBRATION_HEADER,
    RELIABILITY,
    RELIABILITY_HEADER,
)
from stilts_artifact.studies.record import (
    COVARIATES,
    COVARIATES_HEADER,
    EFFECTS,
    EFFECTS_HEADER,
    SPECIFICATIONS,
    SPECIFICATIONS_HEADER,
)
from stilts_artifact.texts import visible


@dataclass(frozen=True, slots=True)
class LanguageEffect:
    """An effect in one language.

    Args:
        value: on the scale of the effect.
        error: its standard error, from items and seeds together.
    """

    language: str
    family: str
    genus: str
    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Specification:
    """A fit with other choices.

    Args:
        choices: what was chosen, by name: index, data, languages.
        coefficient: in units of the scale, per standard deviation of the index.
    """

    choices: Mapping[str, str]
    scale: str
    coefficient: float
    error: float


@dataclass(frozen=True, slots=True)
class ReliabilityPoint:
    """A point of a reliability diagram.

    Args:
        accuracy: at that confidence, both in points; ``None`` where nobody knows.
        density: of confidences, mean 1.
    """

    confidence: float
    accuracy: float | None
    density: float


@dataclass(frozen=True, slots=True)
class StudyTables:
    """What the tables hold; empty where a table is not there.

    Args:
        effects: (effect, scale) -> its languages.
        z: covariate -> language -> standard deviations from the mean.
        names: of languages, by code.
        specifications: hypothesis -> its fits.
        overconfidence: (row, language, version of its probabilities) -> of each seed, in points.
        reliability: (effect, rows with spaces between, version) -> its diagram.
    """

    effects: Mapping[tuple[str, str], tuple[LanguageEffect, ...]] = field(default_factory=dict)
    z: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    specifications: Mapping[str, tuple[Specification, ...]] = field(default_factory=dict)
    overconfidence: Mapping[tuple[str, str, str], tuple[float, ...]] = field(default_factory=dict)
    reliability: Mapping[tuple[str, str, str], tuple[ReliabilityPoint, ...]] = field(
        default_factory=dict
    )


def load_tables(folder: Path) -> StudyTables:
    """The tables in a study's results folder.

    Raises:
        DataError: one that is there has another header, or something else than a number.
    """
    effects: defaultdict[tuple[str, str], list[LanguageEffect]] = defaultdict(list)
    for row in _rows(folder / EFFECTS, EFFECTS_HEADER):
        language, family, genus = (
            visible(row.cells[name]) for name in ("language", "family", "genus")
        )
        effects[visible(row.cells["effect"]), visible(row.cells["scale"])].append(
            LanguageEffect(
                language, family, genus, _number(row, "value"), _number(row, "standard_error")
            )
        )
    z: defaultdict[str, dict[str, float]] = defaultdict(dict)
    names = {}
    for row in _rows(folder / COVARIATES, COVARIATES_HEADER):
        names[row.cells["language"]] = visible(row.cells["name"])
        if row.cells["z"]:
            z[row.cells["covariate"]][row.cells["language"]] = _number(row, "z")
    specifications: defaultdict[str, list[Specification]] = defaultdict(list)
    for row in _rows(folder / SPECIFICATIONS, SPECIFICATIONS_HEADER):
        choices = {name: visible(row.cells[name]) for name in ("index", "data", "languages")}
        coefficient, error = _number(row, "coefficient"), _number(row, "standard_error")
        specifications[row.cells["hypothesis"]].append(
            Specification(choices, visible(row.cells["scale"]), coefficient, error)
        )
    return StudyTables(
        effects={key: tuple(lines) for key, lines in effects.items()},
        z=dict(z),
        names=names,
        specifications={key: tuple(lines) for key, lines in specifications.items()},
        overconfidence=_overconfidence(folder),
        reliability=_reliability(folder),
    )


def _overconfidence(folder: Path) -> dict[tuple[str, str, str], tuple[float, ...]]:
    found: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
    for row in _rows(folder / CALIBRATION, CALIBRATION_HEADER):
        run, language, version = (row.cells[name] for name in ("row", "language", "probabilities"))
        found[run, language, version].append(_number(row, "overconfidence"))
    return {key: tuple(seeds) for key, seeds in found.items()}


def _reliability(folder: Path) -> dict[tuple[str, str, str], tuple[ReliabilityPoint, ...]]:
    found: defaultdict[tuple[str, str, str], list[ReliabilityPoint]] = defaultdict(list)
    for row in _rows(folder / RELIABILITY, RELIABILITY_HEADER):
        effect, rows, version = (row.cells[name] for name in ("effect", "rows", "probabilities"))
        accuracy = _number(row, "accuracy") if row.cells["accuracy"] else None
        point = ReliabilityPoint(_number(row, "confidence"), accuracy, _number(row, "density"))
        found[effect, rows, version].append(point)
    return {key: tuple(points) for key, points in found.items()}


def _rows(path: Path, header: tuple[str, ...]) -> list[CsvRow]:
    return parse_csv(read_document(path), str(path), header) if path.is_file() else []


def _number(row: CsvRow, name: str) -> float:
    try:
        value = float(row.cells[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"{name} of a study's table", where=row.where, got=row.cells[name], expected="a number"
        )
    return value
