"""docs/your-own-data.md: its table is the code's, its examples are read, its commands run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.own_data import TEXT, known_names
from stilts_artifact.data.library import Library
from stilts_artifact.data.readers import READERS
from stilts_artifact.data.store import FileStore
from stilts_artifact.forms import form_of
from tests.conftest import Stock

PAGE = (Path(__file__).parents[2] / "docs" / "your-own-data.md").read_text(encoding="utf-8")
XTREME = load_benchmark("xtreme")
SIZES = {
    "mnli.train-en": 3,
    "hellaswag.train-en": 1,
    "panx.test-sw": 2,
    "udpos.test-fi": 1,
    "xquad.test-de": 1,
    "tatoeba.test-de": 2,
    "bucc2018.dev-de": 1,
    "text.train-de": 1,
}
"""Examples in each place that the page shows."""


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def examples() -> dict[str, str]:
    """File name -> content, as the page shows it below the name."""
    found: dict[str, str] = {}
    names: list[str] = []
    pieces = re.split(r"^```[\w.]*\n(.*?)^```$", section("One of each"), flags=re.M | re.S)
    for number, piece in enumerate(pieces):
        if number % 2:
            found[names.pop(0)] = piece
        elif piece.strip():
            names = re.findall(r"`([\w.-]+)`", piece)
    return found


def test_the_table_of_formats_is_that_of_the_code() -> None:
    stated, tasks = set(), []
    for row in re.findall(r"^\|(.*)\|(.*)\|.*\|$", PAGE, flags=re.M)[2:]:
        tasks = re.findall(r"`(\w+)`", row[0]) or tasks
        stated |= {(task, ending) for task in tasks for ending in re.findall(r"`(\S+)`", row[1])}
    known = {
        (place.task, name.removeprefix(str(place)))
        for name, (place, _) in known_names(XTREME).items()
    }
    assert stated == known


def test_every_example_is_read(tmp_path: Path) -> None:
    for name, content in examples().items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    benchmark = load_benchmark("xtreme", None, tuple(examples()))
    library = Library(benchmark.sources, FileStore(tmp_path / "store"), [tmp_path])
    known, sizes = known_names(XTREME), {}
    for name in examples():
        place, parts = known[name]
        if place.task == TEXT:
            [document] = library.documents(parts[0])
            sizes[str(place)] = len(READERS[parts[0].reader](document.data, document.where))
        else:
            form = form_of(benchmark.tasks[place.task])
            data = form.read(benchmark.tasks[place.task], place.split, place.language, library)
            sizes[str(place)] = form.size(data)
    assert sizes == SIZES


@pytest.mark.slow
def test_every_command_runs_as_it_stands(stocked: Stock, tmp_path: Path) -> None:
    stocked(tmp_path / "results" / ".store")
    [block] = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.S)
    outputs = []
    for line in block.splitlines():
        command, _, code = line.partition(" # ")
        command = command.replace("stilts-artifact", f"{sys.executable} -m stilts_artifact")
        run = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert run.returncode == int(code or 0), run.stderr
        outputs.append(run.stdout)
    assert "rests on own data, unpinned: mnli.train-qen.tsv" in outputs[-3]
    assert "unpinned: own data in place of the benchmark's: mnli.train-qen.tsv" in outputs[-2]
    assert "rests on own data, unpinned" in (tmp_path / "page.html").read_text(encoding="utf-8")
