"""Encoders of phase (i): the one that ships, public ones at a commit, and anyone's own folder.

A revision is a commit hash, which fixes every file; for each file the hub states its sha256 (large
files) or its git blob hash (small ones), and what arrives is held against that, and against the
sha256 that is pinned here, before the folder is published. Later loads need no network: every byte
is held against the manifest, and the manifest against the pins, since whoever makes a folder by
hand writes its manifest too.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.benchmark.encoders import PINNED, Pinned, pinned_as
from stilts_artifact.config.schema import EncoderChoice
from stilts_artifact.errors import ConfigError, IntegrityError, MissingDataError
from stilts_artifact.files import MANIFEST, hash_file, publish_folder, settle_folder
from stilts_artifact.model.manifest import (
    FILES,
    OPTIONAL,
    WEIGHTS,
    brought_files,
    deciding_files,
    read_manifest,
    require_files,
    verify_folder,
    write_manifest,
)

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

_MAIN = "main"
_COMMIT = "[0-9a-f]{40}"
_REPOSITORY = r"\w[\w.-]*(/\w[\w.-]*)?(@\w[\w./-]*)?"

SHIPPED = "mini"
"""Name of the encoder that ships with the package."""


@dataclass(frozen=True, slots=True)
class PhaseOne:
    """The encoder that phase (i) hands over, whether it is on this machine or not.

    Args:
        name: of a repository on the hub, :data:`SHIPPED`, or of a folder that was brought.
        revision: the commit; of what has none, the sha256 of the weights.
        files: name -> sha256 of every file that decides what it computes, as far as they are known
            beforehand: none of a repository that is not pinned here, whose commit fixes them.
        folder: where it lies, unless it is still to be downloaded.
    """

    name: str
    revision: str
    files: Mapping[str, str]
    folder: Path | None = None

    @classmethod
    def of(cls, choice: EncoderChoice) -> PhaseOne:
        """The encoder of a scale.

        Raises:
            ConfigError: a repository without a commit.
            IntegrityError: the shipped encoder has no manifest.
        """
        if choice.name == SHIPPED:
            files = deciding_files(read_manifest(shipped_encoder()))
            return cls(SHIPPED, files[WEIGHTS], files, shipped_encoder())
        if choice.revision is None:
            raise ConfigError("an encoder without a commit", got=choice.name, expected="revision")
        key = pinned_as(choice.name, choice.revision)
        return cls(choice.name, choice.revision, {} if key is None else PINNED[key].files)


def find_encoder(text: str) -> PhaseOne:
    """What ``--encoder`` names: a folder, a repository on the hub, a model in the hub's cache.

    Args:
        text: path of a folder; ``name@commit``; or, of what is in the cache, ``name`` or
            ``name@branch``.

    Raises:
        ConfigError: neither a folder nor a model that is pinned down by a commit or in the cache.
        MissingDataError, IntegrityError: a folder without an encoder, or with one that cannot be
            opened without running code.
    """
    if text == SHIPPED:
        return PhaseOne.of(EncoderChoice(name=SHIPPED, revision=None))
    path = Path(text)
    if text and path.is_dir():
        files = brought_files(path)
        # Resolved, so that `.` and links have a name.
        return PhaseOne(path.resolve().name, files[WEIGHTS], files, path)
    if not re.fullmatch(_REPOSITORY, text):
        raise ConfigError("no such folder, and no name on the hub", where="--encoder", got=text)
    name, _, revision = text.partition("@")
    cached = _cached(name, revision or _MAIN)
    if cached is None and not re.fullmatch(_COMMIT, revision):
        raise ConfigError(
            "no such folder, and no model of this name in the Hugging Face cache",
            where="--encoder",
            got=text,
            expected="a folder; NAME@COMMIT of a model on the hub; or the name of a cached one",
        )
    commit = revision if cached is None else cached.name
    known = PhaseOne.of(EncoderChoice(name=name, revision=commit))
    if cached is None:
        return known
    return replace(known, files=known.files or brought_files(cached), folder=cached)


def _cached(name: str, revision: str) -> Path | None:
    """The folder of a repository in the hub's cache, called as its commit, if it is all there."""
    from huggingface_hub import try_to_load_from_cache

    found = [try_to_load_from_cache(name, file, revision=revision) for file in FILES]
    paths = [Path(path) for path in found if isinstance(path, str)]
    return paths[0].parent if len(paths) == len(FILES) else None


def obtain(
    encoder: PhaseOne, folder: Path, *, offline: bool = False, endpoint: str | None = None
) -> Path:
    """The folder of an encoder, downloaded unless it is there.

    Args:
        folder: under which a downloaded encoder gets a folder of its own, named after encoder and
            revision.
        offline: open no connection.
        endpoint: base URL of a mirror of the hub.

    Raises:
        MissingDataError: not on this machine, and offline or not reachable.
        IntegrityError: a file that is not what the hub says it is or not the pinned one, or a
            folder that no longer fits its manifest.
        ResourceError: the disk is full or the folder cannot be written.
    """
    if encoder.folder is not None:
        return encoder.folder
    key = pinned_as(encoder.name, encoder.revision)
    # Of a repository that is not pinned here, the slash would be a folder.
    name = key or encoder.name.replace("/", "--")
    pin = Pinned(encoder.name, encoder.revision, encoder.files)
    target = folder / f"{name}-{pin.revision[:12]}"
    settle_folder(target)
    if (target / MANIFEST).exists():
        again = f"remove the folder {target} and run again: the encoder is downloaded anew"
        files = verify_folder(target)
        if pin.files:
            require_files(target, files, pin.files, _named(pin), again)
        return target
    if offline:
        raise MissingDataError(
            f"{name} is not on this machine",
            where=str(target),
            expected=_named(pin),
            fix="run once without --offline",
        )
    # Whoever publishes at the same time has made the same bytes.
    with publish_folder(target) as made:
        _download(pin, made, endpoint)
        shutil.rmtree(made / ".cache", ignore_errors=True)  # The hub client's own notes.
        write_manifest(made)
    return target


def shipped_encoder() -> Path:
    """The folder of the mini encoder that ships with the package.

    Pretrained by ``stilts-artifact pretrain``, and described by the card in it.
    """
    return Path(str(resources.files("stilts_artifact") / "miniencoder"))


def _download(pin: Pinned, folder: Path, endpoint: str | None) -> None:
    """Bring the files of a repository, each held against what the hub states and the pins."""
    import httpx2
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
    )

    for name in pin.files or (*FILES, *OPTIONAL):
        url = hf_hub_url(pin.repository, name, revision=pin.revision, endpoint=endpoint)
        try:
            stated = get_hf_file_metadata(url)
            hf_hub_download(
                pin.repository, name, revision=pin.revision, local_dir=folder, endpoint=endpoint
            )
        except (HfHubHTTPError, LocalEntryNotFoundError, httpx2.HTTPError) as error:
            if name in OPTIONAL and isinstance(error, EntryNotFoundError):
                continue
            got = (str(error) or type(error).__name__).splitlines()[0]
            raise MissingDataError(
                "cannot download a file of the encoder",
                where=url,
                got=got,
                fix="try again, or name a mirror",
            ) from error
        _verify(folder / name, url, pin, stated)


def _verify(path: Path, url: str, pin: Pinned, stated: HfFileMetadata) -> None:
    """Hold a downloaded file against what the hub states of it, and against its pin."""
    found = hash_file(path)
    wanted = (stated.etag or "").strip('"')
    # 64 digits are the sha256 of a large file, 40 are git's sha1 of a small one.
    own = found.sha256 if len(wanted) == hashlib.sha256().digest_size * 2 else _git_blob(path)
    another = "name another mirror: this one does not serve the encoder that is pinned"
    for what, got, expected in (
        ("revision", str(stated.commit_hash), pin.revision),
        ("size in bytes", str(found.bytes), str(stated.size)),
        ("hash", own, wanted),
        ("sha256 than the pinned one", found.sha256, pin.files.get(path.name, found.sha256)),
    ):
        if got != expected:
            raise IntegrityError(
                f"downloaded file has another {what}",
                where=url,
                got=got,
                expected=expected,
                fix=another,
            )


def _named(pin: Pinned) -> str:
    return f"{pin.repository} at {pin.revision}"


def _git_blob(path: Path) -> str:
    """Git's name of a file's content: sha1 of a header and the bytes.

    Sha1 is weak, but this is only ever compared with what the hub states over TLS.
    """
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
