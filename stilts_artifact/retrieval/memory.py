"""How much memory a search takes, decided before it starts."""

from __future__ import annotations

import re
from typing import NamedTuple

from stilts_artifact.errors import ConfigError, ResourceError

SPARE = 8  # candidates kept beyond k, so that float64 can settle what float32 cannot
_SCRATCH = 96 << 20
_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
# Wide blocks: the row side is normalised once, the column side again for every block. Larger ones
# are no faster.
_BLOCKS = ((8192, 2048), (4096, 2048), (2048, 1024), (1024, 1024), (512, 512), (256, 256), (64, 64))


class Blocks(NamedTuple):
    """Rows and columns of one block of the similarity matrix, and the bytes the search takes beside its inputs."""

    rows: int
    columns: int
    bytes: int


def parse_memory(text: str) -> int:
    """Bytes of a size such as ``4GiB`` or ``512MiB``.

    Raises:
        ConfigError: not a positive number with one of the units.

    Example:
        >>> parse_memory("1.5KiB")
        1536
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]iB)", text.strip())
    size = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if size <= 0:
        raise ConfigError(
            "not a memory size",
            got=repr(text),
            expected="a number and KiB, MiB, GiB or TiB, as 4GiB",
        )
    return size


def plan_blocks(shape: tuple[int, int, int], k: int, memory: int, *, both: bool) -> Blocks:
    """The largest useful blocks that a memory budget allows.

    Args:
        shape: rows, columns and dimensions of the two sides.
        memory: bytes for everything beside the inputs.
        both: whether both directions are searched.

    Raises:
        ResourceError: not even the smallest blocks fit.
    """
    rows, columns, dimensions = shape
    owners = rows + columns if both else rows
    # Shortlists (float32, int32, bound and its float64 copies), lengths, results (float64, int64).
    fixed = _SCRATCH + owners * ((k + SPARE) * 8 + 4 + 48) + (rows + columns) * 8 + owners * k * 16
    # Settling copies the shortlists of one direction once.
    fixed += max(rows, columns) * (k + SPARE) * 9
    needed = 0
    for high, wide in _BLOCKS:
        high, wide = min(high, rows), min(wide, columns)
        needed = fixed + high * wide * 5 + 4 * dimensions * (high + wide)
        if needed <= memory:
            return Blocks(high, wide, needed)
    raise ResourceError(
        "the memory budget is too small for this search",
        where=f"{rows:,} x {columns:,} rows of {dimensions} dimensions, k = {k}",
        got=f"{memory / 2**20:,.0f} MiB",
        expected=f"at least {-(-needed // 2**20):,} MiB beside the embeddings",
        fix=f"--memory {-(-needed // 2**20)}MiB",
    )
