"""The runs of a results folder, judged again, as reports show them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stilts_artifact.checking.recheck import Recheck, recheck
from stilts_artifact.checking.results import Disagreement, Results, results_files
from stilts_artifact.domain.cells import Finding, Verdict
from stilts_artifact.forms import form_of

_NAMED = 3  # cells that a note spells out

Examples = Mapping[tuple[str, str], int]
"""(task, language) -> test examples, as far as they are known."""


@dataclass(frozen=True, slots=True)
class Run:
    """One results file, judged.

    Args:
        file: its name.
        sha256: of its bytes.
        examples: sizes of the test sets behind it, for the error bars.
        notes: what could not be verified, and where the file disagrees.
        folder: of the predictions and labels that it rests on.
    """

    results: Results
    file: str
    sha256: str
    examples: Examples = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    folder: Path = Path()


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
    """A run as reports show it."""
    return Run(
        results=judged.results,
        file=judged.path.name,
        sha256=judged.sha256,
        examples=count_examples(judged.results, judged.folder),
        notes=(*judged.notes, *_disagreements(judged)),
        folder=judged.folder,
    )


def _disagreements(judged: Recheck) -> Iterator[str]:
    """One note for all cells that the file and the judgement tell apart alike."""
    alike: defaultdict[tuple[Verdict | Finding, Verdict | Finding], list[Disagreement]] = (
        defaultdict(list)
    )
    for case in judged.disagreements:
        alike[case.stored, case.judged].append(case)
    for (stored, now), cases in alike.items():
        if stored is now:
            yield from (case.in_words() for case in cases)
            continue
        named = ", ".join(str(case.key) for case in cases[:_NAMED])
        more = f" and {len(cases) - _NAMED} more cells" if len(cases) > _NAMED else ""
        yield f"the file says {stored} for {named}{more}; judged {now}: {cases[0].reason}"


def count_examples(results: Results, folder: Path) -> Examples:
    """Size of every test set behind some scores whose label file lies in their folder."""
    if results.defined.is_counted:
        return {}
    labels = folder / "labels"
    sizes: dict[tuple[str, str], int] = {}
    benchmark = results.benchmark
    for task in results.defined.targets(benchmark):
        split = results.defined.scored_split(task)
        for language in task.languages_of(split):
            path = form_of(task).file(labels, task, language, split)
            if path.is_file():
                gold = form_of(task).read_gold(task, language, path)
                sizes[task.name, language] = gold.examples
    return sizes
