"""A sweep keeps each language's result, takes it up again, and mixes nothing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stilts_artifact.cli.mine import mine
from stilts_artifact.cli.sweep import sweep
from stilts_artifact.domain.examples import SentencePair
from stilts_artifact.errors import ConfigError, DataError, ResourceError
from stilts_artifact.retrieval.sweep import search_language
from stilts_artifact.retrieval.tatoeba import DIRECTIONS
from tests.unit.retrieval.conftest import LAYERS
from tests.unit.retrieval.test_commands import aligned, run


@pytest.fixture(autouse=True)
def folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def own(tiny_xlmr: Path, tmp_path: Path) -> tuple[object, ...]:
    """A sweep over two texts."""
    source, target = aligned(tmp_path)
    texts = ("--src", source, "--trg", target)
    return ("--encoder", tiny_xlmr, *texts, "--max-length", 64, "--layers", "1,last")


def lines(path: Path = Path("results/sweep.jsonl")) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def loading(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on no encoder can be loaded."""
    monkeypatch.setattr(
        "stilts_artifact.retrieval.transformer.load_transformer",
        lambda *_, **__: pytest.fail("loaded"),
    )


def test_a_line_has_everything_that_identifies_the_points(own: tuple[object, ...]) -> None:
    run(sweep, *own, "--prefix", "the ", "--direction", "to-english")
    [line] = lines()
    assert line["views"] == [{"pooling": "mean", "layer": 1}, {"pooling": "mean", "layer": LAYERS}]
    assert len(line["points"]) == 2
    assert (line["task"], line["language"], line["n"]) == ("own text", "own text", 60)
    assert (line["prefix"], line["max_length"], line["dtype"]) == ("the ", 64, "float32")
    assert (line["direction"], line["metric"]) == ("to-english", "accuracy to-english")
    assert len(line["weights"]) == len(line["data"]) == 64


def test_a_language_that_is_there_is_not_computed_again_and_this_is_said(
    own: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(sweep, *own)
    loading(monkeypatch)
    again = run(sweep, *own)
    assert "from results/sweep.jsonl" not in first
    assert "from results/sweep.jsonl" in again
    assert again.splitlines()[2:] == first.splitlines()[2:]
    assert len(lines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        ("--layers", "1"),
        ("--pool", "cls"),
        ("--prefix", "the "),
        ("--direction", "to-english"),
        ("--max-length", "32"),
        ("--dtype", "bfloat16"),
        ("--no-specials",),
    ],
)
def test_a_result_of_another_identity_is_not_taken(
    own: tuple[object, ...], change: tuple[str, ...]
) -> None:
    run(sweep, *own)
    assert "from results" not in run(sweep, *own, *change)
    assert len(lines()) == 2


@pytest.mark.slow
def test_other_data_and_another_encoder_are_other_identities(
    own: tuple[object, ...], tiny_xlmr: Path, tmp_path: Path
) -> None:
    run(sweep, *own)
    other = tmp_path / "other"
    shutil.copytree(tiny_xlmr, other)
    # A copy under another name is the same encoder; other weights are another.
    assert "from results" in run(sweep, *own, "--encoder", other)
    weights = bytearray((other / "model.safetensors").read_bytes())
    weights[-2] ^= 1
    (other / "model.safetensors").write_bytes(weights)
    assert "from results" not in run(sweep, *own, "--encoder", other)
    with (tmp_path / "s.txt").open("a") as text:
        text.write("x")
    assert "from results" not in run(sweep, *own)


@pytest.mark.slow
def test_a_sweep_that_is_stopped_loses_only_the_language_it_was_at(
    own: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    stops = True

    def stopped(encode: object) -> float:
        if stops:
            raise ResourceError("no memory")
        return 50.0

    languages = [
        search_language(code, [SentencePair(f"the {code}", "cat"), SentencePair("a", "b")], "own")
        for code in ("aa", "bb")
    ]
    languages[1] = replace(languages[1], score=stopped)
    monkeypatch.setattr(
        "stilts_artifact.retrieval.sweep.task_languages", lambda *_, **__: languages
    )
    asked = (*own[:2], *own[6:], "--scale", "mini")
    with pytest.raises(ResourceError):
        run(sweep, *asked)
    assert [line["language"] for line in lines()] == ["aa"]
    stops = False
    shown = run(sweep, *asked).splitlines()
    assert [line["language"] for line in lines()] == ["aa", "bb"]
    assert shown[1].endswith("from results/sweep.jsonl")
    assert shown[2].startswith("bb: 50.00") and "from results" not in shown[2]


@pytest.mark.slow
def test_a_torn_last_line_is_dropped(own: tuple[object, ...]) -> None:
    run(sweep, *own)
    path = Path("results/sweep.jsonl")
    whole = path.read_bytes()
    for torn in (whole[:-1], whole[:40]):
        path.write_bytes(whole + torn)
        assert "from results" in run(sweep, *own)
        assert path.read_bytes() == whole
    path.write_bytes(whole[:-1])
    assert "from results" not in run(sweep, *own)
    assert path.read_bytes() == whole


@pytest.mark.slow
def test_a_file_of_something_else_is_refused_with_its_line(own: tuple[object, ...]) -> None:
    run(sweep, *own)
    path = Path("results/sweep.jsonl")
    for line in (b"{}\n", b"[]\n", b'{"a": 1, "a": 2}\n', b"text\n"):
        path.write_bytes(path.read_bytes().split(b"\n")[0] + b"\n" + line)
        with pytest.raises(DataError) as caught:
            run(sweep, *own)
        assert str(caught.value.where).startswith("results/sweep.jsonl:2")
    assert "from mine" not in run(sweep, *own, "--out", "mine.jsonl")


@pytest.mark.slow
def test_metric_and_n_are_named_in_output_json_and_plot(own: tuple[object, ...]) -> None:
    shown = run(sweep, *own, "--plot", "plot.svg")
    assert "accuracy from-english, n = 60" in shown
    assert "verdict: best is mean" in shown and "n = 60" in shown.splitlines()[-1]
    assert "accuracy from-english; n = 60" in Path("plot.svg").read_text(encoding="utf-8")
    content = json.loads(run(sweep, *own, "--json"))
    assert (content["metric"], content["n"]) == ("accuracy from-english", {"own text": 60})


@pytest.mark.slow
def test_either_side_may_ask(tiny_xlmr: Path, tmp_path: Path) -> None:
    # Both lines of the second text are nearest to the first line of the other one.
    (tmp_path / "a.txt").write_text("the cat\nzzzz qqqq\n")
    (tmp_path / "b.txt").write_text("the cat\nthe cat s\n")
    found = {}
    for direction in DIRECTIONS:
        texts = ("--src", tmp_path / "a.txt", "--trg", tmp_path / "b.txt")
        options = ("--layers", "0", "--max-length", 64, "--direction", direction, "--json")
        [view] = json.loads(run(sweep, "--encoder", tiny_xlmr, *texts, *options))["views"]
        found[direction] = view["mean"]
    assert found == {"from-english": 50.0, "to-english": 100.0}


def test_mining_has_no_direction(tiny_xlmr: Path) -> None:
    with pytest.raises(ConfigError, match="both ways"):
        run(sweep, "--encoder", tiny_xlmr, "--task", "bucc2018", "--direction", "to-english")


@pytest.mark.slow
def test_layers_follow_the_depth_and_are_refused_beyond_it_before_torch_is_loaded(
    own: tuple[object, ...], tiny_xlmr: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = own[:-2]
    content = json.loads(run(sweep, *everything, "--json"))
    assert [view["layer"] for view in content["views"]] == [1, 2, 3, 4]
    loading(monkeypatch)
    with pytest.raises(ConfigError, match="no such layer"):
        run(sweep, *everything, "--layers", "1-5")
    texts = ("--src", tmp_path / "s.txt", "--trg", tmp_path / "t.txt", "--out", tmp_path / "x")
    with pytest.raises(ConfigError, match="no such layer"):
        run(mine, "--encoder", tiny_xlmr, *texts, "--layer", "5")


@pytest.mark.slow
def test_mine_takes_the_papers_share_of_the_depth_and_says_so(
    own: tuple[object, ...], tiny_xlmr: Path, tmp_path: Path
) -> None:
    texts = ("--src", tmp_path / "s.txt", "--trg", tmp_path / "t.txt", "--out", tmp_path / "x")
    inputs = ("--encoder", tiny_xlmr, *texts, "--max-length", 64)
    shown = run(mine, *inputs)
    assert shown.startswith("layer 2 of 4 of tiny-xlmr; the paper's share of the depth, 14 of 24\n")
    assert run(mine, *inputs, "--layer", "last").startswith("layer 4 of 4 of tiny-xlmr\n")
