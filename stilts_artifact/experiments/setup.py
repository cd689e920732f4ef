"""From what a person asks for to a session: which scale, which files, which machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.benchmark.assemble import single_files
from stilts_artifact.benchmark.experiments import Experiment, study_tasks
from stilts_artifact.benchmark.own_data import IGNORED
from stilts_artifact.config.load import benchmark_of, load_scale, varied
from stilts_artifact.data.fetch import sources_of, take_stock
from stilts_artifact.data.library import Library
from stilts_artifact.data.progress import Silent
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Benchmark, Source
from stilts_artifact.domain.units import readable_size
from stilts_artifact.errors import ConfigError, not_installed
from stilts_artifact.experiments.session import Display, Machine, Session
from stilts_artifact.model.manifest import depth_of

if TYPE_CHECKING:
    from stilts_artifact.config.schema import Scale
    from stilts_artifact.model.hub import PhaseOne

MEMORY = 24 * 10**9
"""Bytes of GPU memory that fine-tuning XLM-R large takes: 16 for each of 0.56 billion weights, and
activations. (A card that is sold with 24 GB tells CUDA of some 25.4, less than 24 GiB.)"""


RUN_PACKAGES = ("torch", "transformers", "datasets", "faiss", "distributed", "seqeval")
"""What trains and searches: packages of the extras ``cpu`` and ``gpu``, as they are imported."""


def missing_packages() -> list[str]:
    """Those of :data:`RUN_PACKAGES` that are not installed; loads none of them."""
    return [name for name in RUN_PACKAGES if find_spec(name) is None]


def require_packages(experiment: Experiment) -> None:
    """See that what an experiment runs on is installed, before anything is downloaded for it.

    Raises:
        ResourceError: naming every package that is missing.
    """
    missing = [] if experiment.is_counted else missing_packages()
    if missing:
        raise not_installed(experiment.title, missing)


@dataclass(frozen=True, slots=True)
class Choices:
    """Which run is meant: a scale, and what is taken in place of its own.

    Args:
        scale: its name, a file with one, or ``auto``.
        only: cells, see :func:`stilts_artifact.benchmark.asked.wanted_cells`; none for all.
        encoder: as :func:`stilts_artifact.model.hub.find_encoder` reads it.
        prefix: before every sentence that the encoder embeds.
        languages: the only ones that are evaluated; none for all.
        own_data: folder of files that stand in for the benchmark's, by their names; see
            :mod:`stilts_artifact.benchmark.own_data`.
        seeds: how many of a study's planned seeds; ``None`` for as many as the scale says.
    """

    scale: str = "auto"
    only: tuple[str, ...] = ()
    encoder: str | None = None
    prefix: str = ""
    languages: tuple[str, ...] = ()
    own_data: Path | None = None
    seeds: int | None = None


def open_session(
    experiment: Experiment,
    choices: Choices,
    machine: Machine,
    results: Path,
    *,
    display: Display | None = None,
) -> Session:
    """An experiment at a scale on this machine; nothing is downloaded or run yet.

    Raises:
        ConfigError: no such scale, encoder or language; an encoder that is not as deep as the
            scale asks for; or own data that nothing of the benchmark's could be replaced by.
        MissingDataError: a folder without an encoder.
    """
    display = display or Display()
    if choices.own_data is not None:
        machine = replace(machine, data=(*machine.data, choices.own_data))
    scale, reason = choose_scale(choices.scale, experiment, machine, display)
    chosen, encoder = _chosen(scale, choices)
    experiment = _seeded(chosen.meant(experiment), choices.seeds or chosen.study_seeds)
    chosen = chosen.within(experiment)
    benchmark = benchmark_of(chosen)
    library = open_library(benchmark, machine)
    # What is held against nothing may be of less than the benchmark's own splits. The sources are
    # the same, and so is the library.
    if not chosen.expected and _only_single_files(benchmark, library):
        chosen = chosen.model_copy(update={"single_files": True})
        benchmark = benchmark_of(chosen)
        reason = f"{reason}; of archives that are not here, the single files in --data"
    return Session(
        experiment=experiment,
        scale=chosen,
        reason=reason,
        benchmark=benchmark,
        encoder=encoder,
        library=library,
        machine=machine,
        results=results,
        only=choices.only,
        openers=url_openers(),
        display=display,
        smaller=needed_smaller(chosen, experiment),
    )


def needed_smaller(scale: Scale, experiment: Experiment) -> PhaseOne | None:
    """A scale's smaller encoder, if an experiment has rows that start from it."""
    from stilts_artifact.model.hub import PhaseOne

    rows = experiment.rows(benchmark_of(scale))
    if scale.smaller is None or all(row.encoder == "own" for row in rows):
        return None
    return PhaseOne.of(scale.smaller)


def _seeded(experiment: Experiment, number: int) -> Experiment:
    """A study with the first of its planned seeds."""
    if experiment.study is None or experiment.seeds is None:
        return experiment
    if number > len(experiment.seeds):
        raise ConfigError(
            "more seeds than the study has planned",
            where="--seeds",
            got=str(number),
            expected=f"1 to {len(experiment.seeds)}",
        )
    return replace(experiment, seeds=experiment.seeds[:number])


def _only_single_files(benchmark: Benchmark, library: Library) -> bool:
    """Whether splits in many files of an archive can be had of some single files alone."""
    tasks = benchmark.tasks.values()
    every = dict.fromkeys(part for task in tasks for own in task.parts.values() for part in own)
    return any(
        library.absent([benchmark.sources[part.source]])
        and any(not library.missing([file]) for file in single_files(part, benchmark))
        for part in every
    )


def _chosen(scale: Scale, choices: Choices) -> tuple[Scale, PhaseOne]:
    """A scale with what was chosen in place of its own, and its encoder."""
    from stilts_artifact.config.schema import EncoderChoice
    from stilts_artifact.model.hub import PhaseOne, find_encoder

    encoder = PhaseOne.of(scale.encoder)
    prefix = choices.prefix or scale.encoder.prefix
    if choices.encoder is not None:
        encoder, prefix = find_encoder(choices.encoder), choices.prefix
    own: dict[str, object] = {}
    if choices.own_data is not None:
        own["own_data"] = tuple(sorted({*scale.own_data, *own_files(choices.own_data)}))
    if choices.languages:
        own["languages"] = choices.languages
    if (encoder.name, encoder.revision, prefix) != _named(scale):
        own["encoder"] = EncoderChoice(name=encoder.name, revision=encoder.revision, prefix=prefix)
        # What is smaller than the scale's encoder need not be smaller than this one.
        own["smaller"] = None
    if encoder.folder is not None:
        _require_layer(scale, encoder.folder)
    return (varied(scale, **own) if own else scale), encoder


def own_files(folder: Path) -> list[str]:
    """Names of the files of somebody's own data, which lie beside each other in a folder.

    Hidden files, and one that tells people what the others are, do not count.

    Raises:
        ConfigError: no such folder, nothing in it, or a folder within it.
    """
    fix = "name a folder with files such as mnli.train-en.tsv: see docs/your-own-data.md"
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        what = "own data: the folder cannot be read"
        raise ConfigError(what, where=str(folder), got=error.strerror, fix=fix) from error
    files = [path for path in found if path.name != IGNORED]
    if not files:
        raise ConfigError("own data: the folder has no files", where=str(folder), fix=fix)
    for path in files:
        if not path.is_file():
            raise ConfigError("own data: not a file", where=str(path), fix=fix)
    return [path.name for path in files]


def _named(scale: Scale) -> tuple[str, str, str]:
    """What is an encoder's to the scale that has it."""
    from stilts_artifact.model.hub import PhaseOne

    own = PhaseOne.of(scale.encoder)
    return own.name, own.revision, scale.encoder.prefix


def _require_layer(scale: Scale, folder: Path) -> None:
    """Refuse an encoder without the layer that retrieval takes, before anything is trained."""
    depth = depth_of(folder)
    if scale.retrieval.layer > depth:
        raise ConfigError(
            "the encoder has no such layer",
            where=str(folder),
            got=f"retrieval.layer {scale.retrieval.layer} of scale {scale.name}",
            expected=f"0 (embeddings) to {depth}",
            fix="choose it in a scale of your own: "
            f"{{name: ..., extends: {scale.name}, retrieval: {{layer: ...}}}}",
        )


def scale_files(
    scale: Scale, machine: Machine, experiment: Experiment | None = None
) -> tuple[list[Source], Library]:
    """All that a scale needs, its encoder too, and what of it is on this machine.

    Args:
        experiment: whose rows may need the scale's smaller encoder, too, and whose data count
            beside those of the paper's tasks.
    """
    from stilts_artifact.model.hub import PhaseOne, encoder_folders, encoder_sources

    benchmark = benchmark_of(scale)
    smaller = None if experiment is None else needed_smaller(scale, experiment)
    own = () if experiment is None else study_tasks(experiment, benchmark)
    needed = [*sources_of(benchmark, ()), *(sources_of(benchmark, own) if own else ())]
    sources = {one.name: one for one in needed}
    folders = list(machine.data)
    for encoder in (PhaseOne.of(scale.encoder), *([smaller] if smaller else ())):
        sources |= {one.name: one for one in encoder_sources(encoder, machine.store).values()}
        folders += encoder_folders(encoder, machine.store)
    return list(sources.values()), Library(sources, FileStore(machine.store), folders)


def open_library(benchmark: Benchmark, machine: Machine) -> Library:
    """The files of a benchmark that are on this machine, and the store where new ones go."""
    return Library(benchmark.sources, FileStore(machine.store), machine.data)


def url_openers() -> Mapping[str, Callable[[str], bytes]]:
    """How files that no network serves are made: the mini world, by the scheme of its URLs."""
    from stilts_artifact import miniworld

    return {"miniworld": miniworld.serve}


def choose_scale(
    name: str, experiment: Experiment, machine: Machine, display: Display
) -> tuple[Scale, str]:
    """The scale to run and the reason for it, in words.

    ``auto`` is ``paper`` when every source that anyone can download is on this machine (a licensed
    corpus may be absent: its cells are then NOT_RUN) and, where anything is computed, the encoder
    and a CUDA GPU with enough memory; and ``mini`` otherwise.

    Raises:
        ConfigError: no such scale.
        DataError: a file that is none.
    """
    if name != "auto":
        return load_scale(name), f"asked for with --scale {name}"
    paper = load_scale("paper")
    sources, library = scale_files(paper, machine, experiment)
    # A display is opened only where it may be of use: files that were brought are hashed.
    shown = display.downloads() if machine.data else nullcontext(Silent())
    with shown as progress, library.shown(progress):
        stock = take_stock(sources, library)
    # What is only counted needs no encoder.
    needed = benchmark_of(paper).sources if experiment.is_counted else library.sources
    absent = [source for source in stock.absent if source.name in needed]
    # A cluster's GPUs cannot be seen from here: it is taken to have what the scale needs.
    needs_gpu = not experiment.is_counted and machine.scheduler is None
    # This loads torch, so it is asked only where it decides: without the data it is mini anyway.
    lacking = _lacking_gpu() if needs_gpu and not absent else None
    if lacking is not None:
        return load_scale("mini"), f"auto: {lacking}"
    if not absent:
        return paper, f"auto: scale paper: {stock}"
    how = "stilts-artifact fetch --scale paper gets the others"
    if library.folders.unreadable():
        how += ", and says what of --data cannot be read"
    return load_scale("mini"), f"auto: scale paper: {stock} ({how})"


def _lacking_gpu() -> str | None:
    """Why this machine cannot train XLM-R large, or ``None`` if it can."""
    try:
        import torch
    except ModuleNotFoundError:
        return "torch is not installed"
    if not torch.cuda.is_available():
        return "the paper scale of this table needs a CUDA GPU, and none answers"
    devices = range(torch.cuda.device_count())
    largest = max(torch.cuda.get_device_properties(index).total_memory for index in devices)
    if largest >= MEMORY:
        return None
    return f"the largest GPU has {readable_size(largest)}, {readable_size(MEMORY)} are needed"
