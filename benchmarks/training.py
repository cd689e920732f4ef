"""Training throughput: the package's loop against one that pads all to the maximum, at equal loss.

    python -m benchmarks.training DATA

A small XLM-R on the CPU with the settings of scale mini, on HellaSwag as multiple choice, SQuAD as
spans, and the inputs of both as text with hidden words. The textbook loop takes examples in random
order and pads every input to the task's maximum at paper scale; all else is the package's own:
heads, clipping, schedule and fused AdamW, so that what is measured is what lengths save. Sides run
in turn, round after round; the ratio is that of the medians of the processor's time, which other
programs on the machine change less. The held-out loss is that of rows that neither trains on.
Without sorting by length (``length_pool: 1``, as at paper scale) this package takes the textbook's
own steps, and ends at its loss but for rounding; hidden words are drawn anew for another width.

Beside the ratio stands the one of operations: 6 for each weight and token, 12 x layers x hidden x
length for attention (Kaplan et al. 2020, table 1), and 6 for each output weight and hidden word. No
loop that computes every token of every input can save more of them.

Measured at load 8 to 18 on 2 cores of a Xeon with AMX (family 6, model 207), one thread, torch
2.13.0, --rows 400 --rounds 3. Times as fast as the textbook loop, and held-out loss:

                      operations  same steps  sorted by length  loss, textbook and the two
    hellaswag               2.99        2.05              2.16  1.37774  1.37774  1.38350
    hellaswag as text       2.64        2.12              2.24  8.43619  8.46106  8.49717
    squad_v1                2.55        2.20              2.37  5.06619  5.06619  5.06235
    squad_v1 as text        2.30        1.86              2.13  8.61278  8.61238  8.62034

So few rows teach endings nothing: 1.386 is chance. What is left of the operations' ratio goes into
padding, 13 % of HellaSwag's tokens when sorted, as an example's four endings are padded to the
longest of them, and 2 to 4 % of the others'; and into what a pass costs whatever is in it, which
training/batches.py puts at 130 tokens of about 2,000. Another cut would change the last bits of
recorded results. To a maximum of 128, scale small's, HellaSwag's operations have a ratio of 1.39.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import XLMRobertaModel

from stilts_artifact.config.load import load_scale
from stilts_artifact.config.schema import TrainingConfig
from stilts_artifact.data.readers import READERS
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.model.forms.choice import choice_features
from stilts_artifact.model.forms.span import span_windows
from stilts_artifact.model.heads import MaskedLanguageHead
from stilts_artifact.pretraining.batches import PAD, train_tokenizer, words_and_specials
from stilts_artifact.pretraining.pretrain import new_config
from stilts_artifact.pretraining.recipe import SHIPPED
from stilts_artifact.training.batches import (
    FITS,
    Fit,
    Integers,
    Masking,
    MicroBatch,
    Ragged,
    Rows,
    masked_batches,
    micro_batches,
)
from stilts_artifact.training.checkpoints import Checkpointing
from stilts_artifact.training.determinism import derived_seed, fixed_arithmetic
from stilts_artifact.training.loop import train
from stilts_artifact.training.schedule import Schedule, linear_rate
from stilts_artifact.training.state import MultiTaskModel, TrainingTask, adamw, fresh_head

PIECES = 8000
NAME = "task"
WHOLE = 1 << 40
"""Tokens that no step has: nothing is cut."""
TARGET = 2.0
TEXTBOOK = "padded to the maximum"
SAME_STEPS = "this package, same steps"
SORTED = "this package"


@dataclass(frozen=True)
class Subject:
    """Rows of one task, and how they are trained on.

    Args:
        maximum: that the textbook loop pads to.
        batch: examples of a step.
        form: ``None`` for text with hidden words.
        test: examples that are not trained on.
    """

    name: str
    maximum: int
    batch: int
    form: TaskForm | None
    rows: Rows
    test: Rows


@dataclass(frozen=True)
class Settings:
    """What all runs share."""

    config: TrainingConfig
    probability: float
    vocabulary: int

    @property
    def masking(self) -> Masking:
        """Of text."""
        return Masking(self.probability, words_and_specials(self.vocabulary))


def load_subjects(data: Path, size: int) -> tuple[list[Subject], int]:
    """About ``size`` rows of each task, and the size of their vocabulary."""
    document = json.loads((data / "squad" / "train-v1.1.first50articles.json").read_text())
    squad = READERS["squad"](json.dumps({"version": "1.1", **document}).encode(), "squad")
    items = json.loads(
        gzip.decompress((data / "hellaswag" / "train.sample3000.json.gz").read_bytes())
    )
    # The publisher of this sample turned the labels into text.
    lines = "".join(
        json.dumps({**item, "label": int(item["label"])}) + "\n" for item in items
    ).encode()
    hellaswag = READERS["hellaswag"](lines, "hellaswag")
    squad, hellaswag = (
        Stream(1, "squad").shuffled(squad),
        Stream(1, "hellaswag").shuffled(hellaswag),
    )
    texts = [example.context for example in squad] + [
        choice for example in hellaswag for choice in example.choices
    ]
    tokenizer = train_tokenizer(texts, PIECES)
    mini, paper = load_scale("mini"), load_scale("paper")
    longest = {name: task.max_length for name, task in paper.intermediate.items()}
    batches = {name: task.batch for name, task in mini.intermediate.items()}
    choices = choice_features(tokenizer, hellaswag[: size // 4], longest["hellaswag"])
    windows = span_windows(tokenizer, squad[:size], max_length=longest["squad_v1"])
    whole = {
        "hellaswag": (
            TaskForm.CHOICE,
            Rows(
                _ragged([row for item in choices for row in item.choices]),
                np.array([item.label for item in choices]),
                choices=4,
            ),
        ),
        "squad_v1": (
            TaskForm.SPAN,
            Rows(
                _ragged([window.input_ids for window in windows]),
                np.array([[window.start, window.end] for window in windows]),
            ),
        ),
    }
    subjects = []
    for name, (form, rows) in whole.items():
        text = Rows(rows.inputs, None)
        subjects += [
            Subject(name, longest[name], batches[name], form, *_split(rows)),
            Subject(f"{name} as text", longest[name], mini.mlm.batch, None, *_split(text)),
        ]
    return subjects, len(tokenizer)


def _ragged(rows: Sequence[Sequence[int]]) -> Ragged:
    return Ragged(np.concatenate(rows), np.cumsum([0, *map(len, rows)]))


def _split(rows: Rows) -> tuple[Rows, Rows]:
    """Nine tenths of the examples, and the last tenth."""
    examples = len(rows) * 9 // 10
    at = examples * rows.choices
    values, offsets, labels = rows.inputs.values, rows.inputs.offsets, rows.labels
    middle = offsets[at]
    parts = (
        (Ragged(values[:middle], offsets[: at + 1]), slice(None, examples)),
        (Ragged(values[middle:], offsets[at:] - middle), slice(examples, None)),
    )
    first, second = (
        Rows(inputs, None if labels is None else np.asarray(labels)[own], rows.choices)
        for inputs, own in parts
    )
    return first, second


def fresh(subject: Subject, settings: Settings) -> tuple[XLMRobertaModel, TrainingTask]:
    """An untrained encoder, and the task with an untrained head; the same at every call."""
    torch.manual_seed(1)
    encoder = XLMRobertaModel(
        new_config(SHIPPED, settings.vocabulary, SHIPPED.dropout), add_pooling_layer=True
    )
    head, masking = (
        (MaskedLanguageHead(encoder), settings.masking)
        if subject.form is None
        else (fresh_head(subject.form, encoder, subject.rows.choices, 1, NAME), None)
    )
    task = TrainingTask(NAME, subject.rows, head, 1, subject.batch, masking=masking)
    return encoder, task


def batches_of(
    task: TrainingTask, rows: Rows, examples: Integers, fit: Fit, seed: int
) -> list[MicroBatch]:
    """Some examples, cut as ``fit`` says."""
    if task.masking is None:
        return micro_batches(rows, examples, fit, PAD)
    generator = torch.Generator().manual_seed(seed)
    return masked_batches(rows, examples, fit, task.masking, PAD, generator)


def textbook(
    encoder: XLMRobertaModel, task: TrainingTask, config: TrainingConfig, maximum: int
) -> None:
    """The usual loop: a random order, a fixed number of examples, all padded to the maximum."""
    schedule = Schedule((task.share,), config.seed)
    model = MultiTaskModel(encoder, {NAME: task.head}).train()
    optimizer = adamw(model, config)
    # Rounded up to a multiple of the maximum, each length is the maximum.
    fit = Fit(WHOLE, overhead=WHOLE, multiple=maximum)
    with fixed_arithmetic(config.threads):
        for step in range(schedule.steps):
            torch.manual_seed(derived_seed(config.seed, "step", step))
            (batch,) = batches_of(task, task.rows, schedule.draw(step).examples, fit, step)
            torch.autograd.backward(model(NAME, batch))
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * linear_rate(
                    step, schedule.steps, config.warmup
                )
            optimizer.step()
            optimizer.zero_grad()


def ours(encoder: XLMRobertaModel, task: TrainingTask, config: TrainingConfig) -> None:
    """What the package does."""
    with tempfile.TemporaryDirectory() as folder:
        train(encoder, [task], config, checkpoints=Checkpointing(Path(folder), WHOLE), origin="")


def held_out_loss(encoder: XLMRobertaModel, task: TrainingTask, test: Rows) -> float:
    """Mean loss of rows that are not trained on; the same hidden words every time."""
    model = MultiTaskModel(encoder, {NAME: task.head}).train(False)
    with torch.inference_mode():
        made = batches_of(task, test, np.arange(len(test)), FITS["cpu"], 0)
        return math.fsum(batch.weight * model(NAME, batch).item() for batch in made)


def operations(widths: Integers, lengths: Integers, subject: Subject, settings: Settings) -> float:
    """Of training on rows of these padded and real lengths."""
    weights = SHIPPED.layers * SHIPPED.hidden * (4 * SHIPPED.hidden + 2 * SHIPPED.feed_forward)
    attention = 12 * SHIPPED.layers * SHIPPED.hidden
    made = float((widths * (6 * weights + attention * widths)).sum())
    if subject.form is None:
        words = settings.probability * float(lengths.sum())
        made += words * 6 * SHIPPED.hidden * settings.vocabulary
    return made


def compare(subject: Subject, settings: Settings, rounds: int) -> None:
    """Print the speed and loss of all sides, and the ratios of the speeds."""
    lengths = subject.rows.inputs.lengths
    seconds: dict[str, list[float]] = {}
    losses: dict[str, float] = {}
    before = held_out_loss(*fresh(subject, settings), subject.test)
    random = settings.config.model_copy(update={"length_pool": 1})
    sides: dict[str, Callable[[XLMRobertaModel, TrainingTask], None]] = {
        TEXTBOOK: lambda encoder, task: textbook(encoder, task, random, subject.maximum),
        SAME_STEPS: lambda encoder, task: ours(encoder, task, random),
        SORTED: lambda encoder, task: ours(encoder, task, settings.config),
    }
    for _ in range(rounds):
        for name, run in sides.items():
            encoder, task = fresh(subject, settings)
            began = time.process_time()
            run(encoder, task)
            seconds.setdefault(name, []).append(time.process_time() - began)
            losses[name] = held_out_loss(encoder, task, subject.test)
    print(
        f"{subject.name}: {len(lengths)} rows, {np.median(lengths):.0f} tokens in the median, "
        f"{lengths.mean():.0f} in the mean, padded to {subject.maximum}; "
        f"held-out loss before training {before:.5f}"
    )
    median = {name: statistics.median(times) for name, times in seconds.items()}
    for name, taken in median.items():
        print(f"  {name:<25}{len(lengths) / taken:8.1f} rows/s, held-out loss {losses[name]:.5f}")
    whole = np.full_like(lengths, subject.maximum)
    most = operations(whole, lengths, subject, settings) / operations(
        lengths, lengths, subject, settings
    )
    for name in (SAME_STEPS, SORTED):
        ratio = median[TEXTBOOK] / median[name]
        print(
            f"  verdict: {name} {ratio:.2f} times as fast (target {TARGET:g}; "
            f"operations {most:.2f}): {'met' if ratio >= TARGET else 'MISSED'}",
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=1000, help="of each task")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    mini = load_scale("mini")
    shared = mini.training.model_dump() | {"evaluate_every": WHOLE}
    rate = mini.intermediate["hellaswag"].learning_rate
    config = TrainingConfig(
        seed=1, learning_rate=rate, dtype="float32", threads=arguments.threads, **shared
    )
    print(f"{platform.machine()}, {arguments.threads} threads, torch {torch.__version__}")
    subjects, vocabulary = load_subjects(arguments.data, arguments.rows)
    settings = Settings(config, mini.mlm.probability, vocabulary)
    for subject in subjects:
        compare(subject, settings, arguments.rounds)


if __name__ == "__main__":
    main()
