"""The rows of the embedding matrix that a run can meet, trained in place of the whole matrix.

XLM-R's vocabulary has 250,002 rows, most of a small encoder, and an optimiser step reads and writes
each of them with its two moments, though a run on English meets a few thousand. The others get no
gradient: AdamW only lets them decay, by a factor that depends on the step alone. That is made up
for once, at the end, with the same products in the same order, so that on a CPU every bit of the
encoder is as if the whole matrix had been trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from stilts_artifact.model.loading import EncoderModel

_BLOCKS = {"cpu": 1 << 16, "cuda": 1 << 22}
"""Weights that decay together: 256 KiB stay in a core's cache for all steps of a run, 16 MiB in a
GPU's, which takes as long to multiply them as to be told so."""


class UsedEmbeddings(nn.Module):
    """Some rows of an embedding matrix; stands in its place and takes the same token ids.

    Args:
        whole: the matrix, which stays as it is.
        used: ids of the rows, int64 [rows], ascending, that of the padding among them.
    """

    positions: torch.Tensor

    def __init__(self, whole: nn.Embedding, used: torch.Tensor) -> None:
        super().__init__()
        self.used = used
        self.weight = nn.Parameter(whole.weight.detach()[used])
        # An id that is not among the used ones is out of range: an error, never another's row.
        positions = torch.full((whole.num_embeddings,), len(used))
        positions[used] = torch.arange(len(used))
        self.register_buffer("positions", positions, persistent=False)
        # A number, read here: of a tensor on a GPU, each forward pass would wait for it.
        padding = whole.padding_idx
        self.padding = None if padding is None else int(positions[padding])

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Vectors of tokens: int64 [...] -> float32 [..., hidden]."""
        return functional.embedding(self.positions[ids], self.weight, self.padding)


def use_rows(encoder: EncoderModel, ids: Iterable[NDArray[Any]]) -> nn.Embedding:
    """Put the rows of some token ids in the place of an encoder's whole embedding matrix.

    Args:
        ids: all that the encoder will be given, integers [...]; anything else is an IndexError.

    Returns:
        The whole matrix, for :func:`put_back`.
    """
    whole = cast("nn.Embedding", encoder.get_input_embeddings())
    used = np.unique(np.concatenate([[encoder.config.pad_token_id], *ids]))
    # It takes and gives the same.
    encoder.set_input_embeddings(UsedEmbeddings(whole, torch.from_numpy(used.astype(np.int64))))
    return whole


def put_back(
    encoder: EncoderModel, whole: nn.Embedding, decays: Sequence[float], device: str = "cpu"
) -> None:
    """The whole matrix again, as if all of it had been trained.

    Args:
        whole: what :func:`use_rows` returned.
        decays: what AdamW multiplies a weight without gradient with, at each of the steps that the
            used rows went through.
        device: that multiplies. A core takes 35 ms for each step of a run of XLM-R, which may be as
            long as a GPU takes for the step itself; a product of two float32 is the same on both.
    """
    rows = cast("UsedEmbeddings", encoder.get_input_embeddings())
    with torch.no_grad():
        for block in torch.split(whole.weight.view(-1), _BLOCKS[device]):
            there = block.to(device)
            for decay in decays:
                there.mul_(decay)
            if there is not block:
                block.copy_(there)
        whole.weight[rows.used] = rows.weight.to(whole.weight.device)
    encoder.set_input_embeddings(whole)
