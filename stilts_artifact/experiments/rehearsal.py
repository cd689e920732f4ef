"""A dress rehearsal: all of a run but its weights and its data, before anything is paid for.

The same steps run in the same way, through the same scheduler, store and judges, with an encoder of
the same architecture (:mod:`stilts_artifact.experiments.stand_ins`): each training run takes two
optimiser steps or a few more, with an evaluation and a checkpoint after the first. It ends with
what each kind of step took, and with what the real run will need. What comes out lies in a place of
its own, is called a rehearsal in every signature, and is refused by whatever judges results.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stilts_artifact.benchmark.asked import asked_places
from stilts_artifact.benchmark.lengths import example_tokens
from stilts_artifact.benchmark.own_data import TEXT
from stilts_artifact.checking.results import results_path
from stilts_artifact.config import SCALES
from stilts_artifact.config.load import as_own, benchmark_of, rehearsal_name
from stilts_artifact.config.schema import EncoderChoice, Scale, TaskTraining
from stilts_artifact.data.fetch import Stock, take_stock
from stilts_artifact.documents import parse_json, read_document
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import ConfigError
from stilts_artifact.experiments.outcome import Outcome, reproduce
from stilts_artifact.experiments.planning import (
    costs_of,
    known_probe,
    plan,
    sources_of,
    steps_of,
)
from stilts_artifact.experiments.scored import Scored
from stilts_artifact.experiments.session import Session
from stilts_artifact.experiments.setup import MEMORY, open_library, require_packages, scale_files
from stilts_artifact.experiments.stand_ins import EVALUATED, make_encoder, weights_of, write_rows
from stilts_artifact.files import size_below
from stilts_artifact.metrics.tables import table_columns
from stilts_artifact.model.hub import PhaseOne
from stilts_artifact.model.manifest import CONFIG
from stilts_artifact.pipeline.cluster import default_workers, remote_client
from stilts_artifact.pipeline.job import Device
from stilts_artifact.pipeline.kinds import KINDS
from stilts_artifact.pipeline.plan import Plan
from stilts_artifact.pipeline.progress import Snapshot, Watch
from stilts_artifact.pipeline.runs import Runs
from stilts_artifact.pipeline.step import Graph
from stilts_artifact.pipeline.store import Store
from stilts_artifact.pipeline.upkeep import REHEARSALS

if TYPE_CHECKING:
    from stilts_artifact.training.numerics import Difference

FOLDER = "rehearsal"
"""In the folder of results."""
_OPERATIONS = 5e11
"""Most of an optimiser step on a CPU, whose cores do some 1e11 a second."""
_LARGE = 560_000_000  # weights of XLM-R large, whose memory is known
_LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Use:
    """What the steps of one kind took.

    Attributes:
        seconds: of the longest, ``total`` of all.
        memory, gpu_memory: bytes at the peak of the one that held most; 0 where nobody measured.
        written: bytes, by all together, checkpoints included.
        results: bytes of their results, those that were dropped included.
    """

    kind: str
    steps: int
    seconds: float
    total: float
    memory: int
    gpu_memory: int
    written: int
    results: int


@dataclass(frozen=True, slots=True)
class Offer:
    """What a machine has: bytes of each GPU's memory, of its own, and free for a folder."""

    gpus: tuple[int, ...]
    memory: int
    disk: int


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How a rehearsal went.

    Attributes:
        outcome: as of a real run; its numbers mean nothing.
        failed: why cells that were asked for have no value; none where the machinery works.
        uses: by kind of step.
        smaller: name of training numbers -> batch here, and of the real run, where they differ.
        device: what trained.
        seconds: of it all.
        disk: bytes in the store at its peak.
        weights: of the encoder.
        plan: of the real run; ``None`` of a scale that nothing is known of.
        stock: the real run's files that are not generated, as far as they are here.
        offers: of this machine, or of each worker of the cluster.
        rounding: bfloat16 against float32 on this machine's GPU, where one trained with it.
    """

    outcome: Outcome
    failed: tuple[str, ...]
    uses: tuple[Use, ...]
    smaller: dict[str, tuple[int, int]]
    device: Device
    seconds: float
    disk: int
    weights: int
    plan: Plan | None
    stock: Stock
    offers: tuple[Offer, ...]
    rounding: tuple[Difference, ...] = ()

    @property
    def gpu_memory(self) -> int:
        """Bytes that the real run needs of a GPU: as measured here, or as it is taken to need."""
        measured = max((use.gpu_memory for use in self.uses), default=0)
        return measured or round(MEMORY * self.weights / _LARGE)

    @property
    def memory(self) -> int:
        """Bytes that the largest step held."""
        return max((use.memory for use in self.uses), default=0)


def rehearse(session: Session) -> Rehearsal:
    """Run an experiment with stand-ins for encoder and data.

    Raises:
        ConfigError: own data, which are not rehearsed; or an encoder of unknown architecture.
        ResourceError, IntegrityError, DataError: as :func:`reproduce`.
    """
    if session.scale.own_data:
        raise ConfigError("a rehearsal has data of its own", fix="leave --own-data out")
    require_packages(session.experiment)
    began = time.monotonic()
    device = session.device(trains=False)
    root = _place(session)
    # From the first file on, store prune leaves it alone.
    with Runs(Store(root)).session():
        encoder = make_encoder(session.encoder, root / "encoder")
        weights, inner = weights_of(root / "encoder")
        scale = _reduced(session, encoder, inner if device == "cpu" else 0)
        if device == "cpu":
            scale = scale.model_copy(update={"threads": _threads(weights)})
        rehearsed = _session(session, scale, encoder, root)
        with _peak(rehearsed) as (watched, sizes):
            outcome = reproduce(watched)
        failed = _failed(outcome, rehearsed)
        uses = _uses(rehearsed)
        rounding = _rounding(root / "encoder", session, device)
        if not failed:
            # It has shown what it was to show, and takes the room that the real run needs: before
            # what is free is looked at.
            shutil.rmtree(root, ignore_errors=True)
    return Rehearsal(
        outcome=outcome,
        failed=failed,
        uses=uses,
        smaller=_smaller(session.scale, scale),
        device=device,
        seconds=time.monotonic() - began,
        disk=max(sizes),
        weights=weights,
        plan=_plan(session),
        stock=_stock(session),
        offers=_offers(session),
        rounding=rounding,
    )


def _place(session: Session) -> Path:
    """The store of a rehearsal: what one left that failed is not another encoder's or scale's."""
    name = f"{session.experiment.name}.{session.scale.name}.{session.encoder.revision[:12]}"
    return session.machine.store / REHEARSALS / name


def _rounding(folder: Path, session: Session, device: Device) -> tuple[Difference, ...]:
    """Of the encoder in a folder; of a cluster's GPUs nothing is known here."""
    if device == "cpu" or session.machine.scheduler or session.scale.dtype != "bfloat16":
        return ()
    from stilts_artifact.model.loading import load_encoder
    from stilts_artifact.training.numerics import compare_forms

    return tuple(compare_forms(load_encoder(folder, pooler_seed=1).model, device))


def _session(session: Session, scale: Scale, encoder: PhaseOne, root: Path) -> Session:
    """The session of the rehearsal; no number of an earlier one is kept."""
    machine = replace(session.machine, store=root, data=(root / "rows",), offline=True, mirrors=())
    vocabulary = _vocabulary(root / "encoder")
    names = write_rows(root / "rows", session.benchmark, scale, vocabulary)
    scale = scale.model_copy(update={"own_data": tuple(names)})
    benchmark = benchmark_of(scale)
    results = session.results / FOLDER
    results_path(results, session.experiment.name, scale.name).unlink(missing_ok=True)
    return replace(
        session,
        scale=scale,
        reason=f"a rehearsal of scale {session.scale.name}",
        benchmark=benchmark,
        encoder=encoder,
        library=open_library(benchmark, machine),
        machine=machine,
        results=results,
        smaller=None,
    )


def _reduced(session: Session, encoder: PhaseOne, inner: int) -> Scale:
    """The scale with two optimiser steps of everything, and few examples to predict.

    Args:
        inner: weights outside the embeddings where a CPU trains: batches are cut to what it does
            in a time; 0 leaves them as they are.
    """
    scale, tasks = session.scale, session.benchmark.tasks
    most = _OPERATIONS / (6 * inner) if inner else math.inf  # tokens of a step

    def batch(name: str, form: TaskForm | None, own: int, max_length: int) -> int:
        return max(1, int(min(own, most // example_tokens(name, form, max_length))))

    def twice(section: dict[str, TaskTraining]) -> dict[str, TaskTraining]:
        made = {}
        for name, own in section.items():
            count = batch(name, tasks[name].form, own.batch, own.max_length)
            update = {"epochs": 1, "batch": count, "train_rows": 2 * count}
            made[name] = own.model_copy(update=update)
        return made

    intermediate, targets = twice(scale.intermediate), twice(scale.targets)
    # A paragraph of each language, in two steps or as many as its batches take.
    languages = max((len(text.parts) for text in session.benchmark.texts.values()), default=1)
    own = min(scale.mlm.batch, -(-languages // 2))
    mlm = {"rows": 1, "epochs": 1, "batch": batch(TEXT, None, own, scale.mlm.max_length)}
    cap = 2 * max(one.batch for one in intermediate.values())
    update = {
        "name": rehearsal_name(scale.name),
        "extends": scale.extends or (scale.name if scale.name in SCALES else None),
        "encoder": EncoderChoice(
            name=encoder.name, revision=encoder.revision, prefix=scale.encoder.prefix
        ),
        "smaller": None,
        "single_files": False,
        "device": "any" if scale.device == "gpu" else scale.device,
        "seeds": scale.seeds[:1],
        "evaluation_rows": EVALUATED,
        "checkpoint_every": 1,
        "training": scale.training.model_copy(
            update={"evaluate_every": 1, "development_rows": EVALUATED}
        ),
        "mixture": scale.mixture.model_copy(update={"cap": cap, "cap_with_mlm": cap}),
        "mlm": scale.mlm.model_copy(update=mlm),
        "intermediate": intermediate,
        "targets": targets,
    }
    return as_own(scale.model_copy(update=update), scale.name)


def _threads(weights: int) -> int:
    """Of a step on a CPU: all cores where memory holds one worker, else as many as are left each.

    A training run holds weights, gradients, both moments, the best weights and those of the file,
    and here little else.
    """
    from distributed.system import MEMORY_LIMIT

    cores = default_workers()
    return max(1, cores // max(1, min(cores, MEMORY_LIMIT // (24 * weights + (2 << 30)))))


def _vocabulary(folder: Path) -> int:
    path = folder / CONFIG
    return int(parse_json(read_document(path), str(path))["vocab_size"])


@contextmanager
def _peak(session: Session) -> Iterator[tuple[Session, list[int]]]:
    """The session with a display that also looks at the size of its store now and then."""
    sizes, looked = [0], 0.0
    shown = session.display

    @contextmanager
    def steps(label: str) -> Iterator[Watch]:
        def watch(state: Snapshot) -> None:
            nonlocal looked
            if time.monotonic() - looked > _LOOK_SECONDS:
                looked = time.monotonic()
                sizes.append(size_below(session.machine.store))
            inner(state)

        with shown.steps(label) as inner:
            yield watch

    yield replace(session, display=replace(shown, steps=steps)), sizes


def _failed(outcome: Outcome, session: Session) -> tuple[str, ...]:
    """Why cells that were asked for have no value."""
    asked = asked_places(session.benchmark, session.experiment, session.only)
    columns = {one.name: one for one in table_columns(session.benchmark, session.experiment)}
    cells = (cell for cell in outcome.results.cells if cell.value is None)
    return tuple(
        f"{cell.key}: {cell.reason}"
        for cell in cells
        if columns[cell.column].is_among(cell.row, asked)
    )


def _uses(session: Session) -> tuple[Use, ...]:
    """By the manifests of what was made of the steps that were asked for.

    One that failed may have left others, of an ``--only`` of then.
    """
    store, scored = Store(session.machine.store), Scored.open(session)
    asked = steps_of(scored.builder, session.experiment, scored.wanted)
    steps, found = Graph(asked, KINDS).steps, []
    for kind in KINDS:
        made = [one for one in store.made(kind) if one.step.address in steps]
        used = [one.made.get("used", {}) for one in made]
        seconds = [float(one.made["seconds"]) for one in made]
        if made:
            found.append(
                Use(
                    kind=kind,
                    steps=len(made),
                    seconds=max(seconds),
                    total=sum(seconds),
                    memory=max(one.get("memory", 0) for one in used),
                    gpu_memory=max(one.get("gpu_memory", 0) for one in used),
                    written=sum(one.get("written", 0) for one in used),
                    results=sum(one.size for one in made),
                )
            )
    return tuple(found)


def _smaller(own: Scale, reduced: Scale) -> dict[str, tuple[int, int]]:
    batches = [
        {
            **{name: numbers.batch for name, numbers in scale.intermediate.items()},
            **{name: numbers.batch for name, numbers in scale.targets.items()},
            "mlm": scale.mlm.batch,
        }
        for scale in (reduced, own)
    ]
    now, before = batches
    return {name: (now[name], due) for name, due in before.items() if now[name] != due}


def _plan(session: Session) -> Plan | None:
    """What the real run costs."""
    scored = Scored.open(session)
    asked = scored.builder, session.experiment, scored.wanted
    try:
        costs = costs_of(session, known_probe(session))
    except ConfigError:
        return None
    absent = session.library.absent(sources_of(*asked))
    store, kept = Store(session.machine.store), session.keep_models
    return plan(steps_of(*asked), store, costs, absent, kept)


def _stock(session: Session) -> Stock:
    """Of what has to be downloaded or brought; what is generated is made on its first use."""
    sources, library = scale_files(session.scale, session.machine, session.experiment)
    made = {
        source.name
        for source in sources
        if any(urlsplit(url).scheme in session.openers for url in source.urls)
    }
    return take_stock([source for source in sources if source.name not in made], library)


def _offers(session: Session) -> tuple[Offer, ...]:
    """Of this machine; or of every worker of the cluster."""
    address, store = session.machine.scheduler, session.machine.store.resolve()
    if address is None:
        return (offer(store),)
    with remote_client(address) as client:
        found: dict[str, Offer] = client.run(offer, store)
    return tuple(found.values())


def offer(store: Path) -> Offer:
    """What this machine has, with the GPUs that this process may use."""
    import torch
    from distributed.system import MEMORY_LIMIT

    gpus = (
        torch.cuda.get_device_properties(index).total_memory
        for index in range(torch.cuda.device_count())
    )
    return Offer(tuple(gpus), int(MEMORY_LIMIT), shutil.disk_usage(store).free)
