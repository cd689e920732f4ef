"""Studies: their protocols and covariates as they were fixed, and their analysis, done again.

Protocols lie among the expected values, under the same sums. A protocol that was edited is followed
all the same, and everything it gives is called altered: whoever asks another question may, but not
under this one's name.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stilts_artifact.checking.foundation import unfounded
from stilts_artifact.checking.labels import load_labels
from stilts_artifact.checking.recompute import VerifiedFiles
from stilts_artifact.checking.results import Disagreement, Results
from stilts_artifact.checking.sums import expected_root, read_protected, read_sums
from stilts_artifact.config.load import load_scale
from stilts_artifact.documents import read_document
from stilts_artifact.domain.cells import Finding, Verdict
from stilts_artifact.domain.tasks import Benchmark
from stilts_artifact.files import hash_bytes
from stilts_artifact.studies.analysis import Analysis, Question, analyse
from stilts_artifact.studies.covariates import (
    Covariates,
    mini_covariates,
    parse_covariates,
    parse_sources,
)
from stilts_artifact.studies.effects import Measures, Runs
from stilts_artifact.studies.planting import validated
from stilts_artifact.studies.protocol import Protocol, parse_protocol
from stilts_artifact.studies.record import HypothesisRecord

if TYPE_CHECKING:
    from stilts_artifact.studies.family import Answer

FOLDER = "studies"
_COVARIATES, _SOURCES = "covariates.csv", "covariate_sources.csv"
_REASONS = 3  # why cells were not run: the others are in the table
_SAME = 1e-6
"""Relative: the same files give the same numbers, but their last digits may change with numpy."""


@dataclass(frozen=True, slots=True)
class LoadedProtocol:
    """A protocol and the bytes that it is.

    Args:
        altered: they are not those that were summed.
    """

    protocol: Protocol
    path: Path
    sha256: str
    altered: bool


def load_protocol(study: str) -> LoadedProtocol:
    """The protocol of a study.

    Raises:
        DataError, ConfigError: it cannot be read, or is none.
    """
    root = expected_root()
    path = root / FOLDER / f"{study}.yaml"
    data = read_document(path)
    sha256 = hash_bytes(data).sha256
    recorded = read_sums(root).get(f"{FOLDER}/{study}.yaml")
    return LoadedProtocol(parse_protocol(data, str(path)), path, sha256, sha256 != recorded)


def analyse_results(
    results: Results, folder: Path, read: Callable[[Path], bytes] = read_document
) -> Analysis:
    """The analysis of a study's published runs, from their files alone.

    Where they are no evidence, effects are planted in them, and looked for.

    Args:
        folder: of labels and predictions.
        read: how a file's bytes are had, where a caller verifies them.

    Raises:
        DataError, ConfigError: protocol, covariates or files that cannot be read.
        IntegrityError: the covariates are not those that were summed.
    """
    loaded = load_protocol(str(results.defined.study))
    runs = _runs(results, folder, read)
    question = Question(
        loaded.protocol,
        loaded.sha256,
        loaded.altered,
        covariates_of(results.benchmark),
        results.is_real,
    )
    analysis = analyse(question, runs)
    if not question.evidence:
        analysis = validated(analysis, question, runs)
    record = analysis.record
    update = {
        "notes": [*record.notes, *_said_of(results)],
        "hypotheses": [_of_encoders(one, loaded.protocol, results) for one in record.hypotheses],
    }
    return replace(analysis, record=record.model_copy(update=update))


def family_answers(
    results: Results, folder: Path, read: Callable[[Path], bytes] = read_document
) -> tuple[Finding, list[Answer]]:
    """What the published runs of an encoder of the family say, from their files alone.

    Returns:
        Whether it is what is known, and every answer, those that need no encoder first.

    Args:
        folder, read: as for :func:`analyse_results`.

    Raises:
        DataError: files that cannot be scored.
    """
    # It brings the mini world, which no other check needs.
    from stilts_artifact.studies.family import examine, judge, recovered

    own = examine(results.run_scale.encoder.name, Measures(_runs(results, folder, read)))
    return judge([*recovered(), *own])


def _runs(results: Results, folder: Path, read: Callable[[Path], bytes]) -> Runs:
    return Runs(
        folder,
        results.benchmark,
        results.defined,
        tuple(row.row for row in results.rows),
        tuple(results.seeds),
        read,
    )


def _said_of(results: Results) -> Iterator[str]:
    """What a study's cells rest on, where it is not the paper's encoder and verified data."""
    scale = results.run_scale
    if results.is_real and scale.encoder != load_scale("paper").encoder:
        revision = (scale.encoder.revision or "")[:12]
        yield f"evidence about the encoder {scale.encoder.name} {revision} only"
    yield from two_encoders(results)
    reasons = Counter(cell.reason for cell in results.cells if cell.verdict is Verdict.NOT_RUN)
    for reason, cells in reasons.most_common(_REASONS):
        yield f"{cells} of {len(results.cells)} cells were not run: {reason}"
    faults = unfounded(results, results.benchmark, load_labels(scale))
    if faults:
        key, first = next(iter(faults.items()))
        yield f"{len(faults)} of {len(results.cells)} cells, such as {key}: {first.reason}"


def _of_encoders(
    hypothesis: HypothesisRecord, protocol: Protocol, results: Results
) -> HypothesisRecord:
    """With what was held against what in its reason, where rows of two encoders were."""
    (defined,) = (one for one in protocol.hypotheses if one.id == hypothesis.id)
    scale = results.run_scale
    encoders = {row.name: row.encoder for row in results.defined.rows(results.benchmark)}
    sizes = {encoders[row] for row in protocol.effects[defined.effect].rows if row in encoders}
    if len(sizes) < 2 or not results.is_real or not hypothesis.fits or scale.smaller is None:
        return hypothesis
    against = f"{scale.encoder.label} against {scale.smaller.label}"
    return hypothesis.model_copy(update={"reason": f"{hypothesis.reason}; {against}"})


def two_encoders(results: Results) -> Iterator[str]:
    """What rows of two encoders differ in, for it is not size alone."""
    scale, smaller = results.run_scale, results.run_scale.smaller
    sizes = {row.name: row.encoder for row in results.defined.rows(results.benchmark)}
    run = {sizes[row.row] for row in results.rows}
    if not results.is_real or smaller is None or len(run) < 2:
        return
    differ = (
        "the smaller one is the larger one's first layers, and was not pre-trained as it is"
        if smaller.name == scale.encoder.name
        else "they differ in depth, width and pre-training, and not in size alone"
    )
    yield f"{scale.encoder.label} against {smaller.label}: {differ}"


def covariates_of(benchmark: Benchmark) -> Covariates:
    """Of real languages the facts that ship; of invented ones what they were made with."""
    if benchmark.name == "mini":
        return mini_covariates()
    root = expected_root() / FOLDER
    sources, facts = root / _SOURCES, root / _COVARIATES
    return parse_covariates(
        read_protected(facts), str(facts), parse_sources(read_protected(sources), str(sources))
    )


def study_disagreements(
    stored: Results, judged: Analysis, files: VerifiedFiles
) -> list[Disagreement]:
    """What a results file, or a table beside it, says otherwise than the predictions give.

    Args:
        files: of the run, from which its tables are read.

    Raises:
        IntegrityError: a table that the results do not list.
    """
    record, said = judged.record, stored.study
    if said is None:
        reason = "the file has no analysis of its study"
        return [Disagreement("analysis", Finding.NOT_RUN, record.finding, reason)]
    found = []
    if said.finding is not record.finding:
        reason = "the hypotheses give another finding"
        found.append(Disagreement("analysis", said.finding, record.finding, reason))
    before = {one.id: one for one in said.hypotheses}
    for one in record.hypotheses:
        then = before.get(one.id)
        if then is None:
            reason = "the file leaves this hypothesis out"
            found.append(Disagreement(one.id, Finding.NOT_RUN, one.finding, reason))
        elif then.finding is not one.finding:
            found.append(Disagreement(one.id, then.finding, one.finding, one.reason))
    if said.protocol != record.protocol:
        reason = (
            f"altered protocol: the file followed one of sha256 {said.protocol[:12]}, and here it "
            f"is {record.protocol[:12]}"
        )
        found.append(Disagreement("analysis", said.finding, record.finding, reason))
    elif what := _difference(said.model_dump(mode="json"), record.model_dump(mode="json")):
        found.append(Disagreement("analysis", said.finding, record.finding, what))
    for name, table in judged.tables.items():
        if what := _difference(_rows(files.read_listed(name)), _rows(table)):
            reason = f"not what the predictions give: {what}"
            found.append(Disagreement(name, said.finding, record.finding, reason))
    return found


def _rows(table: bytes) -> dict[str, list[Any]]:
    """A table's lines, numbers as numbers."""
    lines = csv.reader(table.decode("utf-8", "replace").splitlines())
    return {
        f"line {number}": [_number(word) for cell in line for word in cell.split(" ")]
        for number, line in enumerate(lines, 1)
    }


def _number(word: str) -> float | str:
    try:
        return float(word)
    except ValueError:
        return word


def _difference(said: Any, now: Any, place: str = "") -> str:
    """Where a published document first says something else than it should, in words.

    Returns:
        Nothing if the two say the same; numbers to about six digits.
    """
    parts: Iterable[tuple[str, Any, Any]]
    match said, now:
        case dict(), dict() if said.keys() == now.keys():
            parts = ((f"{place}.{name}".lstrip("."), said[name], now[name]) for name in said)
        case list(), list() if len(said) == len(now):
            pairs = enumerate(zip(said, now, strict=True))
            parts = ((f"{place}[{number}]", one, other) for number, (one, other) in pairs)
        case (dict(), dict()) | (list(), list()):
            return f"{place or 'all of it'}: {len(said)} parts, not these {len(now)}"
        case float(), float() if math.isclose(said, now, rel_tol=_SAME, abs_tol=_SAME):
            return ""
        case _:
            return (
                "" if said == now else f"{place}: the file says {_short(said)}, not {_short(now)}"
            )
    found = (_difference(one, other, where) for where, one, other in parts)
    return next(filter(None, found), "")


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
