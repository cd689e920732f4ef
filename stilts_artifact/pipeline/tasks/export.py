"""A trained encoder as a checkpoint folder like the one that it came from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.errors import ResourceError
from stilts_artifact.model.loading import CONFIG, export_state
from stilts_artifact.model.manifest import WEIGHTS, write_manifest
from stilts_artifact.model.tokenizer import TOKENIZER
from stilts_artifact.model.weights import State

if TYPE_CHECKING:
    from transformers import XLMRobertaModel

    from stilts_artifact.model.heads import MaskedLanguageHead

ENCODER = "encoder"
REPORT = "report.json"
"""Names of what phases (ii) and (iii) leave in their folders."""

_COPIED = (CONFIG, TOKENIZER, "tokenizer_config.json")
"""Training changes neither architecture nor vocabulary; the last one is not in every checkpoint."""


def export_encoder(
    source: Path, out: Path, encoder: XLMRobertaModel, head: MaskedLanguageHead | None = None
) -> Path:
    """Write a folder that :func:`load_encoder` accepts.

    Args:
        source: the verified folder whose encoder was trained.
        head: its language head, if that was trained too.

    Raises:
        ResourceError: the disk is full or the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in _COPIED:
            if (source / name).exists():
                shutil.copyfile(source / name, out / name)
    except OSError as error:
        fix = "free some space, or name a folder this user can write"
        raise ResourceError(
            "cannot write the encoder", where=str(out), got=str(error), fix=fix
        ) from error
    write_weights(out, export_state(encoder, head))
    return out


def write_weights(folder: Path, state: State) -> None:
    """Write the weights of a folder whose other files are there, and its manifest.

    Raises:
        ResourceError: the disk is full or the folder cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
        (folder / WEIGHTS).chmod(0o644)  # the writer makes private files
    except (OSError, SafetensorError) as error:
        size = sum(tensor.nbytes for tensor in state.values())
        raise ResourceError(
            "cannot write weights",
            where=str(folder),
            got=str(error),
            fix=f"free {size:,} bytes there",
        ) from error
    write_manifest(folder)
