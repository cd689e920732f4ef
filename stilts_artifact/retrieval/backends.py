"""What of this machine a search uses: the library that multiplies, its GPU, its memory.

``shared`` multiplies each block of the similarity matrix once (NumPy's BLAS, or torch in bfloat16
where the processor is made for it) and reads both directions from it; ``faiss`` and ``faiss-gpu``
search each direction by itself. All give the same neighbours: float64 settles what they find.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.errors import ConfigError, ResourceError, not_installed
from stilts_artifact.retrieval.vectors import Float32, thread_count

EngineName = Literal["auto", "shared", "faiss", "faiss-gpu"]
Engine = Literal["shared", "faiss", "faiss-gpu"]
Pass = Literal["float32", "bfloat16"]
"""What the similarity matrix is multiplied in, before float64 settles what that leaves open."""

SPARE: dict[Pass, int] = {"float32": 8, "bfloat16": 28}
"""Candidates kept beyond k, so that float64 can settle what the pass cannot."""

# Importing FAISS and waking CUDA takes seconds; what is silent after a minute hangs.
WATCHDOG_SECONDS = 60.0

# Searches random rows on the GPU and compares with NumPy: a GPU that answers must also be right, to
# float32 (80 roundings: exact.rounding_error of 64 dimensions). It runs in a child process, since a
# wheel built for another GPU hangs or kills the process that calls it.
_SELF_TEST = """
import numpy as np, faiss
if faiss.get_num_gpus() < 1:
    raise SystemExit("FAISS sees no GPU")
draw = np.random.default_rng(0)
left, right = (draw.standard_normal((300, 64)).astype(np.float32) for _ in range(2))
for side in (left, right):
    side /= np.linalg.norm(side, axis=1, keepdims=True)
gpu, metric = faiss.StandardGpuResources(), faiss.METRIC_INNER_PRODUCT
found, indices = faiss.knn_gpu(gpu, left, right, 5, metric=metric)
truth = np.take_along_axis(left @ right.T, indices, axis=1)
best = np.sort(left @ right.T, axis=1)[:, ::-1][:, :5]
# Not by ">": what is no number is larger than nothing.
if not np.abs(np.stack([found - truth, found - best])).max() <= 80 * 2.0**-24:
    raise SystemExit("FAISS on the GPU disagrees with NumPy beyond float32 rounding")
"""

# What constants of knn, exact and vectors bound: merges, chunks of float64, gathered candidates. A
# test holds the peak that it measures against the plan.
_SCRATCH = 96 << 20
_TORCH = 256 << 20  # what a process takes that imports it
_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
# Wide bands: the row side is normalised once, the column side again for every block. Larger ones
# are no faster.
_BLOCKS = ((8192, 1024), (4096, 1024), (2048, 1024), (1024, 512), (512, 256), (256, 128), (64, 32))


def choose_engine(name: EngineName, *, both: bool) -> Engine:
    """The engine that serves: a GPU that answers, else what is fastest on a CPU.

    One pass over the blocks serves both directions in about the time FAISS takes for one
    (benchmarks/retrieval.py).

    Raises:
        ResourceError: the engine was asked for by name and is not there; with the reason.
    """
    installed = importlib.util.find_spec("faiss") is not None
    if name == "auto":
        if gpu_answers().works:
            return "faiss-gpu"
        # In one direction there is nothing to share.
        return "shared" if both or not installed else "faiss"
    if name == "faiss" and not installed:
        raise not_installed("--engine faiss", ["faiss"])
    if name == "faiss-gpu" and not gpu_answers().works:
        raise ResourceError("no GPU serves FAISS", got=gpu_answers().reason, fix="--engine auto")
    return name


def backend_of(engine: Engine) -> str:
    """The library for a signature: ``numpy``, ``faiss`` or ``faiss-gpu``.

    Without its version, which decides nothing: float64 settles what any of them finds. Versions
    stand in a result's environment.
    """
    return "numpy" if engine == "shared" else engine


class BlockSearch:
    """FAISS on one block: the best inner products of each query."""

    def __init__(self, engine: Literal["faiss", "faiss-gpu"]) -> None:
        import faiss

        # Kept, and imported no earlier: a search with NumPy needs no FAISS.
        self._faiss: Any = faiss
        self._gpu: Any = faiss.StandardGpuResources() if engine == "faiss-gpu" else None

    def __call__(
        self, queries: Float32, corpus: Float32, k: int
    ) -> tuple[Float32, NDArray[np.int64]]:
        """Arrays [queries, k], best first."""
        metric = self._faiss.METRIC_INNER_PRODUCT
        if self._gpu is None:
            scores, indices = self._faiss.knn(queries, corpus, k, metric=metric)
        else:
            scores, indices = self._faiss.knn_gpu(self._gpu, queries, corpus, k, metric=metric)
        return scores, indices


class GpuAnswer(NamedTuple):
    """Whether the GPU serves, and why not."""

    works: bool
    reason: str


@cache
def gpu_answers() -> GpuAnswer:
    """Result of the self-test, run once in a process, and only where faiss-gpu is installed."""
    try:
        importlib.metadata.version("faiss-gpu")
    except importlib.metadata.PackageNotFoundError:
        return GpuAnswer(False, "faiss-gpu is not installed")
    return run_self_test(_SELF_TEST, WATCHDOG_SECONDS)


def unused_gpu() -> str | None:
    """Why no GPU searches although FAISS is installed for one; ``None`` where one does."""
    installed = any(True for _ in importlib.metadata.distributions(name="faiss-gpu"))
    answer = gpu_answers() if installed else None
    return None if answer is None or answer.works else answer.reason


def run_self_test(program: str, seconds: float) -> GpuAnswer:
    """Run a Python program in a child that is killed after a while; it works if it ends well."""
    try:
        child = subprocess.run(  # noqa: S603  # this interpreter, a program of this module
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return GpuAnswer(False, f"the self-test did not end within {seconds:g} s")
    if child.returncode == 0:
        return GpuAnswer(True, "the self-test passed")
    # The last line of a traceback is the error itself.
    last = child.stderr.strip().splitlines()[-1:] or [f"exit status {child.returncode}"]
    return GpuAnswer(False, last[0])


class Blocks(NamedTuple):
    """Rows and columns of one block of the similarity matrix; bytes taken beside the inputs."""

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
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([KMGT]iB)", text.strip())
    size = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if size <= 0:
        raise ConfigError(
            "not a memory size",
            got=repr(text),
            expected="a number and KiB, MiB, GiB or TiB, as 4GiB",
        )
    return size


def plan_blocks(
    shape: tuple[int, int, int], k: int, memory: int, *, both: bool, first: Pass = "float32"
) -> Blocks:
    """The largest useful blocks that a memory budget allows.

    Args:
        shape: rows, columns and dimensions of the two sides.
        memory: bytes for everything beside the inputs.
        both: whether both directions are searched.
        first: what is multiplied in.

    Raises:
        ResourceError: not even the smallest blocks fit.
    """
    rows, columns, dimensions = shape
    # A side that is only searched in needs no shortlist.
    owners = rows + columns if both else rows
    # Shortlists (scores, int32, bound and its float64 copies), lengths, results (float64, int64).
    threads = thread_count()
    kept, size = k + SPARE[first], 4 if first == "float32" else 2
    fixed = _SCRATCH + owners * (kept * (size + 4) + 4 + 48 + k * 16) + (rows + columns) * 8
    # Settling copies the shortlists of one direction once.
    fixed += max(rows, columns) * kept * 9
    if first == "bfloat16":
        # Torch; scores as float32 for settling; three lengths of each row; rows on their way.
        fixed += (
            _TORCH
            + max(rows, columns) * kept * 4
            + (rows + columns) * 24
            + threads * (4 << 10) * dimensions
        )
    needed = 0
    for high, wide in _BLOCKS:
        high, wide = min(high, rows), min(wide, columns)
        # In bfloat16, rows are up to 35 numbers longer, and twice as many of them are multiplied.
        needed = fixed + threads * high * wide * 4
        needed += 4 * (dimensions + 35) * (high + threads * wide)
        if needed <= memory:
            return Blocks(high, wide, needed)
    raise ResourceError(
        "the memory budget is too small for this search",
        where=f"{rows:,} x {columns:,} rows of {dimensions} dimensions, k = {k}",
        got=f"{memory / 2**20:,.0f} MiB",
        expected=f"at least {-(-needed // 2**20):,} MiB beside the embeddings",
        # Rounded up: what is advised must be enough.
        fix=f"--memory {-(-needed // 2**20)}MiB",
    )
