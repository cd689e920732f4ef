"""What an experiment is given: one scale on this machine, what was asked for, and who watches.

Nothing here prints or parses: the command line, or whoever calls the library, passes in how
progress is shown and how generated files are made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.benchmark.experiments import Experiment
from stilts_artifact.data.fetch import fetch
from stilts_artifact.data.library import InputRecord, Library
from stilts_artifact.data.progress import Progress as DownloadProgress
from stilts_artifact.data.progress import Silent
from stilts_artifact.domain.cells import Measurement
from stilts_artifact.domain.tasks import Benchmark, Source, Task
from stilts_artifact.errors import ArtifactError, ConfigError, ResourceError
from stilts_artifact.model.manifest import WEIGHTS
from stilts_artifact.pipeline.cluster import default_workers
from stilts_artifact.pipeline.executor import Options
from stilts_artifact.pipeline.job import Context, Device
from stilts_artifact.pipeline.progress import Snapshot, Watch
from stilts_artifact.pipeline.step import KeepModels

if TYPE_CHECKING:
    from stilts_artifact.checking.results import RowRecord
    from stilts_artifact.config.schema import Scale
    from stilts_artifact.experiments.kept import Kept
    from stilts_artifact.model.hub import PhaseOne
    from stilts_artifact.pipeline.costs import Costs


@dataclass(frozen=True, slots=True)
class Machine:
    """Where things lie and who computes; none of it has a bearing on a result.

    Args:
        store: folder of verified files and finished steps.
        data: folders with files brought by hand.
        offline: open no connection.
        mirrors: base URLs that are tried before the sources' own.
        workers, scheduler: see :class:`stilts_artifact.pipeline.executor.Options`.
        keep_models: the same; ``None`` for what the scale says.
    """

    store: Path
    data: tuple[Path, ...] = ()
    offline: bool = False
    mirrors: tuple[str, ...] = ()
    workers: int | None = None
    scheduler: str | None = None
    keep_models: KeepModels | None = None


def _unwatched(_: Snapshot) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Display:
    """How progress reaches whoever waits; by default it does not.

    Args:
        downloads: opened around a fetch.
        steps: opened around a run of steps, with what they are for.
        rows: told of each task before its files are counted.
    """

    downloads: Callable[[], AbstractContextManager[DownloadProgress]] = lambda: nullcontext(
        Silent()
    )
    steps: Callable[[str], AbstractContextManager[Watch]] = lambda _: nullcontext(_unwatched)
    rows: Callable[[int], AbstractContextManager[Callable[[Task], None]]] = lambda _: nullcontext(
        lambda _: None
    )


@dataclass(frozen=True, slots=True)
class Session:
    """One experiment at one scale on this machine.

    Args:
        reason: why this scale, in words; it goes into the results file.
        encoder: of phase (i).
        smaller: that of the rows which start from a smaller one; ``None`` where the experiment has
            no such rows, or the scale no such encoder.
        library: the benchmark's files, as far as they are here.
        results: folder that results are published in.
        only: cells asked for, see :func:`stilts_artifact.benchmark.asked.wanted_cells`.
        openers: by URL scheme, what makes a file on this machine (the mini world's generator).
        kept: what earlier runs measured and this one keeps.
    """

    experiment: Experiment
    scale: Scale
    reason: str
    benchmark: Benchmark
    encoder: PhaseOne
    library: Library
    machine: Machine
    results: Path
    only: tuple[str, ...] = ()
    openers: Mapping[str, Callable[[str], bytes]] = field(default_factory=dict)
    display: Display = field(default_factory=Display)
    kept: Kept | None = None
    smaller: PhaseOne | None = None

    @property
    def folder(self) -> Path:
        """Where predictions and labels are published, beside the results file."""
        return self.results / f"{self.experiment.name}.{self.scale.name}"

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of every trained run, of which the median is reported."""
        return self.scale.seeds if self.experiment.seeds is None else self.experiment.seeds

    @property
    def keep_models(self) -> KeepModels:
        """Which trained models stay in the store once nothing needs them."""
        return self.machine.keep_models or self.scale.keep_models

    def obtain(self, sources: Sequence[Source]) -> list[ArtifactError]:
        """Fetch what is not here.

        What cannot be had leaves cells NOT_RUN, so its errors are only collected.
        """
        with self.display.downloads() as progress:
            report = fetch(
                sources,
                self.library,
                offline=self.machine.offline,
                mirrors=self.machine.mirrors,
                openers=self.openers,
                progress=progress,
            )
        return [failure.error for failure in report.absent]

    def describe_encoder(self) -> str:
        """The encoder in words, and what of it does not come from its weights.

        Raises:
            IntegrityError: weights that are here, and are none.
        """
        said = f"{self.encoder.name} ({self.encoder.revision[:12]})"
        if self.encoder.folder is None:
            return said
        from stilts_artifact.model.weights import tensor_names

        if any("pooler." in name for name in tensor_names(self.encoder.folder / WEIGHTS)):
            return said
        return f"{said}, without a pooler: that starts from the seed of each training run"

    def options(self) -> Options:
        """How steps run."""
        workers = self.machine.workers
        if workers is None and self.scale.threads > 1 and self.device(trains=False) == "cpu":
            workers = max(1, default_workers() // self.scale.threads)
        return Options(workers, self.machine.scheduler, self._costs(), self.keep_models)

    def _costs(self) -> Costs | None:
        """What the plan says of steps at this scale; ``None`` of one that extends none it knows."""
        from stilts_artifact.pipeline.costs import load_costs

        with suppress(ConfigError):
            return load_costs(self.scale, self.encoder, self.device(trains=False))
        return None

    def context(self, encoders: Mapping[str, Path], *, trains: bool) -> Context:
        """Where steps run.

        Args:
            encoders: revision -> folder of an encoder of phase (i).
            trains: whether any step trains: a scale made for GPUs then needs one.

        Raises:
            ResourceError: the scale needs a GPU, and none answers.
        """
        from stilts_artifact.pipeline.kinds import make_context

        device = self.device(trains=trains)
        return make_context(
            self.machine.store,
            list(self.machine.data),
            encoders,
            device=device,
            checkpoint_every=self.scale.checkpoint_every,
        )

    def encoder_folder(self, encoder: PhaseOne) -> Path:
        """Where an encoder of phase (i) lies, downloaded if it has to be.

        Raises:
            MissingDataError, IntegrityError, ResourceError: as
                :func:`stilts_artifact.model.hub.obtain`.
        """
        from stilts_artifact.model.hub import Delivery, obtain

        if encoder.folder is not None:
            return encoder.folder
        machine = self.machine
        with self.display.downloads() as progress:
            delivery = Delivery(machine.data, machine.offline, machine.mirrors, progress)
            return obtain(encoder, machine.store, delivery)

    def device(self, *, trains: bool) -> Device:
        """GPUs where the scale is made for them; a cluster is taken to have what it needs.

        Args:
            trains: whether any step trains.

        Raises:
            ResourceError: the scale needs a GPU to train, and none answers.
        """
        if self.scale.device == "cpu":
            return "cpu"
        if self.machine.scheduler is None:
            from stilts_artifact.pipeline.cluster import visible_gpus

            try:
                visible_gpus()
            except ResourceError:
                # An encoder as it is can be evaluated on the CPU; a large one not trained there.
                if trains and self.scale.device == "gpu":
                    raise
                return "cpu"
        return "cuda"


@dataclass(frozen=True, slots=True)
class Measured:
    """What an experiment measured, before any of it is judged.

    Args:
        rows: what each row says beside its numbers.
        inputs: verified files that the cells rest on.
        errors: why cells have no value, as far as something broke.
        steps: addresses in the store of what the cells rest on.
        made: of all steps that this run made.
        seconds: from the start of its steps to the end of the last.
    """

    rows: list[RowRecord]
    cells: list[Measurement]
    inputs: list[InputRecord]
    errors: list[ArtifactError]
    steps: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()
    seconds: float = 0.0
