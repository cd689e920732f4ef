"""What makes a run on a CPU the same to the bit: a fixed number of threads, and derived seeds."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def own_random_numbers() -> Iterator[None]:
    """Torch's generators inside are nobody else's: afterwards they are as they were.

    Those of every GPU too: ``torch.manual_seed`` seeds them with the CPU's.
    """
    import torch

    with torch.random.fork_rng(devices=list(range(torch.cuda.device_count()))):
        yield


@contextmanager
def fixed_arithmetic(threads: int) -> Iterator[None]:
    """A fixed number of threads inside; afterwards all is as it was.

    That is the number of threads, and the generators of python, numpy and torch: whoever
    calls a training function draws the same random numbers after it as without it.
    """
    import numpy as np
    import torch

    before = torch.get_num_threads()
    python, array = random.getstate(), np.random.get_state()
    torch.set_num_threads(threads)
    try:
        with own_random_numbers():
            yield
    finally:
        torch.set_num_threads(before)
        random.setstate(python)
        np.random.set_state(array)


def derived_seed(*parts: object) -> int:
    """A seed of 63 bits which depends on all parts, and on nothing else.

    A run draws everything random from such a seed of its own (order, masks, dropout of a step), so
    that any step can be made without those before it: that is how a killed run resumes to the same
    bits.

    Example:
        >>> derived_seed(1, "order", 2) == derived_seed(1, "order", 2)
        True
        >>> derived_seed(1, "order", 2) == derived_seed(1, "order", 3)
        False
    """
    # The separator keeps ("a", "bc") and ("ab", "c") apart.
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1  # torch's seeds are signed
