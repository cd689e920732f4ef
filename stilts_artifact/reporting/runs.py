"""The runs of a results folder, judged again, as reports show them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stilts_artifact.checking.intervals import Intervals, bootstrap_cells
from stilts_artifact.checking.learning_curves import CURVES, Curves, parse_curves
from stilts_artifact.checking.recheck import Recheck, recheck
from stilts_artifact.checking.results import Disagreement, Results, results_files
from stilts_artifact.checking.usage import Usage, load_usage
from stilts_artifact.documents import read_document
from stilts_artifact.domain.cells import Finding, Verdict

_NAMED = 3  # cells that a note spells out


@dataclass(frozen=True, slots=True)
class Run:
    """One results file, judged.

    Args:
        file: its name.
        sha256: of its bytes.
        intervals: of its cells and gains, for the figures.
        notes: what could not be verified, and where the file disagrees.
        folder: of the predictions and labels that it rests on.
        usage: what the run took, if that was noted.
        curves: of its training runs, as far as that is known.
    """

    results: Results
    file: str
    sha256: str
    intervals: Intervals = field(default_factory=Intervals)
    notes: tuple[str, ...] = ()
    folder: Path = Path()
    usage: Usage | None = None
    curves: Curves = field(default_factory=dict)


def load_runs(folder: Path, scale: str | None = None) -> list[Run]:
    """Every results file of a folder, in the order of experiments and scales.

    Args:
        scale: only this one.

    Raises:
        MissingDataError: there is none.
        ArtifactError: as :func:`stilts_artifact.checking.recheck.recheck`.
    """
    return [run_of(recheck(path)) for path in results_files(folder, scale=scale)]


def run_of(judged: Recheck) -> Run:
    """A run as reports show it.

    Raises:
        IntegrityError, DataError: as :func:`stilts_artifact.checking.intervals.bootstrap_cells`.
    """
    return Run(
        results=judged.results,
        file=judged.path.name,
        sha256=judged.sha256,
        intervals=bootstrap_cells(judged.results, judged.folder),
        notes=(*judged.notes, *_disagreements(judged)),
        folder=judged.folder,
        usage=load_usage(judged.path, judged.sha256),
        curves=_curves(judged),
    )


def _curves(judged: Recheck) -> Curves:
    """The learning curves in the folder, whose file was verified with the others."""
    path, name = judged.folder / CURVES, f"{judged.results.run_name}/{CURVES}"
    if name not in {record.path for record in judged.results.files}:
        return {}
    return parse_curves(read_document(path), str(path))


def _disagreements(judged: Recheck) -> Iterator[str]:
    """One note for all cells that the file and the judgement tell apart alike."""
    alike: defaultdict[tuple[Verdict | Finding, Verdict | Finding], list[Disagreement]] = (
        defaultdict(list)
    )
    for case in judged.disagreements:
        alike[case.stored, case.judged].append(case)
    titles = judged.results.titles
    for (stored, now), cases in alike.items():
        if stored is now:
            yield from (case.in_words(titles) for case in cases)
            continue
        named = "; ".join(case.name(titles) for case in cases[:_NAMED])
        more = f" and {len(cases) - _NAMED} more cells" if len(cases) > _NAMED else ""
        yield f"the file says {stored} for {named}{more}; judged {now}: {cases[0].reason}"
