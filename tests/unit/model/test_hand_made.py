"""A folder made by hand under the name of a public encoder, with a manifest that fits it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stilts_artifact.benchmark.encoders import PINNED, Pinned, fingerprint
from stilts_artifact.config.schema import EncoderChoice
from stilts_artifact.errors import IntegrityError
from stilts_artifact.files import MANIFEST
from stilts_artifact.model import hub
from stilts_artifact.model.hub import Delivery, PhaseOne, obtain, shipped_encoder
from stilts_artifact.model.loading import load_encoder
from stilts_artifact.model.manifest import (
    FILES,
    Origin,
    deciding_files,
    read_manifest,
    read_origin,
    verify_folder,
    write_manifest,
)

BASE = PINNED["xlm-roberta-base"]
Find = Callable[[], Path]


@pytest.fixture
def made(tiny: Path, tmp_path: Path) -> Path:
    """STORE/encoders/xlm-roberta-base-e73636d4f797: a toy, whole by its own manifest."""
    folder = tmp_path / "encoders" / f"xlm-roberta-base-{BASE.revision[:12]}"
    folder.mkdir(parents=True)
    for name in FILES:
        shutil.copyfile(tiny / name, folder / name)
    write_manifest(folder)
    return folder


@pytest.fixture
def find(made: Path) -> Find:
    """Look the encoder up as a run does, offline."""
    choice = EncoderChoice(name=BASE.repository, revision=BASE.revision)
    return lambda: obtain(PhaseOne.of(choice), made.parents[1], Delivery(offline=True))


@pytest.fixture
def toy_is_pinned(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = deciding_files(read_manifest(made))
    pin = Pinned(BASE.repository, BASE.revision, files)
    monkeypatch.setattr(hub, "PINNED", {"xlm-roberta-base": pin})


def test_a_toy_under_the_name_of_an_encoder_is_refused(made: Path, find: Find) -> None:
    """Both hashes and the mend are named; the toy stays where it is."""
    found = verify_folder(made)["config.json"].sha256
    with pytest.raises(IntegrityError, match="not the one of FacebookAI") as caught:
        find()
    assert caught.value.got == f"sha256 {found}"
    assert caught.value.expected == f"sha256 {BASE.files['config.json']}"
    assert str(made) in str(caught.value.fix)


@pytest.mark.usefixtures("toy_is_pinned")
def test_the_pinned_bytes_are_accepted(made: Path, find: Find) -> None:
    assert find() == made
    assert load_encoder(made).origin == Origin.of(deciding_files(read_manifest(made)))


@pytest.mark.usefixtures("toy_is_pinned")
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_changed_together_with_the_manifest_is_found(
    made: Path, find: Find, name: str
) -> None:
    """Weights, and as well what decides what they mean: configuration and tokenizer."""
    data = bytearray((made / name).read_bytes())
    data[-2:] = b" " + data[-2:-1]
    (made / name).write_bytes(bytes(data))
    write_manifest(made)
    verify_folder(made)
    with pytest.raises(IntegrityError, match="not the one of") as caught:
        find()
    assert str(caught.value.where).endswith(name)


@pytest.mark.usefixtures("toy_is_pinned")
@pytest.mark.parametrize("name", ["tokenizer_config.json", "added_tokens.json", "origin.json"])
def test_a_file_that_the_encoder_does_not_have_is_found(made: Path, find: Find, name: str) -> None:
    """transformers would read some of them, and another tokenizer would come of it."""
    (made / name).write_text("{}")
    write_manifest(made)
    with pytest.raises(IntegrityError) as caught:
        find()
    assert str(caught.value.where).endswith(name)


def test_an_altered_mini_encoder_is_another_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its manifest rewritten with it: the keys of all steps change, and so does the signature."""
    mini = EncoderChoice(name="mini", revision=None)
    before = PhaseOne.of(mini).files
    other = tmp_path / "miniencoder"
    shutil.copytree(shipped_encoder(), other)
    (other / "tokenizer_config.json").write_text("{}")
    (other / MANIFEST).unlink()
    write_manifest(other)
    monkeypatch.setattr(hub, "shipped_encoder", lambda: other)
    assert PhaseOne.of(mini).files != before
    origin = read_origin(other, verify_folder(other))
    assert origin.weights == before["model.safetensors"]
    assert origin.checkpoint != fingerprint(before)[:12]


def test_the_card_of_an_encoder_is_no_part_of_what_it_computes(tmp_path: Path) -> None:
    files = verify_folder(shipped_encoder())
    other = dict(files) | {"README.md": replace(files["README.md"], sha256="0" * 64)}
    assert deciding_files(other) == deciding_files(files)
