"""How fast a machine trains and predicts with one encoder: measured by a probe, tabled, or guessed.

One model of the time stands behind all three. A pass over a micro-batch costs an overhead, whatever
is in it, and so much for each token, more where rows are longer; an optimiser step costs its
passes, and the update of the weights. What a probe measured lies in a file of the results folder
and counts for the machine that it names alone. Nothing here imports torch.
"""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from stilts_artifact.documents import dump_json, parse_json, read_document
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.domain.units import readable_size
from stilts_artifact.errors import ArtifactError
from stilts_artifact.files import hash_bytes, write_file
from stilts_artifact.pipeline.job import Device

Basis = Literal["probed", "tabled", "guessed"]

UNCERTAIN: Mapping[Basis, float] = {"probed": 1.5, "tabled": 2.0, "guessed": 3.0}
"""By how much a time may be wrong, as a factor both ways. Probed: runs at the mini scale and of an
encoder of the small one's size were within it of their plans, as a whole and in each kind of step
that trains or predicts (0.8 to 1.3 times, in CPU time). Tabled: another machine's times,
carried over by its cores. Guessed: by counted operations and :data:`MACHINES`; what a card reaches
of its peak differs by more than two between encoders of one size."""

TEXT, SENTENCES = "text", "sentences"
"""Kinds of passes beside those of the forms that are trained: masked language modelling, and
sentences that are embedded."""
FORMS: Mapping[TaskForm, str] = {
    TaskForm.PAIR: "pair",
    TaskForm.CHOICE: "choice",
    TaskForm.TAGGING: "tagging",
    TaskForm.SPAN: "span",
    TaskForm.MINING: SENTENCES,
    TaskForm.SEARCH: SENTENCES,
    TaskForm.ALIGNMENT: SENTENCES,
}
KINDS = tuple(dict.fromkeys([*FORMS.values(), TEXT]))
"""Of passes."""

TRAINED: Mapping[Device, int] = {"cpu": 4096, "cuda": 16384}
"""Padded tokens of a micro-batch, about: see :data:`stilts_artifact.training.batches.FITS`."""
PREDICTED: Mapping[Device, int] = {"cpu": 2048, "cuda": 16384}
"""The same where nothing is trained: see :data:`stilts_artifact.model.inference.TOKENS`."""
EMBEDDED: Mapping[Device, int] = {"cpu": 1536, "cuda": 8192}
"""The same of sentences: see :class:`stilts_artifact.retrieval.encode.Batching` and ``fit_of``."""
WORDS = 20_000
"""Of the vocabulary that a task's training data have: English ones have 15,000 to 30,000 pieces."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """What of an encoder decides how long it takes.

    Attributes:
        inner: width of the feed-forward layers.
    """

    layers: int
    hidden: int
    inner: int
    vocabulary: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Architecture | None:
        """That of a configuration, as BERT's and XLM-R's name it; ``None`` of another one's."""
        names = ("num_hidden_layers", "hidden_size", "intermediate_size", "vocab_size")
        sizes = [config.get(name) for name in names]
        if not all(isinstance(size, int) and size > 0 for size in sizes):
            return None
        return cls(*sizes)  # type: ignore[arg-type]  # all integers

    @property
    def body(self) -> int:
        """Weights that every token is multiplied with: attention's four matrices of each layer,
        and the two of its feed-forward part."""
        return self.layers * (4 * self.hidden**2 + 2 * self.hidden * self.inner)

    @property
    def embeddings(self) -> int:
        """Weights of the embedding matrix."""
        return self.vocabulary * self.hidden

    @property
    def weights(self) -> int:
        """All, but for the few of norms, biases, positions and pooler."""
        return self.body + self.embeddings

    @property
    def trained(self) -> int:
        """Weights of a run that trains the embeddings of what it reads alone."""
        return self.body + min(WORDS, self.vocabulary) * self.hidden


@dataclass(frozen=True, slots=True)
class Pass:
    """Seconds of a pass over one micro-batch: what it costs whatever is in it, what each padded
    token costs, and what more for each token of its row, by attention."""

    overhead: float
    token: float
    width: float = 0.0

    def seconds(self, tokens: float, width: float, batches: float = 1.0) -> float:
        """Of so many padded tokens in rows of a width, in so many micro-batches.

        Example:
            >>> Pass(overhead=0.5, token=0.01, width=0.001).seconds(100, width=10, batches=2)
            3.0
        """
        return batches * self.overhead + tokens * (self.token + self.width * width)

    def times(self, factor: float) -> Pass:
        """The same of a machine that takes so many times as long."""
        return Pass(self.overhead * factor, self.token * factor, self.width * factor)


@dataclass(frozen=True, slots=True)
class Rates:
    """What one encoder costs on one worker of a machine, in seconds.

    Attributes:
        train, predict: kind of pass -> its costs; training's of forward and backward together.
        update: of the weights, of a run that trains the embeddings of the words it reads alone.
        whole_update: the same with all embeddings, as masked language modelling needs.
        decay: making up, once for each step, for the decay of the embeddings that were left out.
        load: reading, checking and building the encoder.
        save: writing it, and its hash.
        flops: of a matrix product of float32, operations a second.
    """

    train: Mapping[str, Pass]
    predict: Mapping[str, Pass]
    update: float
    whole_update: float
    decay: float
    load: float
    save: float
    flops: float

    def times(self, factor: float) -> Rates:
        """The same of a machine that takes so many times as long for everything but its disk."""
        return replace(
            self,
            train={name: own.times(factor) for name, own in self.train.items()},
            predict={name: own.times(factor) for name, own in self.predict.items()},
            update=self.update * factor,
            whole_update=self.whole_update * factor,
            decay=self.decay * factor,
            flops=self.flops / factor,
        )

    def carried(self, before: Rates, now: Rates) -> Rates:
        """Those of another encoder, in proportion to what is guessed of both.

        Args:
            before: the guess of this one.
            now: the guess of the other.
        """

        def passes(mode: str) -> dict[str, Pass]:
            own, was, becomes = (getattr(rates, mode) for rates in (self, before, now))
            return {
                kind: Pass(*(x * z / y for x, y, z in zip(*map(astuple, three), strict=True)))
                for kind, three in ((kind, (own[kind], was[kind], becomes[kind])) for kind in own)
            }

        numbers = (getattr(self, n) * getattr(now, n) / getattr(before, n) for n in _NUMBERS)
        return Rates(passes("train"), passes("predict"), *numbers)

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Rates:
        """From plain numbers.

        Raises:
            KeyError, TypeError, ValueError: they are none.
        """

        def passes(mode: str) -> dict[str, Pass]:
            return {kind: Pass(*map(float, content[mode][kind])) for kind in KINDS}

        return cls(passes("train"), passes("predict"), *(float(content[name]) for name in _NUMBERS))

    def dump(self) -> dict[str, Any]:
        """Plain numbers."""
        passes = {
            mode: {name: [own.overhead, own.token, own.width] for name, own in made.items()}
            for mode, made in (("train", self.train), ("predict", self.predict))
        }
        return {**passes, **{name: getattr(self, name) for name in _NUMBERS}}


_NUMBERS = ("update", "whole_update", "decay", "load", "save", "flops")


def fit_pass(points: Sequence[tuple[float, float, float]]) -> Pass:
    """The costs that measured passes follow best, by relative least squares; none is negative.

    Args:
        points: padded tokens, width of a row, and seconds of each. Two do not tell what width
            costs, and one tells what a token costs alone.

    Example:
        >>> fit_pass([(10, 10, 0.4), (100, 10, 2.2), (100, 20, 3.2), (1000, 10, 20.2)])
        Pass(overhead=0.2, token=0.01, width=0.001)
    """
    import numpy as np
    from scipy.optimize import nnls

    tokens, widths, seconds = np.array(points, dtype=float).T
    # Of each point the ratio of what is said to what was measured shall be near to 1: else the
    # longest passes alone would decide.
    columns = np.stack([tokens, np.ones_like(tokens), tokens * widths], axis=1) / seconds[:, None]
    found, _ = nnls(columns[:, : len(points)], np.ones(len(points)))
    token, overhead, width = (float(f"{value:.6g}") for value in [*found, 0.0, 0.0][:3])
    return Pass(overhead, token, width)


@dataclass(frozen=True, slots=True)
class Speeds:
    """What is assumed of a device that nobody measured.

    Attributes:
        flops: peak of matrix products as training computes them, operations a second.
        share: of that peak which the products of a wide encoder reach.
        unit: seconds that a token costs for each unit of each layer beside the products (norms,
            activation, dropout, residuals: reads and writes of memory), forward alone.
        launch: seconds to start one kernel, or one operation of a CPU.
        bandwidth: of memory, bytes a second.
        disk: bytes a second that are written and hashed.
        decayed: weights a second that are multiplied with the decay of a step.
    """

    flops: float
    share: float
    unit: float
    launch: float
    bandwidth: float
    disk: float
    decayed: float


MACHINES: Mapping[Device, Speeds] = {
    # One thread of an EPYC with AVX-512: `flops` measured; `share` and `unit` fitted to steps of
    # encoders 96 and 384 wide, `launch` to a batch of one short row (8 ms of 4 layers).
    "cpu": Speeds(
        flops=1.0e11, share=0.8, unit=1.5e-8, launch=1.0e-5, bandwidth=1.0e10, disk=3e8, decayed=7e9
    ),
    # H200: 989 TFLOP/s dense in bfloat16 on paper, about 790 reached by large products; 4.8 TB/s of
    # HBM3e, of which three quarters can be had. Its `unit`: reading and writing about 20 bytes.
    # A launch from Python takes 5 to 10 us, most of it PyTorch's dispatch.
    "cuda": Speeds(
        flops=7.9e14,
        share=0.4,
        unit=6e-12,
        launch=7.0e-6,
        bandwidth=3.6e12,
        disk=1e9,
        decayed=4.5e11,
    ),
}
_KERNELS = 45
"""Of a layer's forward pass: six products with their biases, attention, two norms, activation,
dropouts, residuals, and under autocast a cast of each weight to bfloat16. The backward pass starts
about twice as many."""
_UPDATE_KERNELS = 40
"""Clipping and fused AdamW go through lists of tensors, some dozens at a time."""
_UPDATE_BYTES = 40
"""Of each weight, in float32: clipping reads the gradient for its norm (4), then reads and writes
it (8); AdamW reads gradient, weight and two moments (16) and writes the last three (12)."""
_GRADIENT_BYTES = 24
"""Of each weight that is trained, for each backward pass: its gradient is filled with zeros where
an embedding, written, and added or moved into place; fitted to 85 ms on a core of an encoder 384
wide, whose 29 million weights these are."""
_HIDDEN_SHARE = 0.15
"""Of the tokens that masked language modelling scores against all of the vocabulary."""


def guess(of: Architecture, device: Device, threads: int = 1) -> Rates:
    """The rates of an encoder by counted operations.

    A token costs 2 operations for each weight of the body forward, and 4 backward; attention 4 x
    hidden x layers more for each token of its row. To these come memory traffic, the launch of
    kernels for each pass, and of each step the update: 16 bytes of state for each weight that is
    trained, read and written. The last two are most of a GPU's step where rows are short.

    Args:
        threads: of a CPU.
    """
    own = MACHINES[device]
    cores = speedup(threads)
    product, unit = 1 / (own.flops * own.share * cores), own.unit / cores
    kernels = of.layers * _KERNELS * own.launch
    forward = Pass(
        kernels,
        2 * of.body * product + of.layers * of.hidden * unit,
        # Scores and their weighted sum: 2 products of 2 x hidden operations for each pair of
        # tokens, at half the share, as they are small.
        2 * 4 * of.layers * of.hidden * product,
    )
    gradients = _GRADIENT_BYTES * of.trained / (own.bandwidth * cores)
    both = forward.times(3)
    both = replace(both, overhead=both.overhead + gradients)
    scored = _HIDDEN_SHARE * 6 * of.embeddings * product
    per_weight = _UPDATE_BYTES / (own.bandwidth * cores)
    launches = _UPDATE_KERNELS * own.launch
    size = 4 * of.weights
    return Rates(
        train={name: both for name in KINDS} | {TEXT: replace(both, token=both.token + scored)},
        predict=dict.fromkeys(KINDS, forward),
        update=launches + of.trained * per_weight,
        whole_update=launches + of.weights * per_weight,
        decay=of.embeddings / own.decayed,
        load=2 * size / own.disk,
        save=2 * size / own.disk,
        flops=3e13 if device == "cuda" else own.flops * cores,
    )


def speedup(threads: int) -> float:
    """How much faster so many threads of a CPU are than one: three quarters of each further one.

    Example:
        >>> speedup(1), speedup(5)
        (1.0, 4.0)
    """
    return 1 + 0.75 * (threads - 1)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which machine it is, as far as its speed goes."""

    processor: str
    cores: int
    gpus: tuple[str, ...]
    torch: str | None

    @classmethod
    def here(cls) -> Identity:
        """This machine; torch is asked for its version only, and not loaded."""
        try:
            torch: str | None = version("torch")
        except PackageNotFoundError:
            torch = None
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return cls(_processor(), cores or 1, gpu_names(), torch)

    def __str__(self) -> str:
        said = f"{self.processor}, {self.cores} cores"
        return ", ".join([said, *self.gpus])


@cache
def machine_name() -> str:
    """This machine for whoever reads of a run: processor, cores, memory and GPUs, not its host.

    Such as ``AMD EPYC 9554, 16 cores, 135 GB of memory, 2 x NVIDIA H100 80GB HBM3``.
    """
    found = Identity.here()
    memory = readable_size(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    cores = f"{found.cores} {'core' if found.cores == 1 else 'cores'}"
    gpus = [f"{n} x {gpu}" if n > 1 else gpu for gpu, n in Counter(found.gpus).items()]
    return ", ".join([found.processor, cores, f"{memory} of memory", *gpus])


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def gpu_names(root: Path = Path("/proc/driver/nvidia/gpus")) -> tuple[str, ...]:
    """Names of NVIDIA's GPUs, as their driver tells them; none where torch may see none of them."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return ()
    names = []
    for path in sorted(root.glob("*/information")):
        found = re.search(r"^Model:\s*(.+)$", path.read_text(errors="replace"), re.MULTILINE)
        names.append(found[1].strip() if found else path.parent.name)
    return tuple(names)


@dataclass(frozen=True, slots=True)
class Measured:
    """One pass that was timed.

    Attributes:
        kind: of pass, one of :data:`KINDS`.
        mode: ``train`` or ``predict``.
        rows, width: of the micro-batch; an example is ``inputs`` rows.
        seconds: the least of its repetitions.
        memory: most bytes that it held beside weights and their moments; ``None`` if not known.
    """

    kind: str
    mode: str
    rows: int
    width: int
    inputs: int
    seconds: float
    memory: int | None

    @property
    def examples_per_second(self) -> float:
        """Examples, not rows."""
        return self.rows / self.inputs / self.seconds


@dataclass(frozen=True, slots=True)
class ProbeRecord:
    """What a probe found on one machine.

    Attributes:
        date: of the day, UTC.
        load: of the machine just before, processes that wanted a core.
        device, dtype, threads: that were measured.
        speeds: by name: matrix products in operations a second, ``float32`` and ``bfloat16`` of the
            device, ``thread`` in float32 of one thread of the CPU; ``write`` and ``read`` of the
            disk in bytes a second.
        imports: seconds that a process takes to import what trains.
        left_out: what was not measured, and why.
    """

    machine: Identity
    date: str
    load: float
    device: Device
    dtype: str
    threads: int
    encoder: str
    architecture: Architecture
    rates: Rates
    speeds: Mapping[str, float]
    imports: float
    passes: tuple[Measured, ...] = ()
    left_out: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """Of its file: one for each machine, device, number of threads and encoder's sizes."""
        return _file_name(self.machine, self.device, self.threads, self.architecture)

    def save(self, folder: Path) -> Path:
        """Write it into a results folder.

        Raises:
            ResourceError: the folder cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.name
        write_file(path, dump_json({"format": _FORMAT, **self.to_json()}))
        return path

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        passes = [
            {**asdict(own), "examples_per_second": own.examples_per_second} for own in self.passes
        ]
        return {**asdict(self), "rates": self.rates.dump(), "passes": passes}


_FORMAT = 1


def _file_name(machine: Identity, device: Device, threads: int, of: Architecture) -> str:
    parts = (machine, device, threads, of)
    return f"probe.{hash_bytes(repr(parts).encode()).sha256[:12]}.json"


def find_probe(
    folder: Path, machine: Identity, device: Device, threads: int, of: Architecture
) -> ProbeRecord | None:
    """What an earlier probe of this very machine found; never another one's.

    A file that cannot be read is none.
    """
    path = folder / _file_name(machine, device, threads, of)
    if not path.is_file():
        return None
    try:
        content = parse_json(read_document(path), str(path))
        if content.pop("format") != _FORMAT:
            return None
        content["machine"] = Identity(
            **{**content["machine"], "gpus": tuple(content["machine"]["gpus"])}
        )
        content["architecture"] = Architecture(**content["architecture"])
        content["rates"] = Rates.read(content["rates"])
        content["passes"] = tuple(
            Measured(**{name: own[name] for name in Measured.__slots__})
            for own in content["passes"]
        )
        content["left_out"] = tuple(content["left_out"])
        found = ProbeRecord(**content)
    except (ArtifactError, KeyError, TypeError, ValueError, AttributeError):
        return None
    same = (found.machine, found.device, found.threads, found.architecture)
    return found if same == (machine, device, threads, of) else None
