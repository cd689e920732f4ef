"""What makes a run on a CPU the same to the bit: its threads, its random numbers, its learning rates."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

THREADS = 1
"""Of a training run on a CPU. Sums over another number of threads differ in their last bits."""


@contextmanager
def arithmetic(threads: int = THREADS) -> Iterator[None]:
    """A fixed number of threads; afterwards the generators of python, numpy and torch (CPU) are as they were."""
    import numpy as np
    import torch

    before = torch.get_num_threads()
    python, array = random.getstate(), np.random.get_state()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(before)
        random.setstate(python)
        np.random.set_state(array)


def derived_seed(*parts: object) -> int:
    """A seed of 63 bits which depends on all parts, and on nothing else.

    Example:
        >>> derived_seed(1, "order", 2) == derived_seed(1, "order", 2) != derived_seed(1, "order", 3)
        True
    """
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def schedule(step: int, steps: int, warmup: float) -> float:
    """Share of the peak learning rate: linear up over the first ``warmup`` of the steps, linear down to zero.

    Example:
        >>> [round(schedule(step, 10, 0.2), 2) for step in (0, 1, 2, 6, 9)]
        [0.5, 1.0, 1.0, 0.5, 0.12]
    """
    rising = max(1, round(warmup * steps))
    return min((step + 1) / rising, (steps - step) / max(1, steps - rising))
