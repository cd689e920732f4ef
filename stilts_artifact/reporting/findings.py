"""What a study found, in words: the same on console, page and in Markdown."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from enum import StrEnum

from stilts_artifact.domain.cells import Finding, Premise
from stilts_artifact.studies.protocol import Protocol
from stilts_artifact.studies.record import (
    FitRecord,
    HypothesisRecord,
    PowerRecord,
    StudyRecord,
    ValidationRecord,
)

NO_EVIDENCE = (
    "The languages are invented and the encoder is small; nothing is known of their relation to "
    "real languages and XLM-R. No number of this may be cited about the question, not even as a "
    "hint."
)
ALTERED = (
    "What was asked here is not what the study of this name asks, and no finding below is one of "
    "that study."
)

_EVALUATED = (Finding.SUPPORTED, Finding.NOT_SUPPORTED, Finding.INCONCLUSIVE)


def as_asked(record: StudyRecord, protocol: Protocol) -> StudyRecord:
    """The analysis, with what a protocol says as that has it, and nothing that it does not ask."""
    defined = {one.id: one for one in protocol.hypotheses}
    hypotheses = [
        one.model_copy(
            update={
                name: getattr(defined[one.id], name) for name in ("statement", "delta", "primary")
            }
        )
        for one in record.hypotheses
        if one.id in defined
    ]
    premise = record.premise.model_copy(update={"statement": protocol.premise.statement})
    return record.model_copy(update={"hypotheses": hypotheses, "premise": premise})


def is_evaluated(hypothesis: HypothesisRecord) -> bool:
    """Whether the scale says anything about a hypothesis, and everything was there for it."""
    return hypothesis.finding in _EVALUATED


def is_evidence(record: StudyRecord) -> bool:
    """Whether hypotheses were judged at all, and not only the pipeline."""
    return all(one.finding is not Finding.NOT_EVALUATED for one in record.hypotheses)


def unit_of(scale: str) -> str:
    """What effects on a scale are in, in words.

    Example:
        >>> unit_of("points"), unit_of("log-ratio"), unit_of("log-odds")
        ('points', '100 × log ratio', 'log-odds')
    """
    return {"log-ratio": "100 × log ratio"}.get(scale, scale)


def interval(estimate: float | None, low: float | None, high: float | None) -> str:
    """An estimate with its 95 % interval.

    Example:
        >>> interval(-0.12, -0.71, 0.48), interval(None, None, None)
        ('-0.12 [-0.71, +0.48]', '-')
    """
    if estimate is None:
        return "-"
    ends = "" if low is None or high is None else f" [{low:+.2f}, {high:+.2f}]"
    return f"{estimate:+.2f}{ends}"


def p_value(p: float | None) -> str:
    """A p-value of three digits.

    Example:
        >>> p_value(0.0123), p_value(0.0001), p_value(None)
        ('0.012', '< 0.001', '-')
    """
    if p is None:
        return "-"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def premise_finding(record: StudyRecord) -> Premise | Finding:
    """Whether the premise was met, where the scale says anything about it."""
    return record.premise.finding if is_evidence(record) else Finding.NOT_EVALUATED


def premise_sentence(record: StudyRecord) -> str:
    """What the question takes for granted, with its mean where that says anything, and why."""
    premise = record.premise
    if not is_evidence(record):
        return f"{_capital(premise.statement)}."
    mean = interval(premise.estimate, premise.low, premise.high)
    shown = "" if premise.estimate is None else f"mean {mean}; "
    return f"{_capital(premise.statement)}: {shown}{premise.reason}."


def hypothesis_label(record: StudyRecord, hypothesis: HypothesisRecord, scale: str) -> str:
    """How a hypothesis' line begins: ``000 H1 NOT SUPPORTED (paper)``."""
    rank = "" if hypothesis.primary else ", exploratory"
    return f"{record.study} {hypothesis.id} {hypothesis.finding} ({scale}{rank})"


def hypothesis_sentence(hypothesis: HypothesisRecord) -> str:
    """What was asked, estimated and decided, and how far it can be trusted."""
    if not is_evaluated(hypothesis):
        return f"{_capital(hypothesis.statement)}: {hypothesis.reason}."
    return " ".join([f"{_capital(hypothesis.statement)}:", *_parts(hypothesis)])


def _parts(hypothesis: HypothesisRecord) -> Iterator[str]:
    if hypothesis.fits:
        yield f"{fit_sentence(hypothesis.fits[0])};"
    yield f"{hypothesis.reason}."
    power = claimed_power(hypothesis)
    if power is not None:
        size = f"{abs(power.true):g}" if power.true else "no difference"
        yield f"Power for {size} with these variances: {power.supported:.2f}."
    robust = ", ".join(robustness(hypothesis))
    if robust:
        yield f"{_capital(robust)}."


def fit_sentence(fit: FitRecord) -> str:
    """An estimate, its unit, its interval, and how much is behind it."""
    low_high = f"[{fit.low:+.2f}, {fit.high:+.2f}]"
    counts = [_count(fit.languages, "language")]
    counts += [] if fit.genera is None else [_count(fit.genera, "genus", "genera")]
    counts += [_count(fit.seeds, "seed")]
    return f"{fit.estimate:+.2f} {unit_of(fit.scale)} {low_high} ({', '.join(counts)})"


def claimed_power(hypothesis: HypothesisRecord) -> PowerRecord | None:
    """The power for what is claimed: the smallest effect of interest, in the claimed direction.

    Of claims that two things are equal it is that of no effect. Of none and of both signs it is the
    one that is supported most often.
    """
    sizes = (0.0, hypothesis.delta)
    own = [
        one
        for one in hypothesis.power
        if any(math.isclose(abs(one.true), size, abs_tol=1e-9) for size in sizes)
    ]
    return max(own, key=lambda one: (one.supported, abs(one.true)), default=None)


def robustness(hypothesis: HypothesisRecord) -> list[str]:
    """What other choices would have given."""
    found = []
    if hypothesis.without:
        ends = min(hypothesis.without.values()), max(hypothesis.without.values())
        found.append("without one group of languages {:+.2f} to {:+.2f}".format(*ends))
    if hypothesis.same_sign is not None:
        share = f"{100 * hypothesis.same_sign:.0f} % of {hypothesis.specifications}"
        found.append(f"{share} specifications have its sign")
    return found


def validation_sentence(validation: ValidationRecord) -> str:
    """A planted effect, and what came of it."""
    outcome = "found" if validation.passed else "NOT found"
    return (
        f"{validation.name}: planted {validation.planted:+.2f}, recovered "
        f"{validation.recovered:+.2f} in the mean of {validation.repetitions} "
        f"(standard deviation {validation.spread:.2f}), {outcome} within {validation.allowed:.2f}."
    )


def left_out(record: StudyRecord) -> dict[str, list[str]]:
    """Why languages have no part in the fits -> which."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for language, reason in record.excluded.items():
        found[reason].append(language)
    return dict(found)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _count(number: int, one: str, several: str = "") -> str:
    return f"{number} {one if number == 1 else several or f'{one}s'}"


SIGNS: Mapping[StrEnum, tuple[str, str]] = {
    Finding.SUPPORTED: ("✓", "Supported"),
    Finding.NOT_SUPPORTED: ("✗", "Not supported"),
    Finding.INCONCLUSIVE: ("≈", "Inconclusive"),
    Finding.NOT_RUN: ("–", "Not run"),
    Finding.NOT_EVALUATED: ("○", "Not evaluated"),
    Finding.PIPELINE_VALID: ("✓", "Pipeline valid"),
    Finding.PIPELINE_INVALID: ("✗", "Pipeline invalid"),
    Premise.MET: ("✓", "Premise met"),
    Premise.NOT_MET: ("✗", "Premise not met"),
    Premise.UNCLEAR: ("≈", "Premise unclear"),
}
"""Sign and words of what a study says; never told by colour alone."""
