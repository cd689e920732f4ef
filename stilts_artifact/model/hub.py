"""Encoders of phase (i): the one that ships, public ones at a commit, and anyone's own folder.

A revision is a commit hash, which fixes every file. What arrives is held against the sha256 that is
pinned here or, where none is public, against what the hub states of the file at that commit, before
the folder is published. Later loads need no network: every byte is held against the manifest, and
the manifest against the pins, since whoever makes a folder by hand writes its manifest too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from http.client import NOT_FOUND
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from stilts_artifact.benchmark.encoders import PINNED, SIZES, encoder_label, pinned_as
from stilts_artifact.config.schema import EncoderChoice
from stilts_artifact.data.download import Downloader
from stilts_artifact.data.fetch import Failure, FetchReport, fetch
from stilts_artifact.data.hub import authorizations, cache_folders, file_url, is_installed
from stilts_artifact.data.library import IN_STORE, Library
from stilts_artifact.data.progress import Progress, Silent
from stilts_artifact.data.receive import FailedAttempt
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Source
from stilts_artifact.errors import (
    ArtifactError,
    ConfigError,
    IntegrityError,
    MissingDataError,
    not_installed,
)
from stilts_artifact.files import MANIFEST, hash_bytes, publish_folder, settle_folder
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
_SHA256 = "[0-9a-f]{64}"
_MAX_SMALL = 64 << 20  # bytes; the hub keeps what is larger than 10 MiB by its sha256
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
        layers: that are taken of it, the first ones; ``None`` for all.
    """

    name: str
    revision: str
    files: Mapping[str, str]
    folder: Path | None = None
    layers: int | None = None

    @property
    def label(self) -> str:
        """How signatures call it."""
        return encoder_label(self.name, self.layers)

    @classmethod
    def of(cls, choice: EncoderChoice) -> PhaseOne:
        """The encoder of a scale.

        Raises:
            ConfigError: a repository without a commit.
            IntegrityError: the shipped encoder has no manifest.
        """
        if choice.name == SHIPPED:
            files = deciding_files(read_manifest(shipped_encoder()))
            return cls(SHIPPED, files[WEIGHTS], files, shipped_encoder(), choice.layers)
        if choice.revision is None:
            raise ConfigError("an encoder without a commit", got=choice.name, expected="revision")
        key = pinned_as(choice.name, choice.revision)
        pinned: Mapping[str, str] = {} if key is None else PINNED[key].files
        return cls(choice.name, choice.revision, pinned, layers=choice.layers)


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


@dataclass(frozen=True, slots=True)
class Delivery:
    """How files come to this machine.

    Args:
        data: folders with files brought by hand.
        offline: open no connection.
        mirrors: base URLs that are tried before the hub.
    """

    data: tuple[Path, ...] = ()
    offline: bool = False
    mirrors: tuple[str, ...] = ()
    progress: Progress = field(default_factory=Silent)


def obtain(encoder: PhaseOne, store: Path, delivery: Delivery | None = None) -> Path:
    """The folder of an encoder, made of files that are here or are downloaded.

    Args:
        store: folder under whose ``encoders`` it gets one of its own, named after encoder and
            revision.

    Raises:
        MissingDataError: not on this machine, and offline or not reachable.
        IntegrityError: a file that is not what the hub says it is or not the pinned one, or a
            folder that no longer fits its manifest.
        ResourceError: the disk is full or the folder cannot be written, or nothing is installed
            that knows the hub.
    """
    if encoder.folder is not None:
        return encoder.folder
    if not is_installed():
        raise not_installed("an encoder of the hub", ["huggingface_hub"])
    for failure in fetch_encoder(encoder, store, delivery).absent:
        raise failure.error
    return _target(encoder, store)


def fetch_encoder(encoder: PhaseOne, store: Path, delivery: Delivery | None = None) -> FetchReport:
    """Bring an encoder's files, and make its folder once all are here.

    Looked for in the store, the data folders and the hub's cache; then asked of mirrors and hub.
    """
    delivery = delivery or Delivery()
    target = _target(encoder, store)
    listed = encoder_sources(encoder, store)
    if not listed:
        return FetchReport()  # There is nothing to bring.
    try:
        if _is_whole(encoder, target):
            return FetchReport(present=[(source.name, IN_STORE) for source in listed.values()])
        if any(source.sha256 is None for source in listed.values()):
            listed = _stated(encoder, store, delivery)
        sources = {source.name: source for source in listed.values()}
        folders = [*delivery.data, *encoder_folders(encoder, store)]
        library = Library(sources, FileStore(store), folders)
        report = fetch(
            list(sources.values()),
            library,
            offline=delivery.offline,
            mirrors=delivery.mirrors,
            progress=delivery.progress,
        )
        if not report.absent:
            _assemble(encoder, listed, library, target)
        return report
    except ArtifactError as error:
        return FetchReport(absent=[Failure(source, error) for source in listed.values()])


def encoder_sources(encoder: PhaseOne, store: Path) -> dict[str, Source]:
    """File name -> where and what it is, as far as that is known without asking the hub.

    Where the sums are neither pinned, nor in the encoder's folder here, nor in the hub's cache, the
    sources have none. An encoder in somebody's own folder has no sources, nor has any where nothing
    is installed that could run it.
    """
    if encoder.folder is not None or not is_installed():
        return {}
    files = dict(encoder.files)
    here = _target(encoder, store)
    if not files and (here / MANIFEST).is_file():
        files = deciding_files(read_manifest(here))
    elif not files and (cached := _cached(encoder.name, encoder.revision)) is not None:
        files = brought_files(cached)
    if not files:
        return {name: _source(encoder, name, None, None) for name in FILES}
    return {
        name: _source(encoder, name, sha256, SIZES.get(sha256)) for name, sha256 in files.items()
    }


def encoder_folders(encoder: PhaseOne, store: Path) -> list[Path]:
    """Where an encoder's files may lie beside store and data folders: its own folder, the cache."""
    if encoder.folder is not None or not is_installed():
        return []
    target = _target(encoder, store)
    return [*([target] if target.is_dir() else []), *cache_folders(encoder.name)]


def _source(encoder: PhaseOne, name: str, sha256: str | None, size: int | None) -> Source:
    pinned = encoder.files.get(name) is not None
    return Source(
        # What has no sum is never taken by its name: that is every encoder's.
        name=f"{encoder.name}/{name}" + ("" if sha256 else f" at {encoder.revision[:12]}"),
        urls=(file_url(encoder.name, encoder.revision, name),),
        bytes=size,
        sha256=sha256,
        licence="as the card of its repository states it",
        obtain=f"Download it from {encoder.name} at commit {encoder.revision} and put it into a "
        "--data folder.",
        pinned_by="this package" if pinned else f"the hub, for commit {encoder.revision}",
    )


def _target(encoder: PhaseOne, store: Path) -> Path:
    key = pinned_as(encoder.name, encoder.revision)
    # Of a repository that is not pinned here, the slash would be a folder.
    name = key or encoder.name.replace("/", "--")
    return store / "encoders" / f"{name}-{encoder.revision[:12]}"


def _named(encoder: PhaseOne) -> str:
    return f"{encoder.name} at {encoder.revision}"


def _is_whole(encoder: PhaseOne, target: Path) -> bool:
    """Whether an encoder's folder is there; each of its files is held against manifest and pins."""
    settle_folder(target)
    if not (target / MANIFEST).exists():
        return False
    files = verify_folder(target)
    if encoder.files:
        again = f"remove the folder {target} and run again: the encoder is downloaded anew"
        require_files(target, files, encoder.files, _named(encoder), again)
    return True


def _assemble(
    encoder: PhaseOne, sources: Mapping[str, Source], library: Library, target: Path
) -> None:
    """Publish an encoder's folder. Whoever does at the same time has made the same bytes."""
    sums = {name: str(source.sha256) for name, source in sources.items()}
    with publish_folder(target) as made:
        for name, source in sources.items():
            library.place(source, made / name)
        write_manifest(made)
        # A file of a data folder may have changed since it was hashed.
        require_files(made, read_manifest(made), sums, _named(encoder), "run it again")


def shipped_encoder() -> Path:
    """The folder of the mini encoder that ships with the package.

    Pretrained by ``stilts-artifact pretrain``, and described by the card in it.
    """
    return Path(str(resources.files("stilts_artifact") / "miniencoder"))


def _stated(encoder: PhaseOne, store: Path, delivery: Delivery) -> dict[str, Source]:
    """An encoder's files by the hub's own word: what holds them where no public sha256 does.

    It states a sha256 of what is large. Of what is small it has git's hash alone: that is brought
    into the store here, and is known by its sha256 from then on.

    Raises:
        MissingDataError: offline, or the hub does not answer or lacks a file.
        IntegrityError: it speaks of another commit, or a small file does not have its hash.
    """
    if delivery.offline:
        raise MissingDataError(
            f"{_named(encoder)} is not on this machine", fix="run once without --offline"
        )
    found: dict[str, Source] = {}
    asked = [_source(encoder, name, None, None) for name in FILES]
    files = FileStore(store)
    with closing(Downloader(files, authorizations=authorizations(asked))) as downloader:
        for name in (*FILES, *OPTIONAL):
            url = file_url(encoder.name, encoder.revision, name)
            stated = _statement(url, optional=name in OPTIONAL)
            if stated is None:
                continue
            _require("revision", stated.commit_hash, encoder.revision, url)
            etag = (stated.etag or "").strip('"')
            if re.fullmatch(_SHA256, etag):
                found[name] = _source(encoder, name, etag, stated.size)
                continue
            data = _small(downloader, url, stated.size or 0)
            _require("hash", _git_blob(data), etag, url)
            sums = hash_bytes(data)
            found[name] = _source(encoder, name, sums.sha256, sums.bytes)
            files.publish(found[name], [data])
    return found


def _statement(url: str, *, optional: bool) -> HfFileMetadata | None:
    """What the hub states of a file; ``None`` of an optional one that it does not have."""
    import httpx2
    from huggingface_hub import get_hf_file_metadata
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return get_hf_file_metadata(url)
    except (HfHubHTTPError, httpx2.HTTPError) as error:
        # By its status: a mirror of the hub need not send the header that names the reason.
        absent = isinstance(error, HfHubHTTPError) and error.response.status_code == NOT_FOUND
        if optional and absent:
            return None
        raise _unanswered(url, (str(error) or type(error).__name__).splitlines()[0]) from error


def _small(downloader: Downloader, url: str, size: int) -> bytes:
    if size > _MAX_SMALL:
        raise _unanswered(url, f"{size:,} bytes without a sha256")
    try:
        return downloader.read(url, size)
    except FailedAttempt as failed:
        raise _unanswered(url, failed.happened) from failed


def _unanswered(url: str, got: str) -> MissingDataError:
    return MissingDataError(
        "cannot download a file of the encoder",
        where=url,
        got=got,
        fix="try again, or name a mirror of the hub in HF_ENDPOINT",
    )


def _require(what: str, got: str | None, expected: str, url: str) -> None:
    if got != expected:
        raise IntegrityError(
            f"downloaded file has another {what}",
            where=url,
            got=str(got),
            expected=expected,
            fix="name another HF_ENDPOINT: this one does not serve the encoder that is meant",
        )


def _git_blob(data: bytes) -> str:
    """Git's name of a file's content: sha1 of a header and the bytes.

    Sha1 is weak, but this is only ever compared with what the hub states over TLS.
    """
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
