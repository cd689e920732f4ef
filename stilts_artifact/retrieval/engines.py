"""The libraries that search one block, and which of them serves.

``shared`` multiplies each block of the similarity matrix once (NumPy's BLAS) and reads both
directions from it; ``faiss`` and ``faiss-gpu`` search each direction by itself. All give the same
neighbours: float64 settles what they find.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.errors import ResourceError
from stilts_artifact.retrieval.gpu import gpu_answers
from stilts_artifact.retrieval.rows import Float32

EngineName = Literal["auto", "shared", "faiss", "faiss-gpu"]
Engine = Literal["shared", "faiss", "faiss-gpu"]


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
        return "shared" if both or not installed else "faiss"
    if name == "faiss" and not installed:
        raise ResourceError(
            "FAISS is not installed", fix="install the extra cpu or gpu, or choose --engine shared"
        )
    if name == "faiss-gpu" and not gpu_answers().works:
        raise ResourceError("no GPU serves FAISS", got=gpu_answers().reason, fix="--engine auto")
    return name


def backend_of(engine: Engine) -> str:
    """Name and version for a signature, as ``faiss-1.15.1``."""
    if engine == "shared":
        return f"numpy-{np.__version__}"
    for package in ("faiss-gpu", "faiss-cpu"):
        try:
            return f"{engine}-{importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return engine


class BlockSearch:
    """FAISS on one block: the best inner products of each query."""

    def __init__(self, engine: Literal["faiss", "faiss-gpu"]) -> None:
        import faiss

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
