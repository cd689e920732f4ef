"""How fast this machine is: a scale's encoder at its shapes, with random weights, for minutes.

What training and prediction do is done here with their own parts (model, heads, batches, optimiser)
on token ids that are drawn by chance. Where a pass of the scale's own size would take too long, it
has fewer rows, but never another encoder.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stilts_artifact.config.schema import Scale
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.domain.units import readable_size
from stilts_artifact.errors import ResourceError
from stilts_artifact.files import LockedFolder, disk_errors, hash_file
from stilts_artifact.pipeline.costs import Costs
from stilts_artifact.pipeline.job import Device
from stilts_artifact.pipeline.meter import Meter, release
from stilts_artifact.pipeline.rates import (
    FORMS,
    KINDS,
    PREDICTED,
    SENTENCES,
    TEXT,
    TRAINED,
    WORDS,
    Architecture,
    Identity,
    Measured,
    Pass,
    ProbeRecord,
    Rates,
    fit_pass,
)

if TYPE_CHECKING:
    import torch

    from stilts_artifact.training.batches import MicroBatch

BOUND_SECONDS = 90.0
"""After which nothing further is begun: what was not measured is said. On one thread of a CPU, of
its own time; on a machine that gives it little, of six times as many that pass."""
_PATIENCE = 6
_REPEATS = 2
_FIRST_WORD = 5  # below are special tokens
_LABELS = {"pair": 3, "tagging": 17, "span": 2}
_MASKED = 0.15
_MATRIX = {"cpu": 768, "cuda": 8192}
_ROUNDS = 64  # of decay of the embeddings
_CHUNK = 32 << 20  # bytes that are written at a time to see how fast the disk is


@dataclass(frozen=True, slots=True)
class Shape:
    """A micro-batch of a scale.

    Attributes:
        kind: of pass.
        rows: of its largest micro-batch; where nothing is trained, of one of prediction.
        width: tokens of a row.
        inputs: rows of an example.
    """

    kind: str
    rows: int
    width: int
    inputs: int = 1

    def __str__(self) -> str:
        return f"{self.rows} x {self.width}"

    @property
    def tokens(self) -> int:
        """Padded ones."""
        return self.rows * self.width

    def within(self, tokens: int) -> Shape:
        """With no more tokens than that, but at least one example."""
        examples = min(self.rows, tokens // self.width) // self.inputs
        return replace(self, rows=max(1, examples) * self.inputs)


def shapes_of(scale: Scale, costs: Costs) -> list[Shape]:
    """What a scale's optimiser steps look like: of each kind of pass the mean width, and the
    double of it; the mean ones come first."""
    steps: dict[str, list[tuple[int, float, int, int]]] = {}
    for name, form in _trained_tasks(scale):
        tuning, extent = scale.tuning(name), costs.extent(name)
        found = (tuning.batch, extent.width, extent.inputs, tuning.max_length)
        steps.setdefault(FORMS[form], []).append(found)
    text, mlm = costs.extent(TEXT), scale.mlm
    steps[TEXT] = [(mlm.batch, text.tokens, 1, mlm.max_length)]
    sentences = costs.extent("tatoeba")
    steps[SENTENCES] = [(PREDICTED[costs.device], sentences.width, 1, scale.retrieval.max_length)]
    made = []
    for factor in (1.0, 2.0):
        for kind, own in steps.items():
            batches, widths, inputs, longest = zip(*own, strict=True)
            width = min(round(sum(widths) / len(widths) * factor), max(longest))
            inputs_of = max(inputs)
            rows = round(sum(batches) / len(batches)) * inputs_of
            made.append(Shape(kind, rows, max(8, width), inputs_of))
    # What is cut off at a scale's longest input is the same twice.
    return list(dict.fromkeys(made))


def _trained_tasks(scale: Scale) -> Iterator[tuple[str, TaskForm]]:
    from stilts_artifact.benchmark.tasks import ROWS

    known = {row.name: row.form for row in ROWS}
    for name in (*scale.intermediate, *scale.targets):
        if name in known:
            yield name, known[name]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is probed.

    Attributes:
        config: of the encoder, as its ``config.json`` has it.
        name: of the encoder, in words.
        threads: of a CPU.
    """

    config: Mapping[str, Any]
    name: str
    architecture: Architecture
    scale: Scale
    shapes: Sequence[Shape]
    device: Device
    threads: int


def probe(
    subject: Subject,
    folder: Path,
    *,
    bound: float = BOUND_SECONDS,
    note: Callable[[str], None] = lambda _: None,
) -> ProbeRecord:
    """Measure this machine.

    Args:
        bound: seconds of measuring passes, see :data:`BOUND_SECONDS`.
        folder: on the disk that results will lie on; what is written there is deleted.

    Raises:
        ResourceError: the encoder does not fit into memory, or the disk is full.
        IntegrityError: the configuration is no encoder's.
    """
    from stilts_artifact.training.determinism import fixed_arithmetic

    load = os.getloadavg()[0]
    # One thread of a CPU is given what it used, and not what others of a crowded machine took.
    alone = subject.device == "cpu" and subject.threads == 1
    session = _Probe(subject, time.process_time if alone else time.perf_counter, bound, note)
    note("libraries")
    imports = _import_seconds()
    with disk_errors(folder, instead="another --store"):
        scratch = LockedFolder.take(folder / "work", "probe")
    try:
        with fixed_arithmetic(subject.threads):
            speeds = session.matrices()
            speeds |= _disk(scratch.path)
            rates = session.rates(scratch.path, speeds)
    finally:
        scratch.remove()
    return ProbeRecord(
        machine=Identity.here(),
        date=datetime.now(UTC).date().isoformat(),
        load=round(load, 2),
        device=subject.device,
        dtype=session.dtype,
        threads=subject.threads,
        encoder=subject.name,
        architecture=subject.architecture,
        rates=rates,
        speeds=speeds,
        imports=imports,
        passes=tuple(session.passes),
        left_out=tuple(session.left_out),
    )


class _Probe:
    """A probe under way.

    Attributes:
        passes: that were timed.
        left_out: what was not, and why.
    """

    def __init__(
        self,
        subject: Subject,
        clock: Callable[[], float],
        bound: float,
        note: Callable[[str], None],
    ) -> None:
        from stilts_artifact.model.inference import computed_dtype

        self.subject, self._clock, self._note = subject, clock, note
        self._bound = bound
        self._begin()
        # What is left is shared out among the passes that are left.
        self._remaining = 2 * len(subject.shapes) + 2 * len(KINDS)
        self.dtype = computed_dtype(subject.device, subject.scale.dtype)
        self.passes: list[Measured] = []
        self.left_out: list[str] = []

    def _begin(self) -> None:
        """The bound counts from here."""
        self._ends = self._clock() + self._bound
        self._latest = time.monotonic() + _PATIENCE * self._bound

    def rates(self, scratch: Path, speeds: Mapping[str, float]) -> Rates:
        """All that is measured with the encoder."""
        import torch

        from stilts_artifact.training.embeddings import put_back, use_rows

        of = self.subject.architecture
        words = min(WORDS, of.vocabulary)
        self._require_memory(16 * of.trained + 4 * of.embeddings)
        torch.manual_seed(1)
        self._note("encoder with random weights")
        encoder, built = self._build(scratch)
        load, save = self._saved(encoder, scratch, speeds)
        self._begin()
        # First, as it takes a third of training's time: nothing of either may be left out.
        self._predict(encoder)
        encoder.to("cpu")
        whole = use_rows(encoder, [torch.arange(words).numpy()])
        update = self._train(encoder, [kind for kind in KINDS if kind not in (TEXT, SENTENCES)])
        encoder.to("cpu")
        again = partial(put_back, encoder, whole, [1.0] * _ROUNDS, self.subject.device)
        _, decayed = self._timed_once(again)
        whole_update = self._train_text(encoder, update)
        return Rates(
            train=self._fitted("train"),
            predict=self._fitted("predict"),
            update=update,
            whole_update=whole_update,
            decay=decayed / _ROUNDS,
            load=built + load,
            save=save,
            flops=speeds["float32"],
        )

    def matrices(self) -> dict[str, float]:
        """Operations a second of square products, by type; ``thread``: float32 on one of a CPU."""
        import torch

        device, found = self.subject.device, {}
        threads = torch.get_num_threads()
        for dtype in (torch.float32, torch.bfloat16):
            found[str(dtype).removeprefix("torch.")] = self._product(device, dtype)
        torch.set_num_threads(1)
        try:
            found["thread"] = self._product("cpu", torch.float32)
        finally:
            torch.set_num_threads(threads)
        return found

    def _product(self, device: str, dtype: torch.dtype) -> float:
        import torch

        size = _MATRIX[device]
        matrix = torch.randn(size, size).to(device, dtype)
        torch.mm(matrix, matrix)
        return 2 * size**3 / self._best(lambda: torch.mm(matrix, matrix))

    def _build(self, scratch: Path) -> tuple[Any, float]:
        """The encoder, and how long it took."""
        from stilts_artifact.documents import dump_json
        from stilts_artifact.files import write_file
        from stilts_artifact.model.loading import untrained
        from stilts_artifact.model.manifest import CONFIG

        small = {"num_hidden_layers": 1, "vocab_size": 100}
        write_file(scratch / CONFIG, dump_json({**self.subject.config, **small}))
        # The first one imports its class, which a worker does once.
        untrained(scratch)
        write_file(scratch / CONFIG, dump_json(dict(self.subject.config)))
        return self._timed_once(lambda: untrained(scratch))

    def _saved(
        self, encoder: Any, scratch: Path, speeds: Mapping[str, float]
    ) -> tuple[float, float]:
        """Seconds to read and check the weights, and to write them, with what the disk takes."""
        from stilts_artifact.model.loading import export_state
        from stilts_artifact.model.manifest import WEIGHTS, verify_folder
        from stilts_artifact.model.weights import read_tensors
        from stilts_artifact.pipeline.tasks.train import write_weights

        self._note("disk")
        state = export_state(encoder)
        size = sum(tensor.nbytes for tensor in state.values())
        with disk_errors(scratch, instead="another --store"):
            _, written = self._timed_once(lambda: write_weights(scratch, state))
            # Once more when the step's result is published.
            _, hashed = self._timed_once(lambda: hash_file(scratch / WEIGHTS))
            _, read = self._timed_once(
                lambda: (verify_folder(scratch), read_tensors(scratch / WEIGHTS))
            )
        return read + size / speeds["read"], written + hashed + size / speeds["write"]

    def _train(self, encoder: Any, kinds: Sequence[str]) -> float:
        """Passes forward and backward, and the update of the weights after one."""
        from torch import nn

        from stilts_artifact.model.forms import task_head

        forms = {kind: form for form, kind in FORMS.items()}
        heads: dict[str, nn.Module] = {}
        for shape in self.subject.shapes:
            if shape.kind in kinds and shape.kind not in heads:
                labels = _LABELS.get(shape.kind, shape.inputs)
                heads[shape.kind] = task_head(forms[shape.kind], encoder.config, labels)
        return self._trained(encoder, heads)

    def _train_text(self, encoder: Any, update: float) -> float:
        from stilts_artifact.model.heads import MaskedLanguageHead

        of = self.subject.architecture
        needed = 16 * of.weights
        if needed > _free_memory(self.subject.device):
            self.left_out.append(
                f"{TEXT}: all embeddings with their moments take {readable_size(needed)}"
            )
            return update * of.weights / of.trained
        return self._trained(encoder, {TEXT: MaskedLanguageHead(encoder)})

    def _trained(self, encoder: Any, heads: Mapping[str, Any]) -> float:
        import torch

        from stilts_artifact.training.state import MultiTaskModel, adamw, set_dropout

        training = self.subject.scale.training_config(1, 1e-5)
        model = MultiTaskModel(encoder, heads).to(self.subject.device).train(True)
        if training.dropout is not None:
            set_dropout(model, training.dropout)
        optimizer = adamw(model, training)

        def update() -> None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), training.clip)
            optimizer.step()

        def passed(kind: str, batch: MicroBatch) -> None:
            # As before the first pass of a step.
            optimizer.zero_grad(set_to_none=True)
            with self._precision():
                loss = model(kind, batch)
            loss.backward()

        for shape in self._each("train", heads):
            self._pass("train", shape, lambda own: partial(passed, own.kind, _batch(own, encoder)))
        # There is a gradient now. The first update makes the moments.
        update()
        taken = self._best(update)
        optimizer.state.clear()
        optimizer.zero_grad(set_to_none=True)
        return taken + self._cut()

    def _cut(self) -> float:
        """Making the micro-batches of an optimiser step of unlike lengths."""
        import numpy as np

        from stilts_artifact.training.batches import FITS, micro_batches

        shape = self.subject.shapes[0]
        rows = _rows(replace(shape, kind="pair", inputs=1), 100, uneven=True)
        chosen = np.arange(len(rows))
        fit = FITS[self.subject.device]
        return self._best(lambda: micro_batches(rows, chosen, fit, 1))

    def _predict(self, encoder: Any) -> None:
        from stilts_artifact.model.forms import task_head

        device = self.subject.device
        encoder.to(device).train(False)
        forms = {kind: form for form, kind in FORMS.items()}
        for shape in self._each("predict", KINDS):
            head = None
            if shape.kind not in (TEXT, SENTENCES):
                labels = _LABELS.get(shape.kind, shape.inputs)
                head = task_head(forms[shape.kind], encoder.config, labels).to(device).train(False)
            self._pass("predict", shape, partial(self._prediction, encoder, head))

    def _prediction(self, encoder: Any, head: Any, shape: Shape) -> Callable[[], None]:
        """What prediction does with a batch; without a head, what embedding does."""
        import torch

        from stilts_artifact.model.inference import encode

        of, device = self.subject.architecture, self.subject.device
        ids = torch.randint(_FIRST_WORD, of.vocabulary, (shape.rows, shape.width))

        def passed() -> None:
            with torch.inference_mode(), self._precision():
                made = encode(encoder, ids.to(device))
                scores = made.last_hidden_state.mean(1) if head is None else head(made)
                scores.float().cpu()

        return passed

    def _each(self, mode: str, kinds: Any) -> Iterator[Shape]:
        """Shapes of a mode: of each kind one row first, by which the others are kept short."""
        most = (TRAINED if mode == "train" else PREDICTED)[self.subject.device]
        shapes = [shape for shape in self.subject.shapes if shape.kind in kinds]
        if mode == "predict":
            shapes = [replace(shape, rows=most) for shape in shapes]
        seen: set[str] = set()
        for shape in shapes:
            if shape.kind not in seen:
                seen.add(shape.kind)
                yield replace(shape, rows=shape.inputs, width=max(8, shape.width // 2))
            yield self._short(mode, shape.within(most))

    def _short(self, mode: str, shape: Shape) -> Shape:
        """With as many rows as the time that is left allows."""
        known = [own for own in self.passes if (own.kind, own.mode) == (shape.kind, mode)]
        if not known:
            return shape
        slowest = max(own.seconds / (own.rows * own.width) for own in known)
        allowed = max(0.0, self._left()) / max(1, self._remaining) / (_REPEATS + 1)
        return shape.within(max(1, int(allowed / slowest)))

    def _pass(self, mode: str, shape: Shape, make: Callable[[Shape], Callable[[], None]]) -> None:
        """Time one pass, unless the time is over and its kind was measured before.

        Raises:
            ResourceError: memory does not hold one example.
        """
        import torch

        from stilts_artifact.model.memory import Fitting

        self._remaining -= 1
        known = any((own.kind, own.mode) == (shape.kind, mode) for own in self.passes)
        said = f"{shape.kind}, {mode}"
        if known and self._left() <= 0:
            self.left_out.append(f"{said}: {shape}: no time was left")
            return
        self._note(f"{said}: {shape}")
        of, device = self.subject.architecture, torch.device(self.subject.device)
        fitting = Fitting(f"probe, {said}", device, (of.layers, of.hidden))
        run = make(shape)
        while (
            memory := fitting.attempt(
                shape.rows // shape.inputs, shape.tokens, partial(self._memory_of, run)
            )
        ) is None:
            self.left_out.append(f"{said}: {shape}: more than memory holds")
            shape = shape.within(shape.tokens // 2)
            run = make(shape)
        best = self._best(run)
        self.passes.append(
            Measured(shape.kind, mode, shape.rows, shape.width, shape.inputs, best, memory or None)
        )

    def _memory_of(self, run: Callable[[], None]) -> int:
        """Do a pass for the first time: bytes that it took at its peak."""
        # Else it takes of what the C library, and torch of a GPU, keep of the passes before.
        release(0)
        if self.subject.device == "cuda":
            import torch

            torch.cuda.empty_cache()
        meter = Meter()
        before = _held(meter)
        run()
        return max(0, _held(meter) - before)

    def _fitted(self, mode: str) -> dict[str, Pass]:
        """Costs of each kind of pass; of one that was measured once or not at all, as of pairs."""
        points: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in KINDS}
        for own in self.passes:
            if own.mode == mode:
                points[own.kind].append((own.rows * own.width, own.width, own.seconds))
        usual = fit_pass(points["pair"])
        found = {}
        for kind, known in points.items():
            if len(known) > 1:
                found[kind] = fit_pass(known)
            else:
                # One point cannot tell overhead from tokens.
                ratio = [seconds / usual.seconds(*shape) for *shape, seconds in known]
                found[kind] = usual.times(ratio[0] if ratio else 1.0)
        return found

    def _left(self) -> float:
        """Seconds until the bound, or until patience runs out."""
        return min(self._ends - self._clock(), self._latest - time.monotonic())

    def _best(self, run: Callable[[], Any]) -> float:
        """The least seconds of some repetitions: the others were slowed by what else the machine
        does. The caller has done it once, for what a first use costs."""
        self._wait()
        found = []
        for _ in range(_REPEATS):
            began = self._clock()
            run()
            self._wait()
            found.append(self._clock() - began)
        return max(min(found), 1e-7)

    def _timed_once(self, run: Callable[[], Any]) -> tuple[Any, float]:
        began = self._clock()
        made = run()
        return made, self._clock() - began

    def _wait(self) -> None:
        if self.subject.device == "cuda":
            import torch

            # Until then it is only queued.
            torch.cuda.synchronize()

    def _precision(self) -> Any:
        from stilts_artifact.model.inference import precision

        return precision(self.subject.device, self.subject.scale.dtype)

    def _require_memory(self, needed: int) -> None:
        """Refuse to fill the memory of a machine that others use too.

        Raises:
            ResourceError: the encoder, its gradients and moments do not fit.
        """
        free = _free_memory(self.subject.device)
        if needed > free:
            raise ResourceError(
                f"{self.subject.name} does not fit into memory to be trained",
                got=f"{readable_size(free)} free",
                expected=f"{readable_size(needed)} for weights, gradients and moments, and more",
                fix="probe a machine that has them; without --probe the plan is of tabled times",
            )


def _rows(shape: Shape, words: int, *, uneven: bool = False) -> Any:
    """Training rows of ids drawn by chance.

    Args:
        words: of the vocabulary, the first ones.
        uneven: rows have all lengths up to the width.
    """
    import numpy as np

    from stilts_artifact.training.batches import Ragged, Rows

    random = np.random.default_rng(1)
    lengths = np.full(shape.rows, shape.width)
    if uneven:
        lengths = random.integers(1, shape.width + 1, shape.rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = random.integers(_FIRST_WORD, words, int(offsets[-1]))
    inputs, examples = Ragged(values, offsets), shape.rows // shape.inputs
    if shape.kind == TEXT:
        return Rows(inputs, None)
    labels: Any = random.integers(_LABELS.get(shape.kind, shape.inputs), size=examples)
    if shape.kind == "tagging":
        labels = Ragged(random.integers(_LABELS["tagging"], size=len(values)), offsets)
    elif shape.kind == "span":
        labels = np.sort(random.integers(shape.width, size=(examples, 2)), axis=1)
    return Rows(inputs, labels, shape.inputs if shape.kind == "choice" else 1)


def _batch(shape: Shape, encoder: Any) -> MicroBatch:
    """One micro-batch of a shape, made as training makes them."""
    import numpy as np
    import torch

    from stilts_artifact.model.masking import Vocabulary
    from stilts_artifact.training.batches import Fit, Masking, masked_batches, micro_batches

    size, padding = int(encoder.config.vocab_size), int(encoder.config.pad_token_id)
    rows = _rows(shape, min(WORDS, size))
    all_rows = Fit(tokens=shape.tokens, overhead=shape.tokens, multiple=1)
    if shape.kind == TEXT:
        specials = tuple(range(_FIRST_WORD))
        masking = Masking(_MASKED, Vocabulary(size, specials, specials[-1]))
        generator = torch.Generator().manual_seed(1)
        made = masked_batches(rows, np.arange(len(rows)), all_rows, masking, padding, generator)
    else:
        made = micro_batches(rows, np.arange(len(rows)), all_rows, padding)
    return made[0]


def _disk(folder: Path) -> dict[str, float]:
    """Bytes a second: ``write``, until the disk holds them, and ``read``, from the disk itself
    where the system can be told to forget what it keeps of it."""
    path, data = folder / "speed", os.urandom(1 << 20) * (_CHUNK >> 20)
    written, read = [], []
    with disk_errors(folder, instead="another --store"):
        for _ in range(_REPEATS):
            began = time.perf_counter()
            with path.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            written.append(time.perf_counter() - began)
            with path.open("rb") as file:
                if hasattr(os, "posix_fadvise"):
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                began = time.perf_counter()
                file.read()
                read.append(time.perf_counter() - began)
        path.unlink()
    return {"write": _CHUNK / min(written), "read": _CHUNK / min(read)}


def _import_seconds() -> float:
    """CPU seconds that a worker's process takes until it can train."""
    code = "import torch, datasets\nfrom transformers import XLMRobertaModel"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _free_memory(device: Device) -> int:
    """Bytes that can still be had; without limit where nobody tells."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return sys.maxsize
    found = dict(line.split(":", 1) for line in lines)
    return int(found["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in found else sys.maxsize


def _held(meter: Meter) -> int:
    used = meter.used()
    return used.get("gpu_memory", used["memory"])
