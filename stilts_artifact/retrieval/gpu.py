"""Whether FAISS works on this machine's GPU: tried in a child process, since a wrong wheel hangs or kills it."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from functools import cache
from typing import NamedTuple

WATCHDOG_SECONDS = 60.0

# Searches random rows on the GPU and compares with NumPy: a GPU that answers must also be right, to
# float32.
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
if max(abs(found - truth).max(), abs(found - best).max()) > 80 * 2.0**-24:
    raise SystemExit("FAISS on the GPU disagrees with NumPy beyond float32 rounding")
"""


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


def run_self_test(program: str, seconds: float) -> GpuAnswer:
    """Run a Python program in a child process that is killed after a while; it works if it ends well."""
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
    last = child.stderr.strip().splitlines()[-1:] or [f"exit status {child.returncode}"]
    return GpuAnswer(False, last[0])
