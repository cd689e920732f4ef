"""Own data made of real examples: 3,000 rows of MNLI as somebody would bring them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.data.library import BY_NAME, Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.tasks import Split
from stilts_artifact.files import hash_file
from stilts_artifact.forms import PAIR

NAME = "mnli.train-en.tsv"
LABELS = ("entailment", "neutral", "contradiction")
"""As the sample numbers them."""


def test_mnli_rows_train_mnli_and_xnli(real_data: Path, tmp_path: Path) -> None:
    sample = json.loads((real_data / "mnli" / "train.sample3000.json").read_text("utf-8"))
    rows = [(row["premise"], row["hypothesis"], LABELS[row["label"]]) for row in sample]
    own = tmp_path / "own"
    own.mkdir()
    text = "".join("\t".join(row) + "\n" for row in rows)
    (own / NAME).write_text(text, encoding="utf-8", newline="")
    benchmark = load_benchmark("xtreme", None, (NAME,))
    library = Library(benchmark.sources, FileStore(tmp_path / "store"), [own])
    for name in ("mnli", "xnli"):
        examples = PAIR.read(benchmark.tasks[name], Split.TRAIN, "en", library)
        assert [(one.first, one.second, one.label) for one in examples] == rows
    assert len(rows) == 3000
    assert Counter(label for *_, label in rows).keys() == set(LABELS)
    [used] = library.used()
    assert (used.source, used.satisfied_by) == (NAME, BY_NAME)
    assert used.sha256 == hash_file(own / NAME).sha256
