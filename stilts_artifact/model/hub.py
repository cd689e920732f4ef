"""The public encoders of the paper, at pinned revisions, into a folder with a manifest.

A revision is a commit hash, which fixes every file; for each file the hub states its sha256 (large
files) or its git blob hash (small ones), and what arrives is held against that, and against the
sha256 that is pinned here, before the folder is published. Later loads need no network: every byte
is held against the manifest, and the manifest against the pins, since whoever makes a folder by
hand writes its manifest too.
"""

from __future__ import annotations

import hashlib
import shutil
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.benchmark.encoders import PINNED, Pinned, pinned_as
from stilts_artifact.errors import IntegrityError, MissingDataError, unknown_name
from stilts_artifact.files import MANIFEST, hash_file, publish_folder, settle_folder
from stilts_artifact.model.loading import CONFIG
from stilts_artifact.model.manifest import (
    WEIGHTS,
    deciding_files,
    read_manifest,
    require_files,
    verify_folder,
    write_manifest,
)
from stilts_artifact.model.tokenizer import TOKENIZER

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

FILES = (CONFIG, TOKENIZER, WEIGHTS)
"""All that is taken of a repository: no pickle, no code."""

SHIPPED = "mini"
"""Name of the encoder that ships with the package."""


def pinned_encoder(
    name: str, folder: Path, *, offline: bool = False, endpoint: str | None = None
) -> Path:
    """The folder of a public encoder, downloaded unless it is there.

    Args:
        name: key of :data:`PINNED`.
        folder: under which the encoder gets a folder of its own, named after encoder and revision.
        offline: open no connection.
        endpoint: base URL of a mirror of the hub.

    Raises:
        ConfigError: no such encoder.
        MissingDataError: not on this machine, and offline or not reachable.
        IntegrityError: a file that is not what the hub says it is or not the pinned one, or a
            folder that no longer fits its manifest.
        ResourceError: the disk is full or the folder cannot be written.
    """
    if name not in PINNED:
        raise unknown_name("encoder", name, PINNED)
    pin = PINNED[name]
    target = folder / f"{name}-{pin.revision[:12]}"
    settle_folder(target)
    if (target / MANIFEST).exists():
        again = f"remove the folder {target} and run again: the encoder is downloaded anew"
        require_files(target, verify_folder(target), pin.files, _named(pin), again)
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


def revision_of(name: str, revision: str | None) -> str:
    """What names the weights of phase (i): the commit, or the sha256 of the shipped ones."""
    return (
        read_manifest(shipped_encoder())[WEIGHTS].sha256
        if name == SHIPPED or revision is None
        else revision
    )


def known_files(name: str, revision: str | None) -> dict[str, str]:
    """What is known beforehand of an encoder's files, whether it is on this machine or not.

    Returns:
        Name -> sha256 of every file that decides what it computes: of the shipped encoder as its
        manifest says, of a public one as it is pinned; empty for one that is not pinned.

    Raises:
        IntegrityError: the shipped encoder has no manifest.
    """
    if name == SHIPPED:
        return deciding_files(read_manifest(shipped_encoder()))
    key = pinned_as(name, revision)
    return {} if key is None else dict(PINNED[key].files)


def phase_one(name: str, revision: str | None, folder: Path, *, offline: bool) -> Path:
    """The checkpoint folder of the encoder that phase (i) hands over.

    Args:
        name: ``mini`` for the one that ships with the package, else a repository on the hub.
        revision: commit of the repository.
        folder: where downloaded encoders lie.

    Raises:
        ConfigError: a repository or commit that is not pinned here.
        MissingDataError, IntegrityError, ResourceError: as :func:`pinned_encoder`.
    """
    if name == SHIPPED:
        return shipped_encoder()
    key = pinned_as(name, revision)
    if key is not None:
        return pinned_encoder(key, folder, offline=offline)
    known = {_named(pin): key for key, pin in PINNED.items()}
    raise unknown_name("encoder", f"{name} at {revision}", known)


def _download(pin: Pinned, folder: Path, endpoint: str | None) -> None:
    import httpx2
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    for name in FILES:
        url = hf_hub_url(pin.repository, name, revision=pin.revision, endpoint=endpoint)
        try:
            stated = get_hf_file_metadata(url)
            hf_hub_download(
                pin.repository, name, revision=pin.revision, local_dir=folder, endpoint=endpoint
            )
        except (HfHubHTTPError, LocalEntryNotFoundError, httpx2.HTTPError) as error:
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
        ("sha256 than the pinned one", found.sha256, pin.files[path.name]),
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
