"""``stilts-artifact study family``: the methods of the studies, where the truth is known."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stilts_artifact.cli import options
from stilts_artifact.errors import ArtifactError, ExitCode

if TYPE_CHECKING:
    from stilts_artifact.experiments.family import FamilyChoices, FamilyEncoder
    from stilts_artifact.experiments.session import Machine
    from stilts_artifact.studies.family import Answer


class FamilyRequest(NamedTuple):
    """What the options ask for.

    Args:
        encoder: only these encoders: a size, or a size and a seed.
        seeds: training runs of each row; by default as many as a study plans.
        languages, only: see :class:`stilts_artifact.experiments.setup.Choices`.
    """

    encoder: str | None
    seeds: int | None
    languages: tuple[str, ...]
    only: tuple[str, ...]


def run_family(asked: FamilyRequest, machine: Machine, results: Path, *, dry_run: bool) -> ExitCode:
    """Pre-train the encoders of the family, run what is asked of each, and judge all together."""
    from stilts_artifact.experiments.family import FamilyChoices, family_encoders

    encoders = family_encoders(asked.encoder)
    choices = FamilyChoices(languages=asked.languages, only=asked.only)
    if asked.seeds is not None:
        choices = replace(choices, seeds=asked.seeds)
    options.require_writable(results)
    if dry_run:
        for encoder in encoders:
            _list_steps(encoder, choices, machine, results)
        return ExitCode.REPRODUCED
    answers: dict[Answer, None] = {}
    errors: list[ArtifactError] = []
    for encoder in encoders:
        said, broken = _run(encoder, choices, machine, results)
        # What needs no encoder is said with each, and is the same.
        answers |= dict.fromkeys(said)
        errors += broken
    return _report(list(answers), [one.name for one in encoders], errors)


def explain_family() -> None:
    """Say what is asked of the family and what must be found, and run nothing."""
    from stilts_artifact.pretraining.recipe import FAMILY_SIZES
    from stilts_artifact.studies.family import Known

    options.say("study family: do the methods find what generated languages are made of?")
    sizes = ", ".join(FAMILY_SIZES)
    options.say(f"encoders: {sizes}, two of each, pre-trained here without parallel windows")
    for known, what in {
        Known.RECOVERED: "rank correlation of the index of complexity with bound morphemes",
        Known.POSITIVE: "slope of tagging and NER on the amount of text, for each encoder",
        Known.ZERO: "features shuffled within a part of speech, less parts of speech alone",
    }.items():
        options.say(f"must be {known}: {what}")
    options.say("estimated beside them: what intermediate training adds, and where")


def _run(
    encoder: FamilyEncoder, choices: FamilyChoices, machine: Machine, results: Path
) -> tuple[list[Answer], list[ArtifactError]]:
    """Pre-train an encoder, run what is asked of it, and publish that."""
    from stilts_artifact.checking.results import results_path
    from stilts_artifact.checking.studies import family_answers
    from stilts_artifact.cli.progress import training_progress
    from stilts_artifact.experiments.family import family_session, pretrained
    from stilts_artifact.experiments.outcome import reproduce

    with training_progress(f"pre-training {encoder.name}") as progress:
        pretrained(encoder, machine, progress)
    session = family_session(encoder, choices, machine, results, options.display())
    options.note(f"scale: {session.scale.stamp}; encoder: {session.describe_encoder()}")
    outcome = reproduce(session)
    path = results_path(results, outcome.results.experiment, outcome.results.scale)
    options.note(f"results: {path}")
    return family_answers(outcome.results, session.folder)[1], outcome.errors


def _report(
    answers: Sequence[Answer], encoders: Sequence[str], errors: Sequence[ArtifactError]
) -> ExitCode:
    """Show what the encoders said, and whether it is what is known."""
    from stilts_artifact.checking.judge import exit_code
    from stilts_artifact.reporting.family import family_table
    from stilts_artifact.studies.family import judge

    finding, judged = judge(answers)
    for line in family_table(judged):
        options.say(line)
    for error in errors:
        sys.stdout.write(f"error: {error}\n")
    # What broke tells a script more than a verdict on what is missing because of it.
    code = errors[0].exit_code if errors else exit_code([finding])
    options.say(
        f"verdict: the family of languages {finding} with {', '.join(encoders)}: of invented "
        f"languages, and of these encoders only; exit {code:d}"
    )
    return code


def _list_steps(
    encoder: FamilyEncoder, choices: FamilyChoices, machine: Machine, results: Path
) -> None:
    from stilts_artifact.experiments.family import family_session, is_pretrained
    from stilts_artifact.experiments.planning import preview

    if not is_pretrained(encoder, machine):
        steps = encoder.recipe.steps
        options.say(f"run   pre-training {encoder.name}, {steps:,} steps, and all that follows")
        return
    options.say(f"done  pre-training {encoder.name}")
    for reason in preview(family_session(encoder, choices, machine, results)).reasons:
        options.say(f"{'run ' if reason.run else 'done'}  {reason.step.label}: {reason.why}")
