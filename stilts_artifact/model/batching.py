"""Batches of a fixed number of tokens instead of a fixed number of examples.

A batch costs what its longest example costs: rows x padded length. Examples of like length are put
together and as many of them as the budget holds, so almost no computation is spent on padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

from stilts_artifact.errors import ConfigError

if TYPE_CHECKING:
    import torch

MULTIPLE = 8
"""Lengths are padded to a multiple of this.

Few distinct shapes result, and whole tiles of a GPU's matrix units.
"""


def padded(length: int, multiple: int = MULTIPLE) -> int:
    """The length rounded up to the multiple.

    Example:
        >>> padded(17), padded(24)
        (24, 24)
    """
    return -(-length // multiple) * multiple


def token_batches(
    lengths: Sequence[int], budget: int, *, multiple: int = MULTIPLE, seed: int | None = None
) -> list[list[int]]:
    """Partition examples into batches of at most ``budget`` padded tokens.

    Args:
        lengths: tokens of each example.
        budget: most rows x padded length of one batch. An example longer than this is a batch of
            its own.
        seed: ``None`` keeps batches from short to long (for inference: deterministic, and the first
            out-of-memory error would come last). A number shuffles equal lengths and the order of
            the batches (for training).

    Returns:
        Indices of each batch; every index occurs exactly once.

    Raises:
        ConfigError: a budget below one token.

    Example:
        >>> token_batches([3, 12, 5, 9], budget=16)
        [[0, 2], [1], [3]]
    """
    if budget < 1:
        raise ConfigError("token budget of a batch", got=str(budget), expected="at least 1")
    order = list(range(len(lengths)))
    shuffle = None if seed is None else Random(seed).shuffle  # noqa: S311 (an order, no secret)
    if shuffle is not None:
        shuffle(order)
    # By padded length: the sort is stable, so examples of equal width keep the shuffled order.
    order.sort(key=lambda index: padded(lengths[index], multiple))
    batches: list[list[int]] = []
    for index in order:
        # The order is by length, so this example is the longest so far and sets the width.
        if batches and (len(batches[-1]) + 1) * padded(lengths[index], multiple) <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    if shuffle is not None:
        shuffle(batches)
    return batches


def pad(rows: Sequence[Sequence[int]], value: int, *, multiple: int = MULTIPLE) -> torch.Tensor:
    """Rows of unequal length as one tensor, filled up on the right.

    Returns:
        int64 [rows, padded length of the longest].
    """
    import torch

    width = padded(max(map(len, rows), default=0), multiple)
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows], dtype=torch.long)
