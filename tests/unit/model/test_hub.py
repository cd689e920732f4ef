"""Public encoders, from a server that speaks as the hub does: verified, whole, used offline."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from stilts_artifact.benchmark.encoders import Pinned
from stilts_artifact.config.schema import EncoderChoice
from stilts_artifact.errors import ConfigError, ExitCode, IntegrityError, MissingDataError
from stilts_artifact.files import MANIFEST, hash_file
from stilts_artifact.model import hub
from stilts_artifact.model.hub import (
    PINNED,
    Delivery,
    PhaseOne,
    fetch_encoder,
    find_encoder,
    obtain,
)
from stilts_artifact.model.loading import load_encoder
from stilts_artifact.model.manifest import FILES, WEIGHTS
from tests.faults import server as faults
from tests.faults.server import FaultServer

pytestmark = pytest.mark.slow

PIN = PINNED["xlm-roberta-base"]
LARGE = PINNED["xlm-roberta-large"]
OFFLINE = Delivery(offline=True)


def the_pinned() -> PhaseOne:
    return PhaseOne.of(EncoderChoice(name=PIN.repository, revision=PIN.revision))


@pytest.fixture(autouse=True)
def pinned(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Pinned:
    """The pin of XLM-R base with the sums of an encoder that a test can serve."""
    sums = {name: hashlib.sha256((tiny / name).read_bytes()).hexdigest() for name in FILES}
    fake = Pinned(PIN.repository, PIN.revision, sums)
    monkeypatch.setattr(hub, "PINNED", {**PINNED, "xlm-roberta-base": fake})
    return fake


class Hub:
    """Files of one repository at one commit, and how the server misbehaves."""

    def __init__(self, folder: Path) -> None:
        self.files = {name: (folder / name).read_bytes() for name in FILES}
        self.commit = PIN.revision
        self.repository = PIN.repository
        self.spoil = ""
        self.elsewhere: dict[str, str] = {}
        self.ends: list[int] = []
        """Of the next answers for the weights: how many bytes come; 0: there is no such file."""
        self.authorizations: list[str | None] = []
        self.requested: list[str] = []
        self.url = ""

    def headers(self, name: str) -> dict[str, str]:
        data = self.files[name]
        if name == WEIGHTS:
            etag = hashlib.sha256(data).hexdigest()
        else:
            etag = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        return {"ETag": f'"{etag}"', "X-Repo-Commit": self.commit, "Content-Length": str(len(data))}

    def answer(self, name: str, asked_from: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers, and all of a file, or what a range asks for."""
        data, headers = bytearray(self.files[name]), self.headers(name)
        if name == self.spoil:
            data[len(data) // 2] ^= 1
        match = re.fullmatch(r"bytes=(\d+)-", asked_from)
        if match is None:
            return 200, headers, bytes(data)
        rest = data[int(match[1]) :]
        headers["Content-Range"] = f"bytes {match[1]}-{len(data) - 1}/{len(data)}"
        headers["Content-Length"] = str(len(rest))
        return 206, headers, bytes(rest)


@pytest.fixture
def server(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that HF_ENDPOINT names, and an empty cache."""
    state = Hub(tiny)

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            asked_from = self.headers.get("Range", "")
            state.requested.append(f"{self.command} {self.path} {asked_from}".rstrip())
            state.authorizations.append(self.headers.get("Authorization"))
            prefix, _, name = self.path.partition(f"/{state.repository}/resolve/{PIN.revision}/")
            end = state.ends.pop(0) if state.ends and name == WEIGHTS else None
            if prefix or name not in state.files or end == 0:
                self.send_error(404)
                return
            if name in state.elsewhere:
                self.send_response(302)
                self.send_header("Location", state.elsewhere[name])
                self.end_headers()
                return
            code, headers, data = state.answer(name, asked_from)
            self.send_response(code)
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            if body:
                self.wfile.write(data[:end])

        def log_message(self, *_: object) -> None:
            pass

    service = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{service.server_port}"
    template = f"{state.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    constants = "huggingface_hub.constants"
    monkeypatch.setattr(f"{constants}.ENDPOINT", state.url)
    monkeypatch.setattr(f"{constants}.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(f"{constants}.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "")
    Thread(target=service.serve_forever, daemon=True).start()
    yield state
    service.shutdown()
    service.server_close()


def cached(cache: Path, encoder: Path, name: str) -> Path:
    """The snapshot of a repository, as the hub's client leaves it in its cache."""
    repository = cache / f"models--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / PIN.revision
    for folder in (snapshot, repository / "blobs", repository / "refs"):
        folder.mkdir(parents=True)
    for file in FILES:
        blob = repository / "blobs" / hash_file(encoder / file).sha256
        shutil.copyfile(encoder / file, blob)
        (snapshot / file).symlink_to(blob)
    (repository / "refs" / "main").write_text(PIN.revision)
    return snapshot


def test_revisions_and_weights_are_the_papers() -> None:
    """Written out again: no weights of another commit may slip in with a change of the table."""
    assert (LARGE.revision, LARGE.weights) == (
        "c23d21b0620b635a76227c604d44e43a9f0ee389",
        "2dfa19f172412917cab174da04b46e2134811b723666965fd0aabd97caa6e23b",
    )
    assert (PIN.revision, PIN.weights) == (
        "e73636d4f797dec63c3081bb6ed5c7b0bb3f2089",
        "6fd4797bc397c3b8b55d6bb5740366b57e6a3ce91c04c77f22aafc0c128e6feb",
    )
    assert all(set(pin.files) == set(FILES) for pin in (PIN, LARGE))


@pytest.mark.parametrize("name", FILES)
def test_a_download_that_is_not_the_pinned_file_is_refused_before_it_is_published(
    server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pinned: Pinned, name: str
) -> None:
    """A mirror that serves another encoder, and states its sums: the hub's word is not enough."""
    other = Pinned(pinned.repository, pinned.revision, {**pinned.files, name: "0" * 64})
    monkeypatch.setattr(hub, "PINNED", {"xlm-roberta-base": other})
    with pytest.raises(IntegrityError, match="could not be fetched") as caught:
        obtain(the_pinned(), tmp_path)
    assert pinned.files[name] in str(caught.value.got)
    assert "0" * 64 in str(caught.value.expected)
    assert "mirror" in str(caught.value.fix)
    assert not (tmp_path / "encoders").exists()


def test_an_encoder_is_downloaded_once_and_then_used_offline(server: Hub, tmp_path: Path) -> None:
    folder = obtain(the_pinned(), tmp_path)
    assert folder == tmp_path / "encoders" / "xlm-roberta-base-e73636d4f797"
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, MANIFEST])
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "nothing beside it"
    load_encoder(folder)
    before = len(server.requested)
    assert obtain(the_pinned(), tmp_path, OFFLINE) == folder
    shutil.rmtree(folder)
    assert obtain(the_pinned(), tmp_path, OFFLINE) == folder, "made of the store's files"
    assert len(server.requested) == before


def test_only_the_three_files_are_asked_for_at_the_pinned_revision(
    server: Hub, tmp_path: Path
) -> None:
    obtain(the_pinned(), tmp_path)
    asked = {path.split()[1] for path in server.requested}
    assert asked == {f"/{PIN.repository}/resolve/{PIN.revision}/{name}" for name in FILES}


@pytest.mark.parametrize("name", FILES)
def test_a_bit_flipped_on_the_way_is_found_and_nothing_published(
    server: Hub, tmp_path: Path, name: str
) -> None:
    server.spoil = name
    with pytest.raises(IntegrityError, match=f"{name} could not be fetched") as caught:
        obtain(the_pinned(), tmp_path)
    assert "wrong content" in str(caught.value.got)
    assert not (tmp_path / "encoders").exists()


def test_a_hub_that_speaks_of_another_commit_is_not_believed(server: Hub, tmp_path: Path) -> None:
    """Where no sum is pinned, its word is all there is."""
    one = find_encoder(f"somebody/some-model@{PIN.revision}")
    server.repository, server.commit = one.name, "0" * 40
    with pytest.raises(IntegrityError, match="another revision"):
        obtain(one, tmp_path)


def test_a_download_that_was_cut_is_resumed_by_the_next_run(server: Hub, tmp_path: Path) -> None:
    size = len(server.files[WEIGHTS])
    # Its size is asked for; then it is cut short, and gone when it is asked for again.
    server.ends = [size, size // 2, 0]
    with pytest.raises(IntegrityError, match="cut short"):
        obtain(the_pinned(), tmp_path)
    before = len(server.requested)
    load_encoder(obtain(the_pinned(), tmp_path))
    ranges = [asked.split()[-1] for asked in server.requested[before:]]
    assert f"bytes={size // 2}-" in ranges
    assert all(WEIGHTS in asked for asked in server.requested[before:]), "the others were here"


def test_a_mirror_is_asked_before_the_hub(server: Hub, tmp_path: Path, pinned: Pinned) -> None:
    with FaultServer() as mirror:
        for name, data in server.files.items():
            mirror.answers[f"/{pinned.files[name]}"] = faults.whole(data)
        obtain(the_pinned(), tmp_path, Delivery(mirrors=(mirror.url,)))
        assert {path for path, _ in mirror.requests} >= {f"/{s}" for s in pinned.files.values()}
    # No size is public of this encoder's files, and the hub's word on that comes first.
    assert len(server.requested) == len(FILES)


def test_files_in_a_data_folder_are_taken_by_their_sha256_under_any_name(
    server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pinned: Pinned
) -> None:
    sizes = {pinned.files[name]: len(data) for name, data in server.files.items()}
    monkeypatch.setattr(hub, "SIZES", sizes)
    (tmp_path / "data").mkdir()
    for number, data in enumerate(server.files.values()):
        (tmp_path / "data" / f"{number}.bin").write_bytes(data)
    load_encoder(obtain(the_pinned(), tmp_path, Delivery((tmp_path / "data",), offline=True)))
    assert server.requested == []


def test_without_a_public_size_a_file_is_found_by_its_own_name_or_its_sha256(
    server: Hub, tmp_path: Path, pinned: Pinned
) -> None:
    (tmp_path / "data").mkdir()
    for name, data in server.files.items():
        own = pinned.files[name] if name == WEIGHTS else name
        (tmp_path / "data" / own).write_bytes(data)
    load_encoder(obtain(the_pinned(), tmp_path, Delivery((tmp_path / "data",), offline=True)))
    assert server.requested == []


@pytest.mark.parametrize("name", [PIN.repository, "somebody/some-model"], ids=["pinned", "not"])
def test_an_encoder_of_the_hugging_face_cache_is_found_offline(
    server: Hub, tiny: Path, tmp_path: Path, name: str
) -> None:
    snapshot = cached(tmp_path / "cache", tiny, name)
    one = PhaseOne.of(EncoderChoice(name=name, revision=PIN.revision))
    folder = obtain(one, tmp_path, OFFLINE)
    assert snapshot not in (folder, *folder.parents)
    load_encoder(folder)
    assert server.requested == []


def test_the_token_goes_to_the_hubs_host_alone(
    server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub refers to another host for what is large; a mirror is nobody's to trust either."""
    monkeypatch.setenv("HF_TOKEN", "a-token")
    with FaultServer() as other:
        server.elsewhere[WEIGHTS] = f"{other.url}/large"
        other.answers["/large"] = faults.whole(server.files[WEIGHTS])
        obtain(the_pinned(), tmp_path, Delivery(mirrors=(other.url,)))
        assert set(other.passwords) == {None} and ("/large", None) in other.requests
    assert set(server.authorizations) == {"Bearer a-token"}


def test_what_fails_of_an_encoder_is_reported_file_by_file(server: Hub, tmp_path: Path) -> None:
    del server.files[WEIGHTS]
    report = fetch_encoder(the_pinned(), tmp_path)
    assert len(report.downloaded) == 2
    (failure,) = report.absent
    assert failure.source.name == f"{PIN.repository}/{WEIGHTS}" and not failure.is_by_hand
    assert report.exit_code == ExitCode.DATA
    missing = fetch_encoder(PhaseOne("a/b", "0" * 40, {}), tmp_path, OFFLINE)
    assert [failure.source.name for failure in missing.absent] == [
        f"a/b/{name} at {'0' * 12}" for name in FILES
    ]


def test_a_file_that_the_hub_does_not_have_is_missing_data(server: Hub, tmp_path: Path) -> None:
    del server.files[WEIGHTS]
    with pytest.raises(MissingDataError, match="could not be fetched"):
        obtain(the_pinned(), tmp_path)
    assert not (tmp_path / "encoders").exists()


def test_offline_nothing_is_downloaded(server: Hub, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="not on this machine"):
        obtain(the_pinned(), tmp_path, OFFLINE)
    assert server.requested == []


def test_a_published_folder_is_verified_at_each_use(server: Hub, tmp_path: Path) -> None:
    folder = obtain(the_pinned(), tmp_path)
    (folder / "config.json").write_text("{}")
    with pytest.raises(IntegrityError, match="truncated"):
        obtain(the_pinned(), tmp_path)


def test_of_two_downloads_one_is_kept(
    server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = hub.write_manifest

    def late(made: Path) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(hub, "write_manifest", original)
            obtain(the_pinned(), tmp_path)
        original(made)

    monkeypatch.setattr(hub, "write_manifest", late)
    folder = obtain(the_pinned(), tmp_path)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    load_encoder(folder)


def test_a_model_that_is_not_pinned_is_downloaded_at_its_commit_and_held_against_the_hub(
    server: Hub, tmp_path: Path
) -> None:
    """Files that not every model has are taken where they are; weights that differ are refused."""
    one = find_encoder(f"somebody/some-model@{PIN.revision}")
    assert (one.files, one.folder) == ({}, None)
    server.repository = one.name
    server.files["tokenizer_config.json"] = b"{}"
    folder = obtain(one, tmp_path)
    assert folder.name == f"somebody--some-model-{PIN.revision[:12]}"
    assert {path.name for path in folder.iterdir()} == {*server.files, MANIFEST}
    assert obtain(one, tmp_path, OFFLINE) == folder
    for name, what in ((WEIGHTS, "could not be fetched"), ("config.json", "another hash")):
        server.spoil = name
        with pytest.raises(IntegrityError, match=what):
            obtain(one, tmp_path / "other")
    assert not (tmp_path / "other" / "encoders").exists()


def test_a_model_of_the_hugging_face_cache_is_found_by_its_name(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are links there; commit and sums are known without a network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    snapshot = cached(tmp_path, tiny, "somebody/some-model")
    for text in ("somebody/some-model", f"somebody/some-model@{PIN.revision}"):
        found = find_encoder(text)
        assert (found.name, found.revision) == ("somebody/some-model", PIN.revision)
        assert found.files == {
            name: hashlib.sha256((tiny / name).read_bytes()).hexdigest() for name in FILES
        }
        assert obtain(found, tmp_path / "store", OFFLINE) == snapshot
    (snapshot / WEIGHTS).unlink()
    with pytest.raises(ConfigError, match="no model of this name in the Hugging Face cache"):
        find_encoder("somebody/some-model")


def test_a_folder_is_named_and_known_by_its_weights(tiny: Path, tmp_path: Path) -> None:
    found = find_encoder(str(tiny))
    assert (found.name, found.revision) == (tiny.name, hash_file(tiny / WEIGHTS).sha256)
    assert obtain(found, tmp_path) == tiny


@pytest.mark.parametrize("text", ["no/such/folder", "./none", "somebody/some-model", "x y", ""])
def test_what_names_no_encoder_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        find_encoder(text)


@pytest.mark.parametrize(
    ("spoil", "got"),
    [
        (lambda folder: (folder / WEIGHTS).rename(folder / "pytorch_model.bin"), "a pickle"),
        (lambda folder: (folder / WEIGHTS).rename(folder / "model-1.safetensors"), "several files"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no such file"),
    ],
)
def test_a_folder_that_is_no_encoder_says_what_it_has(
    tiny: Path, tmp_path: Path, spoil: Callable[[Path], object], got: str
) -> None:
    folder = tmp_path / "own"
    shutil.copytree(tiny, folder)
    spoil(folder)
    with pytest.raises(MissingDataError) as caught:
        find_encoder(str(folder))
    assert got in str(caught.value.got)
