"""The family of languages as an experiment: its encoders, each pre-trained here, and their runs.

An encoder is one of three sizes and one of two seeds. It is pre-trained without parallel windows
(:func:`stilts_artifact.pretraining.recipe.family_recipe`), resumably, into the store; from there on
it is an encoder like any other, and what is trained from it are steps like any others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import EXPERIMENTS, FAMILY, STUDY_SEEDS
from stilts_artifact.config.load import as_own, benchmark_of, load_scale
from stilts_artifact.config.schema import EncoderChoice, Scale
from stilts_artifact.errors import ConfigError, unknown_name
from stilts_artifact.experiments.session import Display, Machine, Session
from stilts_artifact.experiments.setup import open_library, url_openers
from stilts_artifact.model.hub import PhaseOne, find_encoder
from stilts_artifact.pretraining.recipe import FAMILY_SIZES, Recipe, family_recipe

if TYPE_CHECKING:
    from stilts_artifact.training.loop import Progress

SEEDS = (1, 2)
"""Of pre-training: two encoders of each size."""


@dataclass(frozen=True, slots=True)
class FamilyEncoder:
    """An encoder that the family is pre-trained on.

    Args:
        size: of :data:`FAMILY_SIZES`.
        seed: of its pre-training.
    """

    size: str
    seed: int

    @property
    def name(self) -> str:
        """What it is called, and its folder."""
        return f"{self.size}-{self.seed}"

    @property
    def recipe(self) -> Recipe:
        """How it is pre-trained."""
        return family_recipe(self.size, self.seed)

    def folder(self, store: Path) -> Path:
        """Where it lies once it is pre-trained."""
        return store / "family" / self.name


def family_encoders(named: str | None = None) -> tuple[FamilyEncoder, ...]:
    """The encoders of the family: all, those of one size, or a single one.

    Raises:
        ConfigError: no encoder or size has this name.

    Example:
        >>> [one.name for one in family_encoders("4x96")]
        ['4x96-1', '4x96-2']
    """
    every = [FamilyEncoder(size, seed) for size, seed in product(FAMILY_SIZES, SEEDS)]
    found = tuple(one for one in every if named in (None, one.size, one.name))
    if not found:
        known = [*FAMILY_SIZES, *(one.name for one in every)]
        raise unknown_name("encoder of the family", str(named), known)
    return found


def is_pretrained(encoder: FamilyEncoder, machine: Machine) -> bool:
    """Whether nothing is left to be done of its pre-training."""
    return encoder.folder(machine.store).is_dir()


def pretrained(encoder: FamilyEncoder, machine: Machine, progress: Progress) -> Path:
    """The folder of an encoder, pre-trained where it is not here yet; killed, it resumes.

    Raises:
        ConfigError: its folder holds something else, such as an encoder of another version.
        IntegrityError, ResourceError: as :func:`stilts_artifact.pretraining.pretrain.pretrain`.
    """
    from stilts_artifact.pretraining.corpus import held_out_sentences
    from stilts_artifact.pretraining.pretrain import pretrain

    folder = encoder.folder(machine.store)
    forbidden: frozenset[str] = frozenset()
    if not is_pretrained(encoder, machine):
        benchmark = load_benchmark("family")
        forbidden = held_out_sentences(benchmark, open_library(benchmark, machine), url_openers())
    work = machine.store / "pretraining"
    return pretrain(encoder.recipe, folder, work, forbidden, progress=progress)


def family_scale(
    encoder: FamilyEncoder, phase_one: PhaseOne, seeds: int, languages: Sequence[str] = ()
) -> Scale:
    """How large the runs from an encoder are: those of scale mini, at the encoder's middle layer.

    Args:
        seeds: training runs of each row; the first of those that a study plans.
        languages: the only ones that are evaluated; none for all.

    Raises:
        ConfigError: more seeds than are planned.
    """
    if seeds > len(STUDY_SEEDS):
        raise ConfigError(
            "more seeds than the study has planned",
            got=str(seeds),
            expected=f"1 to {len(STUDY_SEEDS)}",
        )
    mini = load_scale("mini")
    # About the middle is where XLM-R's retrieval layer is, too: 14 of 24.
    layer = encoder.recipe.layers // 2
    own = {
        "name": f"{FAMILY}-{encoder.name}",
        "extends": mini.name,
        "benchmark": "family",
        "encoder": EncoderChoice(name=phase_one.name, revision=phase_one.revision),
        "smaller": None,
        "seeds": STUDY_SEEDS[:seeds],
        "retrieval": mini.retrieval.model_copy(update={"layer": layer}),
        "languages": tuple(languages) or None,
    }
    return as_own(mini.model_copy(update=own), encoder.name)


@dataclass(frozen=True, slots=True)
class FamilyChoices:
    """What is asked of each encoder: see :class:`stilts_artifact.experiments.setup.Choices`."""

    seeds: int = len(STUDY_SEEDS)
    languages: tuple[str, ...] = ()
    only: tuple[str, ...] = ()


def family_session(
    encoder: FamilyEncoder,
    choices: FamilyChoices,
    machine: Machine,
    results: Path,
    display: Display | None = None,
) -> Session:
    """The runs from a pre-trained encoder on this machine; nothing is run yet.

    Raises:
        ConfigError: a language that the family does not have, or more seeds than are planned.
        MissingDataError: the encoder is not pre-trained.
        IntegrityError: its folder holds something else.
    """
    phase_one = find_encoder(str(encoder.folder(machine.store)))
    scale = family_scale(encoder, phase_one, choices.seeds, choices.languages)
    benchmark = benchmark_of(scale)
    return Session(
        experiment=EXPERIMENTS[FAMILY],
        scale=scale,
        reason=f"asked for with study {FAMILY}",
        benchmark=benchmark,
        encoder=phase_one,
        library=open_library(benchmark, machine),
        machine=machine,
        results=results,
        only=choices.only,
        openers=url_openers(),
        display=display or Display(),
    )
