"""Whatever happens to a file's bytes, who reads it raises an error of ours, or nothing.

Every reader on the mini world's own files, and every file that a results folder, a store or a
checkpoint holds. A crash would look like a verdict: Python's own exit code is 1.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from benchmarks.checking import gold_items, guess, make_run, written
from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.pins import parse_pins
from stilts_artifact.checking.claims import claims_path, load_claims
from stilts_artifact.checking.entered import read_entries
from stilts_artifact.checking.expected import ENTERED_HEADER, load_entered, load_shipped
from stilts_artifact.checking.labels import labels_path, read_pins
from stilts_artifact.checking.recheck import recheck
from stilts_artifact.checking.results import CellRecord, dump_results, load_results
from stilts_artifact.checking.sums import SUMS, expected_root, read_sums
from stilts_artifact.config.load import parse_scale
from stilts_artifact.data.archive import list_members, read_members, read_plain
from stilts_artifact.data.folders import DataFolders, Wanted
from stilts_artifact.data.readers import READERS
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Part, TaskForm
from stilts_artifact.errors import ArtifactError
from stilts_artifact.files import hash_bytes
from stilts_artifact.forms import form_of
from stilts_artifact.miniworld import build
from stilts_artifact.model.loading import load_encoder_tokenizer, read_config
from stilts_artifact.model.manifest import read_manifest, write_manifest
from stilts_artifact.model.weights import read_tensors
from stilts_artifact.pipeline.store import ResultManifest
from stilts_artifact.reporting.markdown import render_markdown
from stilts_artifact.reporting.packing import MANIFEST, Member, pack, unpack
from stilts_artifact.reporting.page import render_page
from stilts_artifact.reporting.runs import run_of
from stilts_artifact.retrieval.gold import read_gold
from stilts_artifact.retrieval.sweep_file import SweepFile
from stilts_artifact.retrieval.texts import read_embeddings, read_texts
from tests.faults.mutations import mutated
from tests.unit.checking.small import SIZES, small_benchmark
from tests.unit.data.archives import packed
from tests.unit.data.readers.test_fuzz import OPTIONS, VALID
from tests.unit.reporting import synthetic

MINI = load_benchmark("mini")
DAILY, ALL = 15, 2000


class Sample(NamedTuple):
    """A sound file, and what reads it."""

    data: bytes
    read: Callable[[bytes], object]


def in_file(path: Path, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """Read the bytes from a file that lies at ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)

    def write_and_read(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return write_and_read


# --- upstream files ---------------------------------------------------------------------------


def parts_of(reader: str) -> Iterator[Part]:
    """Every part of the mini world that a reader reads, each once."""
    found = {
        part
        for task in MINI.tasks.values()
        for parts in task.parts.values()
        for part in parts
        if part.reader == reader
    }
    yield from sorted(found, key=repr)


def reader_samples(reader: str, built: Callable[[str], Path]) -> Iterator[Sample]:
    """The beginning of each file that the mini world has for a reader; else a small one."""
    if not any(parts_of(reader)):  # of own data
        data, options = VALID[reader].encode(), OPTIONS.get(reader, {})
        yield Sample(data, lambda data: READERS[reader](data, "f", **options))
    for part in parts_of(reader):
        path, options = built(part.source), dict(part.options)
        files = (
            [read_plain(path)]
            if part.member is None
            else list(read_members(path, [part.member]).values())
        )
        data = beginning(reader, files[0], options.get("language", ""))
        yield Sample(data, lambda data, options=options: READERS[reader](data, "f", **options))  # type: ignore[misc]


def beginning(reader: str, data: bytes, language: str) -> bytes:
    """The first records of a file, so that every word of it is mutated often."""
    if reader in ("squad", "tydiqa"):
        document = json.loads(data)
        paragraphs = [
            paragraph
            for article in document["data"]
            for paragraph in article["paragraphs"]
            if reader == "squad" or paragraph["qas"][0]["id"].startswith(f"{language}-")
        ]
        document["data"] = [{"title": "a", "paragraphs": paragraphs[:3]}]
        return json.dumps(document, indent=1, ensure_ascii=False).encode()
    if reader in ("conllu", "panx"):
        return b"\n\n".join(data.split(b"\n\n")[:15]) + b"\n\n"
    header, *lines = data.split(b"\n")
    own = [line for line in lines if reader != "xnli" or line.startswith(language.encode())]
    return b"\n".join([header, *own[:29]]) + b"\n"


# --- labels and predictions -------------------------------------------------------------------


# A task of each form, and those of the same form that are read or scored in another way.
SCORED = {
    "xnli": TaskForm.PAIR,
    "udpos": TaskForm.TAGGING,
    "panx": TaskForm.TAGGING,
    "xquad": TaskForm.SPAN,
    "mlqa": TaskForm.SPAN,
    "bucc2018": TaskForm.MINING,
    "tatoeba": TaskForm.SEARCH,
    "ntrex": TaskForm.ALIGNMENT,
    "choices": TaskForm.CHOICE,
}


def form_samples(name: str, folder: Path) -> Iterator[Sample]:
    """Labels of a task, then predictions: read in both ways, which must agree."""
    # No target of XTREME is multiple choice; its files are lines of numbers, as Tatoeba's are.
    task = replace(MINI.tasks[name if name in MINI.tasks else "tatoeba"], form=SCORED[name])
    chance, form, language = random.Random(name), form_of(task), "qaa"
    items = gold_items(MINI.tasks[task.name], 25, chance, language)
    guesses = [
        item if chance.random() < 0.5 else guess(MINI.tasks[task.name], item, items, chance)
        for item in items
    ]
    gold, predicted = folder / "gold", folder / "predicted"
    gold.write_text(written(task, items, labels=True))
    predicted.write_text(written(task, guesses, labels=False))
    scorer, guessed = form.read_gold(task, language, gold), predicted.read_bytes()

    def read_labels(path: Path) -> object:
        return form.read_gold(task, language, path).tally(predicted, guessed)

    def read_predictions(path: Path) -> None:
        try:
            careful = form.count(task, language, path, gold).counts.sum(axis=0)
        except ArtifactError as error:
            with pytest.raises(type(error)) as caught:
                scorer.tally(path, path.read_bytes())
            assert str(caught.value) == str(error)
            raise
        np.testing.assert_allclose(scorer.tally(path, path.read_bytes()), careful, atol=1e-9)

    yield Sample(gold.read_bytes(), in_file(folder / "mutated gold", read_labels))
    yield Sample(guessed, in_file(folder / "mutated", read_predictions))


# --- documents --------------------------------------------------------------------------------


def results_samples(folder: Path) -> Iterator[Sample]:
    """A Table 1, checked and reported as far as it goes; the first cells of a Table 2, read."""
    claims = load_claims(claims_path())

    def check(path: Path) -> None:
        run = run_of(recheck(path))
        render_markdown([run]).encode()
        render_page([run], claims).encode()

    whole = synthetic.table1()
    counts = whole.model_copy(update={"cells": [signed(cell) for cell in whole.cells]})
    yield Sample(dump_results(counts), in_file(folder / "table1.mini.json", check))
    made = make_run(
        folder / "run", small_benchmark(), "table2", ["none", "mnli"], (0, 1), SIZES["table2"]
    )
    short = made.model_copy(update={"cells": made.cells[:12], "files": made.files[:5]})
    yield Sample(dump_results(short), in_file(folder / "table2.mini.json", load_results))


def signed(cell: CellRecord) -> CellRecord:
    """The cell of a Table 1 with a signature that can be read."""
    signature = Signature(
        task=cell.row,
        split=cell.column,
        languages=(cell.language or "qen",),
        metric="examples",
        scale="mini",
        version="0.1.0",
    )
    return cell.model_copy(update={"signature": signature.short()})


def expected_samples(folder: Path) -> Iterator[Sample]:
    root = expected_root()
    for name in ("mini/calibration", "paper/calibration", "paper/table3"):
        data = (root / f"{name}.yaml").read_bytes()
        yield Sample(data, in_file(folder / "table2.yaml", load_shipped))


def claims_samples(folder: Path) -> Iterator[Sample]:
    yield Sample(claims_path().read_bytes(), in_file(folder / "claims.yaml", load_claims))


def entered_samples(folder: Path) -> Iterator[Sample]:
    row = 'table2,mnli,xnli,de,71.5,70.1,"Table ""2"" of the paper"\n'
    entered = ",".join(ENTERED_HEADER) + "\n" + row
    yield Sample(entered.encode(), in_file(folder / "entered.csv", load_entered))
    entries = 'row,column,value,source\r\nmnli,xnli,71.5,"Table\r\n2"\r\n'
    table = load_shipped(expected_root() / "paper" / "table2.yaml")
    read = in_file(folder / "e.csv", lambda path: read_entries(path, "a", table))
    yield Sample(entries.encode(), read)


def sums_samples(folder: Path) -> Iterator[Sample]:
    data = (expected_root() / SUMS).read_bytes()
    yield Sample(data, in_file(folder / SUMS, lambda path: read_sums(path.parent)))


def labels_samples(folder: Path) -> Iterator[Sample]:
    data = labels_path("mini").read_bytes()[:3000].rpartition(b"\n")[0] + b"\n"
    yield Sample(data, in_file(folder / "mini.tsv", read_pins))


def scale_samples(_: Path) -> Iterator[Sample]:
    for name in ("mini", "paper"):
        data = (Path(parse_scale.__code__.co_filename).parent / f"{name}.yaml").read_bytes()
        yield Sample(data, lambda data: parse_scale(data, "scale.yaml"))


def pins_samples(_: Path) -> Iterator[Sample]:
    data = f"name\tbytes\tsha256\na.zip\t7\t{'0' * 64}\na.zip!b\t12\t{'1' * 64}\n".encode()
    yield Sample(data, lambda data: parse_pins(data.decode("utf-8", "replace"), "pins.tsv"))


# --- encoders, checkpoints and the store ------------------------------------------------------


def encoder_samples(folder: Path) -> Iterator[Sample]:
    """Manifest and configuration; a tokenizer of few pieces, which is mutated often."""
    shipped = Path(read_config.__code__.co_filename).parent.parent / "miniencoder"
    manifest, config = ((shipped / name).read_bytes() for name in ("manifest.json", "config.json"))
    yield Sample(
        manifest, in_file(folder / "manifest.json", lambda path: read_manifest(path.parent))
    )
    yield Sample(config, in_file(folder / "config.json", lambda path: read_config(path.parent)))
    tokenizer = json.loads((shipped / "tokenizer.json").read_bytes())
    tokenizer["model"]["vocab"] = tokenizer["model"]["vocab"][:40]
    tokenizer["normalizer"] = None  # 300 kB in one word, and nothing in it for us to read
    for token in tokenizer["added_tokens"]:
        token["id"] = min(token["id"], 40)
    small = folder / "small"
    small.mkdir(parents=True, exist_ok=True)
    (small / "config.json").write_text(json.dumps(json.loads(config) | {"vocab_size": 41}))

    def read(_: Path) -> object:
        return load_encoder_tokenizer(small)

    yield Sample(json.dumps(tokenizer).encode(), in_file(small / "tokenizer.json", read))


def weights_samples(folder: Path) -> Iterator[Sample]:
    import torch
    from safetensors.torch import save

    tensors = {"a": torch.ones(3, 4), "b": torch.zeros(2, dtype=torch.bfloat16)}
    yield Sample(save(tensors), in_file(folder / "model.safetensors", read_tensors))


def store_samples(folder: Path) -> Iterator[Sample]:
    """A result's manifest, the state of a run and the form of prepared data."""
    from stilts_artifact.pipeline.store import FORMAT
    from stilts_artifact.training import checkpoints

    def read_manifest_of_result(path: Path) -> tuple[str, str]:
        step = ResultManifest.load(path).step
        return step.address, step.label

    step = {"kind": "a", "key": "b", "version": 1, "params": {"n": 1}, "inputs": {"x": "k/y"}}
    files = {"a/b": {"bytes": 1, "sha256": "0" * 64}}
    result = {"format": FORMAT, "step": step, "files": files, "made": {"host": "a"}}
    yield Sample(encoded(result), in_file(folder / "r" / "manifest.json", read_manifest_of_result))

    def read_state(path: Path) -> object:
        (path.parent / "manifest.json").unlink(missing_ok=True)
        write_manifest(path.parent)
        return checkpoints._read(path.parent, "run")

    state = {"format": checkpoints.FORMAT, "run": "run", "step": 3, "facts": {"a": 1}}
    yield Sample(encoded(state), in_file(folder / "s" / checkpoints.STATE, read_state))


def encoded(document: Any) -> bytes:
    return json.dumps(document, indent=1).encode()


# --- archives and crates ----------------------------------------------------------------------


def archive_samples(folder: Path) -> Iterator[Sample]:
    members = {"a/b.txt": b"hello\n" * 20, "a/c.tsv": b"1\t2\n" * 10, "d/e/f.json": b"{}"}
    for kind in ("zip", "tar", "tar.gz", "tar.bz2"):

        def read(path: Path) -> object:
            return read_members(path, list_members(path))

        yield Sample(packed(kind, members), in_file(folder / "archive", read))


def gzip_samples(folder: Path) -> Iterator[Sample]:
    content = b"hello\n" * 50
    data, wanted = gzip.compress(content[:99]) + gzip.compress(content[99:]), hash_bytes(content)

    def find(path: Path) -> object:
        folders = DataFolders([path.parent], Wanted({wanted.bytes}, set()))
        return folders.find(wanted.bytes, wanted.sha256)

    yield Sample(data, in_file(folder / "a" / "x.gz", read_plain))
    yield Sample(data, in_file(folder / "b" / "x.gz", find))


def crate_samples(folder: Path) -> Iterator[Sample]:
    """The zip file of a crate, and its manifest in a sound one."""
    crate, out = folder / "crate.zip", folder / "out"
    members = {"a.txt": b"hello", "b/c.json": b"{}"}

    def read(path: Path) -> object:
        shutil.rmtree(out, ignore_errors=True)
        return unpack(path, out)

    def read_with(manifest: bytes) -> object:
        return in_file(crate, read)(packed("zip", members | {MANIFEST: manifest}))

    pack(crate, [Member(name, content) for name, content in members.items()])
    yield Sample(crate.read_bytes(), in_file(crate, read))
    yield Sample(read_members(crate, [MANIFEST])[MANIFEST], read_with)


# --- inputs of `mine` -------------------------------------------------------------------------


def mine_samples(folder: Path) -> Iterator[Sample]:
    yield Sample(b"Ein Satz.\nZwei.\n", in_file(folder / "a.txt", read_texts))
    file = io.BytesIO()
    np.save(file, np.ones((3, 4), np.float32))
    yield Sample(file.getvalue(), in_file(folder / "a.npy", read_embeddings))
    gold = in_file(folder / "a.gold", lambda path: read_gold(path, (3, 3)))
    yield Sample(b"0\t1\n2\t0\n", gold)
    line = {"views": [{"pooling": "mean", "layer": 1}], "points": [1.5], "n": 2, "cut": 0}
    sweeps = in_file(folder / "a.jsonl", lambda path: SweepFile(path).read())
    yield Sample(json.dumps(line).encode() + b"\n", sweeps)


DOCUMENTS: dict[str, Callable[[Path], Iterator[Sample]]] = {
    "results": results_samples,
    "expected values": expected_samples,
    "claims": claims_samples,
    "entered values": entered_samples,
    "sums": sums_samples,
    "hashes of labels": labels_samples,
    "scales": scale_samples,
    "pins": pins_samples,
    "encoders": encoder_samples,
    "weights": weights_samples,
    "store and checkpoints": store_samples,
    "archives": archive_samples,
    "gzip": gzip_samples,
    "crates": crate_samples,
    "inputs of mine": mine_samples,
}


def only_our_errors(samples: list[Sample], count: int) -> None:
    """Mutate each sample so often that ``count`` mutations are made of them all."""
    assert samples
    for number, sample in enumerate(samples):
        sample.read(sample.data)  # sound as it is
        for turn in range(count // len(samples) + 1):
            data = mutated(sample.data, random.Random(f"{number} {turn}"))
            try:
                sample.read(data)
            except ArtifactError as error:
                assert error.where, error.what
                str(error).encode()
            except BaseException as error:
                error.add_note(f"sample {number}, turn {turn}: {data[:300]!r}")
                raise


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds a file of the mini world where there is none yet."""
    folder = tmp_path_factory.mktemp("mini-world")

    def path_of(name: str) -> Path:
        path = folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(build(name))
        return path

    return path_of


@pytest.mark.slow
@pytest.mark.parametrize("reader", sorted(READERS))
def test_every_reader_survives_2000_mutations_of_the_mini_worlds_files(
    reader: str, built: Callable[[str], Path]
) -> None:
    only_our_errors(list(reader_samples(reader, built)), ALL)


def test_every_form_has_a_task_here() -> None:
    assert set(SCORED.values()) == set(TaskForm)


@pytest.mark.parametrize("count", [DAILY, pytest.param(ALL, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SCORED)
def test_labels_and_predictions_of_every_form_survive_mutations(
    name: str, count: int, tmp_path: Path
) -> None:
    for sample in form_samples(name, tmp_path):
        only_our_errors([sample], count)


@pytest.mark.slow
@pytest.mark.parametrize("count", [DAILY, pytest.param(ALL, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", DOCUMENTS)
def test_every_document_survives_mutations(kind: str, count: int, tmp_path: Path) -> None:
    only_our_errors(list(DOCUMENTS[kind](tmp_path)), count)
