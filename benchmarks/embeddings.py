"""Training steps with the rows of the embedding matrix that a run reads, against the whole matrix.

    python -m benchmarks.embeddings

The training loop on pairs of sentences, by an encoder of Multilingual MiniLM's shape (12 layers of
384, XLM-R's 250,002 pieces, random weights), on the CPU; both end with the same bits.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from transformers import XLMRobertaConfig, XLMRobertaModel

from stilts_artifact.config.load import load_scale
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.training import state
from stilts_artifact.training.batches import Ragged, Rows
from stilts_artifact.training.checkpoints import Checkpointing
from stilts_artifact.training.loop import train
from stilts_artifact.training.state import TrainingTask, fresh_head

VOCABULARY = 250_002
BATCH = 32


def encoder() -> XLMRobertaModel:
    """Multilingual MiniLM's shape."""
    torch.manual_seed(0)
    shape = XLMRobertaConfig(
        vocab_size=VOCABULARY,
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=1536,
        max_position_embeddings=514,
        type_vocab_size=1,
    )
    return XLMRobertaModel(shape)


def pairs(steps: int, pieces: int, length: int) -> Rows:
    """Rows of about ``length`` tokens out of ``pieces`` of the vocabulary."""
    draw = np.random.default_rng(1)
    known = draw.choice(np.arange(4, VOCABULARY - 1), pieces, replace=False)
    lengths = draw.integers(length // 2, length * 3 // 2, steps * BATCH)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Rows(Ragged(draw.choice(known, offsets[-1]), offsets), draw.integers(0, 3, len(lengths)))


def measure(rows: Rows, *, whole: bool) -> tuple[float, dict[str, torch.Tensor]]:
    """Seconds of a run, and the encoder's weights after it."""
    model = encoder()
    task = TrainingTask("pairs", rows, fresh_head(TaskForm.PAIR, model, 3, 1, "pairs"), 1, BATCH)
    config = load_scale("mini").seedless_training(5e-5).seeded(1)
    patch: Any = mock.patch.object(state, "_reads_rows_only", lambda tasks: not whole)
    with tempfile.TemporaryDirectory() as folder, patch:
        began = time.perf_counter()
        train(model, [task], config, checkpoints=Checkpointing(Path(folder), 1000), origin="random")
        return time.perf_counter() - began, model.state_dict()


def main() -> None:
    """Print both runs' speed, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--pieces", type=int, default=20_000)
    parser.add_argument("--length", type=int, default=30)
    given = parser.parse_args()
    rows = pairs(given.steps, given.pieces, given.length)
    used, with_used = measure(rows, whole=False)
    print(f"rows that are read {given.steps / used:6.2f} steps/s", flush=True)
    all_of_it, with_all = measure(rows, whole=True)
    print(f"the whole matrix   {given.steps / all_of_it:6.2f} steps/s")
    print(f"ratio              {all_of_it / used:6.2f}")
    equal = all(torch.equal(with_used[name], with_all[name]) for name in with_all)
    print(f"same bits          {equal}")


if __name__ == "__main__":
    main()
