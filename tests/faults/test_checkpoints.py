"""Checkpoints that are broken, foreign or hostile: each refused by name; no code in them runs."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from stilts_artifact.errors import ExitCode, IntegrityError
from stilts_artifact.files import MANIFEST
from stilts_artifact.model.loading import load_encoder
from stilts_artifact.model.manifest import WEIGHTS, verify_folder, write_manifest
from tests.unit.model.tiny import make_tiny


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "copy"))


class Bomb:
    """Opening the pickle of this writes the canary file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.canary),)


def refusal(folder: Path) -> IntegrityError:
    with pytest.raises(IntegrityError) as caught:
        load_encoder(folder)
    assert caught.value.exit_code is ExitCode.INTEGRITY
    return caught.value


def test_the_canary_sings_when_a_pickle_is_opened(tmp_path: Path) -> None:
    """Otherwise the tests below would prove nothing."""
    pickle.loads(pickle.dumps(Bomb(tmp_path / "canary")))
    assert (tmp_path / "canary").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model.pt", "optimizer.pth", "x.pkl", "TRAINING_ARGS.BIN"]
)
@pytest.mark.parametrize("listed", [True, False])
def test_a_pickle_in_the_folder_is_refused_and_not_opened(
    copy: Path, tmp_path: Path, name: str, listed: bool
) -> None:
    (copy / name).write_bytes(pickle.dumps(Bomb(tmp_path / "canary")))
    if listed:
        write_manifest(copy)
    error = refusal(copy)
    assert "a pickle" in error.what
    assert error.where is not None
    assert error.where.endswith(name)
    assert not (tmp_path / "canary").exists()


def test_a_pickle_under_the_name_of_safetensors_is_refused_and_not_opened(
    copy: Path, tmp_path: Path
) -> None:
    zipped = io.BytesIO()
    torch.save({"weight": Bomb(tmp_path / "canary")}, zipped)
    assert zipfile.is_zipfile(zipped)
    for data in (pickle.dumps(Bomb(tmp_path / "canary")), zipped.getvalue()):
        (copy / WEIGHTS).write_bytes(data)
        write_manifest(copy)
        assert "a pickle under the name of safetensors" in refusal(copy).what
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("start", [b"\x80", b"PK"])
def test_a_header_length_that_begins_like_a_pickle_is_none(copy: Path, start: bytes) -> None:
    """The first bytes of a safetensors file are a number, and may be any."""
    tensors = load_file(copy / WEIGHTS)
    save_file(tensors, copy / WEIGHTS)
    (plain,) = struct.unpack("<Q", (copy / WEIGHTS).read_bytes()[:8])
    wanted = next(
        size for size in range(plain + 64, 2**20, 8) if struct.pack("<Q", size).startswith(start)
    )
    # Around the padding: "__metadata__":{"padding":""},
    save_file(tensors, copy / WEIGHTS, metadata={"padding": "x" * (wanted - plain - 29)})
    assert (copy / WEIGHTS).read_bytes().startswith(start), "the test's own arithmetic"
    write_manifest(copy)
    load_encoder(copy)


def test_code_in_the_folder_is_refused(copy: Path) -> None:
    (copy / "modeling_evil.py").write_text("raise SystemExit")
    write_manifest(copy)
    assert "code" in refusal(copy).what


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", WEIGHTS])
def test_every_file_is_held_against_the_manifest(copy: Path, name: str) -> None:
    path = copy / name
    data = bytearray(path.read_bytes())
    path.write_bytes(data[:-1])
    error = refusal(copy)
    assert (error.what, error.where) == ("file is truncated", str(path))
    path.write_bytes(data + b"\0")
    assert refusal(copy).what == "file is too long"
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert refusal(copy).what == "file is altered"
    path.unlink()
    assert refusal(copy).what == "file of the checkpoint is missing"


def test_a_file_that_the_manifest_does_not_know_is_refused(copy: Path) -> None:
    (copy / "extra.json").write_text("{}")
    assert refusal(copy).what == "file that the manifest does not know"


@pytest.mark.parametrize(
    "manifest",
    [
        None,
        b"",
        b"[]",
        b'{"format": 2, "files": {}}',
        b'{"format": 1, "files": {"../config.json": {"bytes": 1, "sha256": "0"}}}',
        b'{"format": 1, "files": {"config.json": {"bytes": "1", "sha256": "0"}}}',
        b'{"format": 1, "files": {"a": {"bytes": 1, "sha256": "0"}, '
        b'"a": {"bytes": 1, "sha256": "0"}}}',
    ],
)
def test_a_folder_without_a_sound_manifest_is_refused(copy: Path, manifest: bytes | None) -> None:
    (copy / MANIFEST).unlink()
    if manifest is not None:
        (copy / MANIFEST).write_bytes(manifest)
    assert "manifest" in refusal(copy).what


def test_an_empty_manifest_does_not_make_a_folder_sound(copy: Path) -> None:
    (copy / MANIFEST).write_bytes(b'{"format": 1, "files": {}}')
    assert refusal(copy).what == "file that the manifest does not know"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_numbers_are_refused_by_name(copy: Path, value: float) -> None:
    tensors = load_file(copy / WEIGHTS)
    tensors["roberta.encoder.layer.0.output.dense.bias"][3] = value
    save_file(tensors, copy / WEIGHTS)
    write_manifest(copy)
    error = refusal(copy)
    assert error.what == "weights that are not numbers: roberta.encoder.layer.0.output.dense.bias"
    assert error.got == "1 of 32 are NaN or infinite"


def header(fields: object, length: int | None = None, body: bytes = bytes(16)) -> bytes:
    text = json.dumps(fields).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


LYING = {
    "header longer than the file": header({}, 10**9),
    "header of nearly 2**64 bytes": header({}, 2**64 - 1),
    "overlapping offsets": header(
        {
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
        }
    ),
    "offsets past the end": header(
        {"a": {"dtype": "F32", "shape": [2**20], "data_offsets": [0, 2**22]}}
    ),
    "shape that does not fit": header(
        {"a": {"dtype": "F32", "shape": [2**63], "data_offsets": [0, 16]}}
    ),
    "shape that overflows": header(
        {"a": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 16]}}
    ),
    "unknown type": header({"a": {"dtype": "OBJECT", "shape": [2], "data_offsets": [0, 16]}}),
    "not JSON": struct.pack("<Q", 4) + b"{no!" + bytes(8),
    "empty": b"",
    "seven bytes": b"\x02\0\0\0\0\0\0",
    "web page": b"<!DOCTYPE html><title>404</title>",
}


@pytest.mark.parametrize("data", LYING.values(), ids=LYING)
def test_a_safetensors_file_that_lies_is_refused(copy: Path, data: bytes) -> None:
    (copy / WEIGHTS).write_bytes(data)
    write_manifest(copy)
    error = refusal(copy)
    assert "safetensors" in error.what
    assert error.where == str(copy / WEIGHTS)


def test_another_architecture_is_refused(copy: Path) -> None:
    save_file({"bert.encoder.layer.0.weight": torch.zeros(2)}, copy / WEIGHTS)
    write_manifest(copy)
    assert "lacks the weights" in refusal(copy).what


def test_a_tokenizer_that_is_gone_is_not_replaced_by_an_empty_one(copy: Path) -> None:
    """transformers 5.23 would make one of five ids without a word."""
    (copy / "tokenizer.json").unlink()
    write_manifest(copy)
    assert refusal(copy).what.startswith("no fast tokenizer")


def test_a_link_out_of_the_folder_is_read_as_what_it_points_to(copy: Path, sound: Path) -> None:
    """A manifest vouches for content, wherever it lies; a link to other is an altered file."""
    (copy / WEIGHTS).unlink()
    (copy / WEIGHTS).symlink_to(sound / WEIGHTS)
    assert load_encoder(copy).revision == verify_folder(sound)[WEIGHTS].sha256
    (copy / WEIGHTS).unlink()
    (copy / WEIGHTS).symlink_to(sound / "config.json")
    assert refusal(copy).what in ("file is truncated", "file is altered")
