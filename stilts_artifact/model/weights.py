"""Tensors from safetensors files: never a pickle, every key, shape and number accounted for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.documents import library_errors
from stilts_artifact.errors import IntegrityError

if TYPE_CHECKING:
    import torch

State = dict[str, "torch.Tensor"]

_FIX = "use a checkpoint of the architecture that config.json names"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Parameters from the file, those that were initialised, and keys of the file not needed."""

    loaded: tuple[str, ...]
    initialised: tuple[str, ...]
    unused: tuple[str, ...]


def read_tensors(path: Path) -> State:
    """All tensors of a safetensors file.

    Raises:
        IntegrityError: another format (a pickle is named as such), a header that does not fit the
            file, or a tensor with NaN or infinity in it.
    """
    import torch
    from safetensors.torch import load_file

    _refuse_other_formats(path)
    with library_errors(
        IntegrityError, "not a sound safetensors file", str(path), expected="safetensors"
    ):
        tensors = load_file(path)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise IntegrityError(
                f"weights that are not numbers: {name}",
                where=str(path),
                got=f"{bad} of {tensor.numel()} are NaN or infinite",
                expected="finite weights",
            )
    return tensors


def tensor_names(path: Path) -> list[str]:
    """Names of the tensors of a safetensors file, by its header alone.

    Raises:
        IntegrityError: as :func:`read_tensors`, of the header.
    """
    from safetensors import safe_open

    _refuse_other_formats(path)
    with (
        library_errors(
            IntegrityError, "not a sound safetensors file", str(path), expected="safetensors"
        ),
        safe_open(path, framework="numpy") as file,
    ):
        return sorted(file.keys())


def _refuse_other_formats(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise IntegrityError(
            "cannot read the weights", where=str(path), got=error.strerror or str(error)
        ) from error
    # safetensors: eight bytes of header length, then the header's "{". The length may begin with
    # any byte, so what else a file might be is only asked once it is not this.
    if start[8:9] == b"{":
        return
    # torch.save writes a zip; pickle itself begins with 0x80 and its version.
    pickled = start[:2] == b"PK" or start[:1] == b"\x80"
    what = "a pickle under the name of safetensors" if pickled else "not a safetensors file"
    raise IntegrityError(what, where=str(path), got=repr(start), expected="safetensors")


def fill(
    module: torch.nn.Module,
    tensors: Mapping[str, torch.Tensor],
    where: str,
    *,
    may_initialise: Collection[str] = (),
) -> tuple[str, ...]:
    """Put tensors into a module; every parameter must get one, and every tensor must be used.

    Args:
        tensors: by the module's own parameter names; converted to its dtype.
        may_initialise: prefixes of parameters that may keep their initial values.

    Returns:
        Names that kept their initial values.

    Raises:
        IntegrityError: naming the first parameter without a tensor, tensor without a parameter, or
            differing shape.
    """
    own = module.state_dict()
    missing = sorted(own.keys() - tensors.keys())
    for name in missing:
        if not name.startswith(tuple(may_initialise)):
            raise IntegrityError(
                f"checkpoint lacks the weights {name}", where=where, expected=name, fix=_FIX
            )
    for name in sorted(tensors.keys() - own.keys()):
        raise IntegrityError(
            f"checkpoint has weights of something else: {name}", where=where, got=name, fix=_FIX
        )
    for name, tensor in tensors.items():
        if own[name].shape != tensor.shape:
            raise IntegrityError(
                f"weights of another architecture: {name}",
                where=where,
                got=f"shape {tuple(tensor.shape)}",
                expected=f"shape {tuple(own[name].shape)}",
                fix=_FIX,
            )
    # Strict all the same: what the file may lack is taken from the module itself.
    module.load_state_dict({name: own[name] for name in missing} | dict(tensors), strict=True)
    return tuple(missing)
