"""Public encoders, from a server that speaks as the hub does: verified, whole, used offline."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from stilts_artifact.benchmark.encoders import Pinned
from stilts_artifact.config.schema import EncoderChoice
from stilts_artifact.errors import ConfigError, IntegrityError, MissingDataError
from stilts_artifact.files import MANIFEST, hash_file
from stilts_artifact.model import hub
from stilts_artifact.model.hub import PINNED, PhaseOne, find_encoder, obtain
from stilts_artifact.model.loading import load_encoder
from stilts_artifact.model.manifest import FILES, WEIGHTS

pytestmark = pytest.mark.slow

PIN = PINNED["xlm-roberta-base"]
LARGE = PINNED["xlm-roberta-large"]


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
        self.requested: list[str] = []
        self.url = ""

    def headers(self, name: str) -> dict[str, str]:
        data = self.files[name]
        if name == WEIGHTS:
            etag = hashlib.sha256(data).hexdigest()
        else:
            etag = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        return {"ETag": f'"{etag}"', "X-Repo-Commit": self.commit, "Content-Length": str(len(data))}


@pytest.fixture
def server(tiny: Path) -> Iterator[Hub]:
    state = Hub(tiny)

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            state.requested.append(f"{self.command} {self.path}")
            prefix, _, name = self.path.partition(f"/{state.repository}/resolve/{PIN.revision}/")
            if prefix or name not in state.files:
                self.send_error(404)
                return
            self.send_response(200)
            for key, value in state.headers(name).items():
                self.send_header(key, value)
            self.end_headers()
            if body:
                data = bytearray(state.files[name])
                if name == state.spoil:
                    data[len(data) // 2] ^= 1
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    service = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{service.server_port}"
    Thread(target=service.serve_forever, daemon=True).start()
    yield state
    service.shutdown()
    service.server_close()


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
    with pytest.raises(IntegrityError, match="another sha256 than the pinned one") as caught:
        obtain(the_pinned(), tmp_path, endpoint=server.url)
    assert (caught.value.got, caught.value.expected) == (pinned.files[name], "0" * 64)
    assert "mirror" in str(caught.value.fix)
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_is_downloaded_once_and_then_used_offline(server: Hub, tmp_path: Path) -> None:
    folder = obtain(the_pinned(), tmp_path, endpoint=server.url)
    assert folder == tmp_path / "xlm-roberta-base-e73636d4f797"
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, MANIFEST])
    assert [path.name for path in tmp_path.iterdir()] == [folder.name], "nothing is left beside it"
    load_encoder(folder)
    before = len(server.requested)
    assert obtain(the_pinned(), tmp_path, offline=True, endpoint=server.url) == folder
    assert len(server.requested) == before


def test_only_the_three_files_are_asked_for_at_the_pinned_revision(
    server: Hub, tmp_path: Path
) -> None:
    obtain(the_pinned(), tmp_path, endpoint=server.url)
    asked = {path.split()[1] for path in server.requested}
    assert asked == {f"/{PIN.repository}/resolve/{PIN.revision}/{name}" for name in FILES}


@pytest.mark.parametrize("name", FILES)
def test_a_bit_flipped_on_the_way_is_found_and_nothing_published(
    server: Hub, tmp_path: Path, name: str
) -> None:
    server.spoil = name
    with pytest.raises(IntegrityError, match="another hash") as caught:
        obtain(the_pinned(), tmp_path, endpoint=server.url)
    assert str(caught.value.where).endswith(name)
    assert list(tmp_path.iterdir()) == []


def test_another_commit_than_the_pinned_one_is_refused(server: Hub, tmp_path: Path) -> None:
    server.commit = "0" * 40
    with pytest.raises(IntegrityError, match="another revision"):
        obtain(the_pinned(), tmp_path, endpoint=server.url)


def test_a_file_that_the_hub_does_not_have_is_missing_data(server: Hub, tmp_path: Path) -> None:
    del server.files[WEIGHTS]
    with pytest.raises(MissingDataError, match="cannot download"):
        obtain(the_pinned(), tmp_path, endpoint=server.url)
    assert list(tmp_path.iterdir()) == []


def test_offline_nothing_is_downloaded(server: Hub, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="not on this machine"):
        obtain(the_pinned(), tmp_path, offline=True, endpoint=server.url)
    assert server.requested == []


def test_a_published_folder_is_verified_at_each_use(server: Hub, tmp_path: Path) -> None:
    folder = obtain(the_pinned(), tmp_path, endpoint=server.url)
    (folder / "config.json").write_text("{}")
    with pytest.raises(IntegrityError, match="truncated"):
        obtain(the_pinned(), tmp_path, endpoint=server.url)


def test_of_two_downloads_one_is_kept(
    server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = hub.write_manifest

    def late(made: Path) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(hub, "write_manifest", original)
            obtain(the_pinned(), tmp_path, endpoint=server.url)
        original(made)

    monkeypatch.setattr(hub, "write_manifest", late)
    folder = obtain(the_pinned(), tmp_path, endpoint=server.url)
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    load_encoder(folder)


def test_a_model_that_is_not_pinned_is_downloaded_at_its_commit_and_held_against_the_hub(
    server: Hub, tmp_path: Path
) -> None:
    """Files that not every model has are taken where they are; weights that differ are refused."""
    one = find_encoder(f"somebody/some-model@{PIN.revision}")
    assert (one.files, one.folder) == ({}, None)
    server.repository = one.name
    server.files["tokenizer_config.json"] = b"{}"
    folder = obtain(one, tmp_path, endpoint=server.url)
    assert folder.name == f"somebody--some-model-{PIN.revision[:12]}"
    assert {path.name for path in folder.iterdir()} == {*server.files, MANIFEST}
    assert obtain(one, tmp_path, offline=True) == folder
    shutil.rmtree(folder)
    server.spoil = WEIGHTS
    with pytest.raises(IntegrityError, match="another hash"):
        obtain(one, tmp_path, endpoint=server.url)


def test_a_model_of_the_hugging_face_cache_is_found_by_its_name(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are links there; commit and sums are known without a network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--somebody--some-model"
    snapshot = repository / "snapshots" / PIN.revision
    for folder in (snapshot, repository / "blobs", repository / "refs"):
        folder.mkdir(parents=True)
    for name in FILES:
        shutil.copyfile(tiny / name, repository / "blobs" / name)
        (snapshot / name).symlink_to(repository / "blobs" / name)
    (repository / "refs" / "main").write_text(PIN.revision)
    for text in ("somebody/some-model", f"somebody/some-model@{PIN.revision}"):
        found = find_encoder(text)
        assert (found.name, found.revision) == ("somebody/some-model", PIN.revision)
        assert found.files == {
            name: hashlib.sha256((tiny / name).read_bytes()).hexdigest() for name in FILES
        }
        assert obtain(found, tmp_path / "store", offline=True) == snapshot
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
