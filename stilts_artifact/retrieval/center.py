"""Mean-centring of two corpora: the search of one language starts from the mean of the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stilts_artifact.retrieval.exact import Neighbours
from stilts_artifact.retrieval.knn import Search, nearest
from stilts_artifact.retrieval.rows import Float32, Rows, norms, unit_rows


def centred_neighbours(
    source: Rows, target: Rows, k: int, search: Search | None = None
) -> tuple[Neighbours, Neighbours]:
    """Nearest targets of each source row, and nearest sources of each target row, without the languages' difference.

    Rows are normalised; the queries of either direction are then moved by the difference of the two
    means, and scored by their inner product with the other side, as they are (XTREME
    utils_retrieve.py at 838c13b, ``shift_embeddings`` and ``mine_bitext`` under
    ``--use_shift_embeds``). Both sides are held in memory twice.

    Raises:
        DataError, ConfigError, ResourceError: as :func:`stilts_artifact.retrieval.knn.nearest`;
            also where a sentence is exactly the difference of the means.
    """
    one, other = _unit(source, "first embeddings"), _unit(target, "second embeddings")
    difference = one.mean(axis=0, dtype=np.float64) - other.mean(axis=0, dtype=np.float64)
    forward = _products((one - difference).astype(np.float32), other, k, search)
    return forward, _products((other + difference).astype(np.float32), one, k, search)


def _unit(rows: Rows, name: str) -> Float32:
    return unit_rows(rows, norms(rows, name), np.empty(rows.shape, np.float32))


def _products(queries: Float32, corpus: Float32, k: int, search: Search | None) -> Neighbours:
    """Nearest by inner product: the order is that by cosine, as the rows of the corpus have length one."""
    found = nearest(queries, corpus, k, search)
    return replace(found, scores=found.scores * norms(queries, "centred embeddings")[:, None])
