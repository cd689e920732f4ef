"""A run's randomness is its own: derived from its seed, and taken from nobody else."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.training.determinism import derived_seed, own_random_numbers
from tests.unit.training.helpers import run, task_of, tiny_encoder


def test_seeds_are_derived_from_all_parts_and_not_from_their_glue() -> None:
    assert (
        len({derived_seed(1, 2), derived_seed(12), derived_seed(2, 1), derived_seed("1", "2", "")})
        == 4
    )
    assert derived_seed(1, "order", 0) < 2**63


def test_the_callers_threads_and_random_numbers_are_left_alone(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = []
        for training in (False, True):
            torch.manual_seed(5), random.seed(5), np.random.seed(5)
            if training:
                encoder = tiny_encoder()
                torch.manual_seed(5)
                run(encoder, [task_of(encoder, TaskForm.SPAN)], tmp_path)
            found.append((torch.rand(3).tolist(), random.random(), np.random.rand()))
        assert found[0] == found[1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_generators_of_every_gpu_are_put_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """``torch.manual_seed`` seeds all devices; what is forked is asked for by number."""
    forked: list[list[int]] = []

    @contextmanager
    def fork(devices: list[int]) -> Iterator[None]:
        forked.append(devices)
        yield

    monkeypatch.setattr(torch.random, "fork_rng", fork)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with own_random_numbers():
        pass
    assert forked == [[0, 1]]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_fresh_head_leaves_the_gpus_generator_alone() -> None:
    before = torch.cuda.get_rng_state()
    with own_random_numbers():
        torch.manual_seed(7)
    assert torch.equal(torch.cuda.get_rng_state(), before)
