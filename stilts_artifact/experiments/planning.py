"""What an experiment would run, and what that would cost; nothing is run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from stilts_artifact.benchmark.asked import Wanted
from stilts_artifact.benchmark.experiments import Experiment, stages
from stilts_artifact.domain.tasks import Part, Source
from stilts_artifact.errors import ArtifactError, ConfigError, not_installed
from stilts_artifact.experiments import table1
from stilts_artifact.experiments.scored import (
    Request,
    RunKey,
    Scored,
    needed_sources,
    request,
)
from stilts_artifact.experiments.session import Session
from stilts_artifact.experiments.setup import missing_packages, require_packages
from stilts_artifact.experiments.steps import StepBuilder
from stilts_artifact.pipeline.costs import Costs, architecture_of, config_of, load_costs
from stilts_artifact.pipeline.explain import Reason, reasons
from stilts_artifact.pipeline.job import Device
from stilts_artifact.pipeline.kinds import KINDS
from stilts_artifact.pipeline.plan import Plan, make_plan
from stilts_artifact.pipeline.rates import Identity, ProbeRecord, find_probe, gpu_names
from stilts_artifact.pipeline.step import Graph, KeepModels, Step
from stilts_artifact.pipeline.store import Store

_PROBES = "probes"
"""Folder of a store with what was measured of machines."""
NOT_HERE_YET = "not here yet"
"""Stands for the hash of a source that a plan takes for granted."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would do.

    Args:
        reasons: of every step, inputs before their users.
        impossible: cells that could not be had, and why.
        obstacle: what would end the run before any step.
    """

    reasons: Sequence[Reason]
    impossible: Mapping[RunKey, str]
    obstacle: ArtifactError | None

    @property
    def to_run(self) -> int:
        """How many steps would run."""
        return 0 if self.obstacle else sum(reason.run for reason in self.reasons)

    @property
    def is_possible(self) -> bool:
        """Whether a run would have any result."""
        return self.obstacle is None and bool(self.reasons)


def preview(session: Session) -> Preview:
    """What a run would do about every step that can be named before it.

    Where rows are chosen by another experiment's scores, these are that experiment's steps.
    """

    def missing(parts: Iterable[Part]) -> list[Source]:
        """What a run could not get either."""
        absent = session.library.missing(parts)
        return [source for source in absent if session.machine.offline or not source.urls]

    scored = Scored.open(session)
    first = stages(session.experiment)[0]
    asked = scored.request(first, scored.wanted, missing)
    asked, lost = _with_encoders(scored, asked)
    graph = Graph(asked.steps, KINDS)
    found = reasons(graph, Store(session.machine.store))
    trains = any(reason.step.kind in ("intermediate", "target") for reason in found)
    return Preview(found, asked.impossible, _obstacle(session, trains=trains) or lost)


def _obstacle(session: Session, *, trains: bool) -> ArtifactError | None:
    """What would end a run before any step: the same is asked as when it is run."""
    try:
        require_packages(session.experiment)
        session.device(trains=trains)
    except ArtifactError as error:
        return error
    return None


def _with_encoders(scored: Scored, asked: Request) -> tuple[Request, ArtifactError | None]:
    """What can be run with the encoders that a run offline has, or why nothing can."""
    if not scored.session.machine.offline:
        return asked, None
    try:
        _, lost = scored.bring_encoders(asked)
    except ArtifactError as error:
        return asked, error
    left = asked.without(lost)
    return left, None if left.predictions else next(iter(lost.values()), None)


def unread_own_data(session: Session) -> list[str]:
    """Own files that nothing of what was asked for reads: test data, say, of what is scored on dev.

    Raises:
        ConfigError: cells that the experiment does not have.
    """
    if session.experiment.is_counted:
        read = table1.needed_sources(session.benchmark)
    else:
        scored = Scored.open(session)
        read = sources_of(scored.builder, session.experiment, scored.wanted)
    names = {source.name for source in read}
    return [name for name in session.scale.own_data if name not in names]


def requests(builder: StepBuilder, experiment: Experiment, wanted: Wanted) -> list[Request]:
    """All steps of an experiment, stage by stage, as if every source were here.

    Which rows will be chosen is not known before, so each stands for itself.
    """
    # Hashes that are known win: only with them does the store know the steps that are done.
    whole = replace(
        builder, pins=dict.fromkeys(builder.benchmark.sources, NOT_HERE_YET) | dict(builder.pins)
    )
    return [request(whole, stage, wanted, lambda _: []) for stage in stages(experiment)]


def steps_of(builder: StepBuilder, experiment: Experiment, wanted: Wanted) -> list[Step]:
    """All steps behind some cells in every stage."""
    return [step for one in requests(builder, experiment, wanted) for step in one.steps]


def plan(
    steps: Sequence[Step],
    store: Store,
    costs: Costs,
    absent: Iterable[Source],
    keep_models: KeepModels,
) -> Plan:
    """The cost of what is missing of some steps; what several experiments share counts once.

    Args:
        absent: sources that are still to be brought.
        keep_models: which trained models a run keeps.

    Raises:
        ConfigError: a kind of step, or a task, without costs.
    """
    downloads = sum(source.bytes or 0 for source in absent if source.urls)
    return make_plan(Graph(steps, KINDS), store, costs, downloads, keep_models)


def costs_of(session: Session, probe: ProbeRecord | None) -> Costs:
    """The costs of a session's scale and encoder: of a probe, or else of what a run would use.

    Raises:
        ConfigError: the table has no such scale.
    """
    device = planned_device(session) if probe is None else probe.device
    return load_costs(session.scale, session.encoder, device, probe)


def planned_device(session: Session) -> Device:
    """What a run would use; nothing is loaded to find that out."""
    if session.scale.device == "any":
        return "cuda" if gpu_names() else "cpu"
    return "cuda" if session.scale.device == "gpu" else "cpu"


def known_probe(session: Session) -> ProbeRecord | None:
    """What an earlier probe found of this machine, the session's encoder and its threads."""
    architecture, device = architecture_of(session.encoder), planned_device(session)
    if architecture is None or (device == "cuda" and not gpu_names()):
        return None
    threads = session.scale.threads if device == "cpu" else 1
    folder = session.machine.store / _PROBES
    return find_probe(folder, Identity.here(), device, threads, architecture)


def probe_machine(session: Session, note: Callable[[str], None]) -> ProbeRecord:
    """Measure this machine for a session's scale and encoder, and keep what was found.

    Args:
        note: is told what is being measured.

    Raises:
        ConfigError: nothing is known of the encoder's sizes.
        ResourceError: a package is missing, or memory or disk.
    """
    if missing := missing_packages():
        raise not_installed("a probe of this machine", missing)
    config, architecture = config_of(session.encoder), architecture_of(session.encoder)
    if config is None or architecture is None:
        raise ConfigError(
            "a probe needs the sizes of the encoder",
            got=session.encoder.label,
            expected="one that is pinned here, or a folder with a config.json like BERT's",
            fix="download it, and name its folder with --encoder",
        )
    import torch

    from stilts_artifact.pipeline.probe import Subject, probe, shapes_of

    scale = session.scale
    device: Device = "cuda" if scale.device != "cpu" and torch.cuda.is_available() else "cpu"
    shapes = shapes_of(scale, load_costs(scale, session.encoder, device))
    threads = scale.threads if device == "cpu" else 1
    subject = Subject(config, session.encoder.label, architecture, scale, shapes, device, threads)
    found = probe(subject, session.machine.store, note=note)
    found.save(session.machine.store / _PROBES)
    return found


def sources_of(builder: StepBuilder, experiment: Experiment, wanted: Wanted) -> list[Source]:
    """The sources behind some cells in every stage, each once."""
    return needed_sources(builder, stages(experiment), wanted)
