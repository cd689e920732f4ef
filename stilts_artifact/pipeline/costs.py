"""What steps cost: rates of an encoder on a machine, and a shipped table for all else."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any, NamedTuple

from stilts_artifact.benchmark.encoders import ARCHITECTURES, pinned_as
from stilts_artifact.benchmark.tasks import ROWS
from stilts_artifact.config.schema import Scale
from stilts_artifact.documents import parse_json, parse_yaml, read_document
from stilts_artifact.domain.tasks import Split, TaskForm
from stilts_artifact.errors import ArtifactError, unknown_name
from stilts_artifact.model.batching import MULTIPLE
from stilts_artifact.model.hub import PhaseOne
from stilts_artifact.model.manifest import CONFIG
from stilts_artifact.pipeline.job import Device
from stilts_artifact.pipeline.rates import (
    EMBEDDED,
    FORMS,
    PREDICTED,
    SENTENCES,
    TEXT,
    TRAINED,
    UNCERTAIN,
    Architecture,
    Basis,
    ProbeRecord,
    Rates,
    guess,
    speedup,
)
from stilts_artifact.pipeline.step import Graph, KeyedStep
from stilts_artifact.pipeline.tasks.params import (
    AlignParams,
    EncoderParams,
    IntermediateParams,
    PrepareParams,
    RetrieveParams,
    SplitParams,
    TargetParams,
    TextParams,
)

_FILE = "throughput.yaml"
_FORMS = {row.name: row.form for row in ROWS}


@dataclass(frozen=True, slots=True)
class Speed:
    """What one kind of step costs beside the work of the model.

    Attributes:
        seconds: whatever it works on.
        tokens_per_second: for what it reads; ``None`` if that is in ``seconds``.
        language_seconds: for each language of its data.
        example_milliseconds: for each example that is decoded, or searched for.
        bytes: its result takes, whatever it works on, beside the weights of a trained model.
        bytes_per_token: for what it reads.
    """

    seconds: float = 0.0
    tokens_per_second: float | None = None
    language_seconds: float = 0.0
    example_milliseconds: float = 0.0
    bytes: float = 0.0
    bytes_per_token: float = 0.0


@dataclass(frozen=True, slots=True)
class Extent:
    """Examples of a task's training split, of one language of another; tokens of an example.

    Attributes:
        tokens: of all inputs that an example has.
        dev: of one language of the development split, where that is much smaller than the test.
        inputs: of an example: the choices of a question, the two sides of a pair of sentences.
    """

    train: int
    rows: int
    tokens: float
    dev: int | None = None
    inputs: int = 1

    @property
    def width(self) -> float:
        """Tokens of one input."""
        return self.tokens / self.inputs


class Smaller(NamedTuple):
    """A scale's smaller encoder: name, commit and layers, and its costs."""

    encoder: tuple[str, str, int | None]
    costs: Costs


class _Work(NamedTuple):
    """What an optimiser step, or all that is predicted, is made of."""

    examples: float
    tokens: float
    width: float


_PADDING = {"pair": 2.0, "choice": 1.4, "tagging": 2.7, "span": 1.6, TEXT: 1.6}
"""Padded tokens for each token of a step whose examples come in random order, as one micro-batch:
so a GPU takes them. Drawn from the length distributions of the paper's tasks, 200 steps of each:
pairs 1.9 to 2.3, choices 1.2 to 1.5, sentences to tag 2.65 to 2.8, spans 1.6."""


_ANY = Architecture(layers=24, hidden=1024, inner=4096, vocabulary=250_002)
"""Taken for an encoder that nobody has seen yet: XLM-R large."""


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of one scale on one kind of worker.

    Attributes:
        device: of a worker.
        machine: in words, whose times these are.
        rates: of the scale's encoder, on as many threads as a worker has.
        basis: how the rates are known.
        others: how the table's times of all other work are known.
        faster: how much faster than the table's machine the worker is at all other work.
        probe: that the rates are of, if they were measured here.
        imports: seconds until a worker's process has imported what it needs.
        checkpoint_every: optimiser steps between checkpoints; ``None`` for never.
        layer: share of the encoder's layers that sentences go through.
        architecture: of the encoder.
        threads: of a worker.
        smaller: costs of steps that start from the scale's smaller encoder.
    """

    device: Device
    machine: str
    kinds: Mapping[str, Speed]
    tasks: Mapping[str, Extent]
    rates: Rates
    basis: Basis
    others: Basis = "tabled"
    faster: float = 1.0
    probe: ProbeRecord | None = None
    imports: float = 0.0
    checkpoint_every: int | None = None
    layer: float = 1.0
    architecture: Architecture = _ANY
    threads: int = 1
    smaller: Smaller | None = None

    def basis_of(self, kind: str) -> Basis:
        """How the time of a kind of step is known."""
        return self.basis if kind in _MODEL else self.others

    def uncertain(self, seconds: Mapping[str, float]) -> float:
        """The factor, both ways, by which times may be wrong together.

        Args:
            seconds: by kind of step.
        """
        total = sum(seconds.values())
        if not total:
            return UNCERTAIN[self.basis]
        shares = [own / total * UNCERTAIN[self.basis_of(kind)] for kind, own in seconds.items()]
        return round(sum(shares), 1)

    def seconds(self, step: KeyedStep, graph: Graph) -> float:
        """Expected seconds of a step on one worker.

        Raises:
            ConfigError: the table does not know its kind.
        """
        if (other := self._smaller(step, graph)) is not None:
            return other.seconds(step, graph)
        speed = self.speed(step.kind)
        seconds = speed.seconds
        if speed.tokens_per_second:
            seconds += self.tokens(step, graph) / speed.tokens_per_second
        if speed.language_seconds or speed.example_milliseconds:
            for work, languages in _data(self, step, graph):
                seconds += languages * speed.language_seconds
                seconds += work.examples * speed.example_milliseconds / 1000
        seconds /= self.faster
        if step.kind == "encoder":
            # It is read and checked, and its copy written.
            seconds += self.rates.load + self.rates.save
        model = _MODEL.get(step.kind)
        return seconds if model is None else seconds + model(self, step, graph)

    def bytes(self, step: KeyedStep, graph: Graph) -> float:
        """Expected size of a step's result."""
        if (other := self._smaller(step, graph)) is not None:
            return other.bytes(step, graph)
        speed = self.speed(step.kind)
        weights = self.architecture.weights if step.kind in _TRAINING else 0
        return speed.bytes + speed.bytes_per_token * self.tokens(step, graph) + 4 * weights

    def work_bytes(self, step: KeyedStep, graph: Graph) -> float:
        """Expected size of what a step has while it runs, before it writes its result."""
        if (other := self._smaller(step, graph)) is not None:
            return other.work_bytes(step, graph)
        of = self.architecture
        if step.kind in _TRAINING:
            # Two checkpoints, of weights, two moments of each, and the best weights.
            return 2 * 4 * 4 * (of.weights if _trains_text(step) else of.trained)
        if step.kind == "retrieve":
            # The vectors of a language.
            works = _data(self, step, graph)
            return sum(4 * of.hidden * work.examples / languages for work, languages in works)
        return 0.0

    def _smaller(self, step: KeyedStep, graph: Graph) -> Costs | None:
        """Those of the smaller encoder, where a step starts from it."""
        if self.smaller is None or _encoder_of(step, graph) != self.smaller.encoder:
            return None
        return self.smaller.costs

    def tokens(self, step: KeyedStep, graph: Graph) -> float:
        """Tokens that a step reads, each once; 0 for a kind that reads none."""
        read = sum(work.tokens for work, _ in _data(self, step, graph))
        if step.kind != "align":
            return read
        # One side of the pairs of every language, and the source language once.
        languages = len(AlignParams.of(step.params).languages)
        return read / 2 * (languages + 1) / languages

    def speed(self, kind: str) -> Speed:
        """What one kind of step costs.

        Raises:
            ConfigError: the table does not know it.
        """
        if kind not in self.kinds:
            raise unknown_name(f"kind of step in {_FILE}", kind, self.kinds)
        return self.kinds[kind]

    def extent(self, task: str) -> Extent:
        """How much data a task has.

        Raises:
            ConfigError: the table does not know it.
        """
        if task not in self.tasks:
            raise unknown_name(f"task in {_FILE}", task, self.tasks)
        return self.tasks[task]

    def step_seconds(self, kind: str, batch: float, extent: Extent, pool: int) -> float:
        """One optimiser step on so many examples, the update of the weights left out.

        Args:
            pool: batches whose examples are sorted by length together.
        """
        tokens = batch * extent.tokens
        # Simulated with the cuts of training.batches: like lengths lie together, or a CPU cuts them
        # into a few batches of like length, or a GPU pads all to the longest.
        if pool > 1:
            padding, cuts = 1.05, 0.7
        elif self.device == "cpu":
            padding, cuts = 1.2, min(2.5, batch / 3)
        else:
            padding, cuts = _PADDING[kind], 0.7
        tokens *= padding
        batches = max(1.1, cuts + tokens / TRAINED[self.device])
        return self.rates.train[kind].seconds(tokens, extent.width, batches)

    def reading_seconds(self, kind: str, work: _Work, parts: float = 1) -> float:
        """Passes over data that nothing is trained on, in batches of like length.

        Args:
            parts: batches that are not full: the last one of each language.
        """
        embeds = kind == SENTENCES
        # Rows are padded to a multiple, but where a core embeds.
        padding = 0.0 if embeds and self.device == "cpu" else (MULTIPLE - 1) / 2
        tokens = work.tokens * (1 + padding / work.width)
        batches = parts + tokens / (EMBEDDED if embeds else PREDICTED)[self.device]
        return self.rates.predict[kind].seconds(tokens, work.width, batches)


def config_of(encoder: PhaseOne) -> Mapping[str, Any] | None:
    """An encoder's configuration: of its folder, or as it is known; ``None`` if neither.

    A run says what is wrong with one that cannot be read; a plan is of the usual sizes then.
    """
    config = ARCHITECTURES.get(pinned_as(encoder.name, encoder.revision) or "")
    if encoder.folder is not None:
        path, config = encoder.folder / CONFIG, None
        with suppress(ArtifactError):
            config = parse_json(read_document(path), str(path))
    if not isinstance(config, Mapping) or encoder.layers is None:
        return config if isinstance(config, Mapping) else None
    return {**config, "num_hidden_layers": encoder.layers}


def architecture_of(encoder: PhaseOne) -> Architecture | None:
    """The sizes of an encoder, as far as they are known."""
    config = config_of(encoder)
    return None if config is None else Architecture.of(config)


def load_costs(
    scale: Scale,
    encoder: PhaseOne | None = None,
    device: Device | None = None,
    probe: ProbeRecord | None = None,
) -> Costs:
    """The costs of a scale: by a probe of this machine, by the shipped table, or by a guess.

    Args:
        encoder: that is taken; by default the scale's.
        device: that is meant; where the table has nothing of it, the scale's first is taken.
        probe: of the machine and the encoder that are meant.

    Raises:
        ConfigError: the table has no such scale.
    """
    content = parse_yaml(resources.files(__package__).joinpath(_FILE).read_bytes(), _FILE)
    name = scale.extends or scale.name
    if name not in content["scales"]:
        error = unknown_name("scale", name, content["scales"])
        error.fix = "let a scale of your own extend one of these: it is then taken to be as fast"
        raise error
    tables = content["scales"][name]
    own: Device = next(iter(tables)) if device is None or device not in tables else device
    table = tables[own]
    usual = architecture_of(PhaseOne.of(scale.encoder))
    architecture = (encoder and architecture_of(encoder)) or usual or _ANY
    threads = scale.threads if own == "cpu" else 1
    basis: Basis = "guessed"
    rates, machine = guess(architecture, own, threads), content["machines"][own]
    if probe is not None:
        own, basis, rates, machine = probe.device, "probed", probe.rates, str(probe.machine)
    elif "rates" in table and architecture == usual:
        basis, rates = "tabled", Rates.read(table["rates"]).times(1 / speedup(threads))
    made = Costs(
        device=own,
        machine=machine,
        kinds={kind: Speed(**fields) for kind, fields in table["kinds"].items()},
        tasks={
            task: Extent(**fields)
            for task, fields in (content["tasks"] | content["sizes"].get(name, {})).items()
        },
        rates=rates,
        basis=basis,
        # Only where the encoder's rates were measured, all else was, too.
        others="tabled" if "rates" in table else "guessed",
        faster=1.0 if probe is None else _faster(probe.speeds["thread"] / content["flops"]),
        probe=probe,
        imports=content["imports"] if probe is None else probe.imports,
        checkpoint_every=scale.checkpoint_every,
        layer=min(1.0, scale.retrieval.layer / architecture.layers),
        architecture=architecture,
        threads=threads,
    )
    return made if scale.smaller is None else _with_smaller(made, PhaseOne.of(scale.smaller))


def _with_smaller(costs: Costs, encoder: PhaseOne) -> Costs:
    """The rates of a smaller encoder are this one's, in proportion to what is guessed of both."""
    of = architecture_of(encoder) or costs.architecture
    before, now = (guess(one, costs.device, costs.threads) for one in (costs.architecture, of))
    other = replace(costs, rates=costs.rates.carried(before, now), architecture=of)
    key = encoder.name, encoder.revision, encoder.layers
    return replace(costs, smaller=Smaller(key, other))


def _faster(ratio: float) -> float:
    """Of one thread at reading and parsing, by how much faster it multiplies matrices: units for
    matrices alone, which newer processors have, make nothing else faster."""
    return min(2.0, max(0.5, ratio))


def _rows(costs: Costs, params: SplitParams) -> float:
    """Examples of one language of a split."""
    extent = costs.extent(params.task)
    rows = extent.train if params.split is Split.TRAIN else extent.rows
    if params.split is Split.DEV and extent.dev is not None:
        rows = extent.dev
    return rows if params.rows is None else min(rows, params.rows)


def _extent(costs: Costs, params: SplitParams) -> Extent:
    """That of a task, as long as its inputs may be."""
    extent = costs.extent(params.task)
    if not isinstance(params, PrepareParams):
        return extent
    # What is longer is cut off, or cut into several inputs.
    return replace(extent, tokens=min(extent.tokens, params.max_length * extent.inputs))


def _work(costs: Costs, params: SplitParams, most: float = math.inf) -> _Work:
    """A split in all its languages, or the first rows of each."""
    extent = _extent(costs, params)
    examples = min(most, _rows(costs, params)) * len(params.languages)
    return _Work(examples, examples * extent.tokens, extent.width)


def _read(graph: Graph, step: KeyedStep, *names: str) -> Iterator[PrepareParams]:
    """Prepared data among the inputs of a step."""
    for name in names:
        if name in step.inputs:
            yield PrepareParams.of(graph.steps[step.inputs[name]].params)


def _data(costs: Costs, step: KeyedStep, graph: Graph) -> list[tuple[_Work, int]]:
    """What a step reads, and in how many languages."""
    kind, params = step.kind, step.params
    found: list[SplitParams] = []
    if kind == "prepare":
        found = [PrepareParams.of(params)]
    elif kind in ("predict", "probabilities"):
        found = list(_read(graph, step, "data", "dev"))
    elif kind == "retrieve":
        own = RetrieveParams.of(params)
        found = [own]
        if _FORMS[own.task] is TaskForm.MINING and own.split is not Split.DEV:
            # A threshold is chosen on development data, which are mined, too.
            found.append(own.model_copy(update={"split": Split.DEV}))
    elif kind == "align":
        found = [AlignParams.of(params)]
    return [(_work(costs, one), len(one.languages)) for one in found]


def _trains_text(step: KeyedStep) -> bool:
    """Whether all embeddings are trained, and not only those of what is read."""
    return step.kind == "intermediate" and IntermediateParams.of(step.params).mlm is not None


def _encoder_of(step: KeyedStep, graph: Graph) -> tuple[str, str, int | None] | None:
    """Name, commit and layers of the encoder of phase (i) behind a step, if there is one."""
    while step.kind != "encoder":
        address = step.inputs.get("model", step.inputs.get("encoder"))
        if address is None:
            return None
        step = graph.steps[address]
    params = EncoderParams.of(step.params)
    return params.name, params.revision, params.layers


def _kind_of(task: str) -> str:
    return FORMS[_FORMS[task]]


def _judged(costs: Costs, rows: int, data: PrepareParams) -> float:
    """One evaluation on the first development rows."""
    return costs.reading_seconds(_kind_of(data.task), _work(costs, data, rows))


def _trained(
    costs: Costs, steps: float, seconds: float, judged: float, every: int, *, whole: bool
) -> float:
    """A training run: its steps, evaluations and checkpoints, from loading to saving.

    Args:
        seconds: of a step without the update of the weights.
        judged: of one evaluation, each ``every`` steps and at the end.
        whole: whether all embeddings are trained.
    """
    rates, of = costs.rates, costs.architecture
    seconds += rates.whole_update if whole else rates.update + rates.decay
    evaluations = -(-steps // every)
    saved = 0.0
    if costs.checkpoint_every is not None:
        # Weights, two moments of each, and once there was an evaluation, the best weights.
        copies = 3 + (every <= costs.checkpoint_every)
        share = 1.0 if whole else of.trained / of.weights
        # None is written after the last step, which is evaluated whatever its number.
        saved = (steps - 1) // costs.checkpoint_every * copies * share
    return steps * seconds + evaluations * judged + rates.load + (1 + saved) * rates.save


def _target(costs: Costs, step: KeyedStep, graph: Graph) -> float:
    params = TargetParams.of(step.params)
    (data,) = _read(graph, step, "train")
    schedule, training = params.schedule, params.training
    steps = schedule.epochs * -(-_rows(costs, data) // schedule.batch)
    extent = _extent(costs, data)
    seconds = costs.step_seconds(_kind_of(data.task), schedule.batch, extent, training.length_pool)
    judged = sum(
        _judged(costs, training.development_rows, own) for own in _read(graph, step, "dev")
    )
    return _trained(costs, steps, seconds, judged, training.evaluate_every, whole=False)


def _intermediate(costs: Costs, step: KeyedStep, graph: Graph) -> float:
    """A mixture: as many steps as its tasks' epochs need, drawn by their capped sizes."""
    params = IntermediateParams.of(step.params)
    training, pool = params.training, params.training.length_pool
    parts, judged = [], 0.0
    for task, how in params.tasks.items():
        (data,) = _read(graph, step, f"train:{task}")
        rows = min(_rows(costs, data), how.cap or float("inf"))
        steps = how.epochs * -(-rows // how.batch)
        own = costs.step_seconds(_kind_of(task), how.batch, _extent(costs, data), pool)
        parts.append((rows, steps, own))
        for held_out in _read(graph, step, f"dev:{task}"):
            judged += _judged(costs, training.development_rows, held_out)
    if params.mlm is not None:
        parts.append(_text(costs, step, graph, params))
    rows = sum(part[0] for part in parts)
    mean = sum(part[0] * part[2] for part in parts) / rows
    steps = sum(part[1] for part in parts)
    whole = _trains_text(step)
    return _trained(costs, steps, mean, judged, training.evaluate_every, whole=whole)


def _text(
    costs: Costs, step: KeyedStep, graph: Graph, params: IntermediateParams
) -> tuple[float, float, float]:
    """Rows that count, steps, and seconds of a step of masked language modelling."""
    how, text = params.mlm, TextParams.of(graph.steps[step.inputs["text"]].params)
    if how is None:
        raise TypeError("a run without text")
    known, pool = costs.extent(TEXT), params.training.length_pool
    extent = replace(known, tokens=min(known.tokens, text.max_length))
    rows = float((text.rows or known.rows) * len(text.languages))
    rows = min(rows, how.cap or rows)
    batch, steps = float(how.batch), float(how.epochs * -(-rows // how.batch))
    if how.matched is not None:
        (data,) = _read(graph, step, "matched")
        matched = _work(costs, data)
        steps = how.matched.epochs * -(-matched.examples // how.matched.batch)
        batch = how.matched.epochs * matched.tokens / steps / extent.tokens
    return rows, steps, costs.step_seconds(TEXT, batch, extent, pool)


def _predicted(costs: Costs, step: KeyedStep, graph: Graph) -> float:
    seconds = costs.rates.load
    for data in _read(graph, step, "data", "dev"):
        languages = len(data.languages)
        read = costs.reading_seconds(_kind_of(data.task), _work(costs, data), languages)
        # Probabilities are computed in float32 whatever the scale computes in.
        full = step.kind == "probabilities" and costs.device == "cuda"
        seconds += read * (_FLOAT32 if full else 1)
    return seconds


_FLOAT32 = 12
"""Times as long as bfloat16 on a GPU that was not made for float32: an H200's peaks are 67 and 790
TFLOP/s."""


def _retrieved(costs: Costs, step: KeyedStep, graph: Graph) -> float:
    params = RetrieveParams.of(step.params)
    seconds = costs.rates.load
    for work, languages in _data(costs, step, graph):
        # Simulated with retrieval.encode: of each side of each language so many are not full.
        parts = 2 * languages * (8 if costs.device == "cpu" else 2)
        seconds += costs.reading_seconds(SENTENCES, work, parts) * costs.layer
        sides = work.examples / languages
        sides *= 1 if _FORMS[params.task] is TaskForm.SEARCH else 0.5
        # Every vector of one side is multiplied with every one of the other; twice, as a rule of
        # the search itself: the best of each row, and of each column.
        seconds += 2 * 2 * sides**2 * costs.architecture.hidden * languages / costs.rates.flops
    return seconds


_MODEL: Mapping[str, Callable[[Costs, KeyedStep, Graph], float]] = {
    "target": _target,
    "intermediate": _intermediate,
    "predict": _predicted,
    "probabilities": _predicted,
    "retrieve": _retrieved,
}
"""The work of the model, by kind of step."""
_TRAINING = ("intermediate", "target")
"""Kinds of steps whose results have the weights of an encoder."""
