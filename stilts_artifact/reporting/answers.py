"""What a report says first, in words: does the machinery work here, and was the paper tested?

A verdict beside the paper's title reads as one on the paper. These answers say what was held
against what, from the cells themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from stilts_artifact.benchmark.experiments import CALIBRATION
from stilts_artifact.checking.results import CellRecord, Results
from stilts_artifact.domain.cells import Finding, Verdict
from stilts_artifact.reporting.comparison import asked_cells, n_cells


class Answer(NamedTuple):
    """One of the two questions, its answer in a word or two, and what that rests on."""

    question: str
    short: str
    text: str


def answers(runs: Sequence[Results]) -> tuple[Answer, Answer]:
    """Both answers, for the runs of one report.

    Args:
        runs: at least one.
    """
    return _machinery(runs), _paper(runs)


def _machinery(runs: Sequence[Results]) -> Answer:
    question = "Does the machinery work here?"
    invented = [one for one in runs if not one.is_real]
    real = [one for one in runs if one.is_real]
    found = [_against_recorded(invented)] if invented else []
    found += [_against_published(real)] if real else []
    shorts = [short for short, _ in found]
    short = "No." if "No." in shorts else shorts[0]
    return Answer(question, short, " ".join(text for _, text in found))


def _against_recorded(runs: Sequence[Results]) -> tuple[str, str]:
    """Runs of the mini world, against values recorded from an earlier run."""
    tables = [one for one in runs if isinstance(one.verdict, Verdict)]
    studies = [one for one in runs if one not in tables]
    asked = [cell for one in tables for cell in asked_cells(one)]
    counts = Counter(cell.verdict for cell in asked)
    wrong, same = counts[Verdict.NOT_REPRODUCED], counts[Verdict.REPRODUCED]
    unsure, absent = counts[Verdict.INCONCLUSIVE], counts[Verdict.NOT_RUN]
    unasked = sum(len(one.cells) for one in tables) - len(asked)
    said = []
    if tables:
        said.append(f"{same:,} of {n_cells(same + wrong + unsure)} agree with an earlier run.")
    if absent:
        said.append(f"{n_cells(absent)} could not be run.")
    if unasked:
        said.append(f"{n_cells(unasked)} {'was' if unasked == 1 else 'were'} not asked for.")
    said += [f"{one.title}: {_plain(one.verdict)}." for one in studies]
    valid = sum(one.verdict is Finding.PIPELINE_VALID for one in studies)
    if wrong or any(one.verdict is Finding.PIPELINE_INVALID for one in studies):
        short = "No."
    elif (tables and not same) or not same + valid:
        short = "Not shown."
    else:
        open_ = absent or unasked or unsure or valid < len(studies)
        short = "Yes, as far as it was run." if open_ else "Yes."
    return short, " ".join(said)


def _against_published(runs: Sequence[Results]) -> tuple[str, str]:
    """Runs on real languages: of these the calibration tells whether the machinery works."""
    consistent = "Scores are those of the prediction files."
    found = [one for one in runs if _is_calibration(one)]
    if not found:
        advice = f"the calibration would show it: stilts-artifact {CALIBRATION}"
        return "Not shown.", f"{consistent} No published score was met first; {advice}."
    said = " ".join(f"{one.title} ({one.scale}): {_plain(one.verdict)}." for one in found)
    verdicts = {one.verdict for one in found}
    if Verdict.NOT_REPRODUCED in verdicts:
        short = "No."
    else:
        short = "Yes." if verdicts == {Verdict.REPRODUCED} else "Not shown."
    return short, f"{consistent} {said}"


def _paper(runs: Sequence[Results]) -> Answer:
    question = "Was the paper tested?"
    evidence = [one for one in runs if one.run_scale.evidence]
    if not evidence:
        return Answer(question, "No.", _no_evidence(runs))
    # Of the calibration the published values are the encoder's, by whoever measured them.
    tables = [one for one in evidence if one.study is None and not _is_calibration(one)]
    compared = Counter(
        cell.verdict for one in tables for cell in asked_cells(one) if _was_compared(cell)
    )
    claims = Counter(claim.verdict for one in tables for claim in one.claims)
    said = []
    if compared:
        said.append(
            f"{n_cells(compared.total())} compared with published values: {_counts(compared)}."
        )
    decided = any(claims[verdict] for verdict in _DECIDED)
    if decided:
        said.append(f"Claims: {_counts(claims)}.")
    if not compared and not decided:
        short = "Not yet."
        said.append("Nothing that was measured has a published value of the paper beside it.")
    elif all(one.scale == "paper" for one in tables):
        short = "Yes."
    else:
        short = "In part."
        said.append("; ".join(dict.fromkeys(one.run_scale.stamp for one in tables)) + ".")
    if len(evidence) < len(runs):
        said.append("Some of these runs are no evidence about it, and say so.")
    return Answer(question, short, " ".join(said))


def _no_evidence(runs: Sequence[Results]) -> str:
    what = (
        "Not all of it is the paper's encoder, scale and data"
        if any(one.is_real for one in runs)
        else "A small model on a generated world of invented languages"
    )
    return f"{what}: it neither supports nor refutes the paper."


_DECIDED = (Verdict.REPRODUCED, Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE)


def _was_compared(cell: CellRecord) -> bool:
    return cell.expected is not None and cell.verdict in _DECIDED


def _counts(counts: Counter[Verdict]) -> str:
    return ", ".join(
        f"{counts[verdict]:,} {_plain(verdict)}" for verdict in Verdict if counts[verdict]
    )


def _plain(verdict: Verdict | Finding) -> str:
    """A verdict within a sentence.

    Example:
        >>> _plain(Verdict.NOT_RUN), _plain(Finding.PIPELINE_VALID)
        ('not run', 'pipeline valid')
    """
    return verdict.replace("_", " ").lower()


def _is_calibration(results: Results) -> bool:
    return results.defined.command == CALIBRATION
