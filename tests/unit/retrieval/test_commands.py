"""``mine`` and ``sweep`` as a person runs them, on their own texts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from stilts_artifact.cli.mine import mine
from stilts_artifact.cli.sweep import sweep
from stilts_artifact.errors import ArtifactError, ConfigError, DataError, ResourceError
from stilts_artifact.retrieval.sweep import SweepScores, parse_layers, parse_poolings
from stilts_artifact.retrieval.texts import read_embeddings, read_texts

SOURCE = ["the cat sat", "the cat sat", "a dog barked at night", "singing in the rain"]
TARGET = ["singing in the rain", "the cat sat", "something else\tentirely"]


def run(command: Any, *arguments: Any) -> str:
    app = typer.Typer()
    app.command()(command)
    answer = CliRunner().invoke(
        app, [str(argument) for argument in arguments], catch_exceptions=True
    )
    if isinstance(answer.exception, ArtifactError):
        raise answer.exception
    assert answer.exit_code == 0, answer.output
    return answer.stdout


@pytest.fixture(autouse=True)
def folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command writes by default is written there."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def texts(tmp_path: Path) -> tuple[Path, Path]:
    source, target = tmp_path / "a.txt", tmp_path / "b.txt"
    source.write_text("\n".join(SOURCE) + "\n", encoding="utf-8")
    target.write_text("\n".join(TARGET) + "\n", encoding="utf-8")
    return source, target


@pytest.fixture
def matrices(tmp_path: Path) -> tuple[Path, Path]:
    draw = np.random.default_rng(0)
    source = draw.standard_normal((4, 8)).astype(np.float32)
    source[1] = source[0]
    target = np.stack([source[3], source[0], draw.standard_normal(8)]).astype(np.float32)
    np.save(tmp_path / "a.npy", source)
    np.save(tmp_path / "b.npy", target)
    return tmp_path / "a.npy", tmp_path / "b.npy"


def columns(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_mining_texts_with_an_encoder(
    tiny_xlmr: Path, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "new" / "pairs.tsv"
    output = run(
        mine,
        "--src",
        texts[0],
        "--trg",
        texts[1],
        "--encoder",
        tiny_xlmr,
        "--out",
        out,
        "--layer",
        2,
        "--max-length",
        64,
        "--k",
        2,
    )
    found = columns(out)
    assert [float(line[0]) for line in found] == sorted(
        (float(line[0]) for line in found), reverse=True
    )
    assert ["3", "0", SOURCE[3], TARGET[0]] in [line[1:] for line in found]
    # A repeated sentence is spelled out; both its lines pair with the same target.
    assert [line[1] for line in found if line[2] == "1"] == ["0", "1"]
    assert "2 sentences occur more than once" in output
    assert str(out) in output
    assert [path.name for path in out.parent.iterdir()] == ["pairs.tsv"]


@pytest.mark.slow
def test_too_small_a_budget_is_refused_before_anything_is_embedded(
    tiny_xlmr: Path, texts: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "stilts_artifact.retrieval.encode.embed", lambda *_, **__: pytest.fail("embedded")
    )
    with pytest.raises(ResourceError, match="memory budget"):
        run(
            mine,
            "--src",
            texts[0],
            "--trg",
            texts[1],
            "--encoder",
            tiny_xlmr,
            "--out",
            tmp_path / "x.tsv",
            "--layer",
            2,
            "--max-length",
            64,
            "--memory",
            "1MiB",
        )


def test_mining_embeddings_alone_gives_three_columns(
    matrices: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "pairs.tsv"
    run(
        mine,
        "--src-emb",
        matrices[0],
        "--trg-emb",
        matrices[1],
        "--out",
        out,
        "--k",
        1,
        "--margin",
        "absolute",
    )
    found = columns(out)
    assert [line[1:] for line in found[:2]] == [["0", "1"], ["3", "0"]]
    assert [float(line[0]) for line in found[:2]] == [1.0, 1.0]


def test_mining_embeddings_with_texts_knows_duplicates(
    matrices: tuple[Path, Path], texts: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "pairs.tsv"
    run(
        mine,
        "--src",
        texts[0],
        "--trg",
        texts[1],
        "--src-emb",
        matrices[0],
        "--trg-emb",
        matrices[1],
        "--out",
        out,
        "--duplicates",
        "drop",
        "--margin",
        "absolute",
        "--retrieval",
        "forward",
    )
    assert columns(out)[0] == ["1.0", "3", "0", SOURCE[3], TARGET[0]]
    assert not [line for line in columns(out) if line[1] in {"0", "1"}]


def test_a_tab_in_a_sentence_does_not_shift_columns(
    matrices: tuple[Path, Path], texts: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "pairs.tsv"
    run(
        mine,
        "--src",
        texts[0],
        "--trg",
        texts[1],
        "--src-emb",
        matrices[0],
        "--trg-emb",
        matrices[1],
        "--out",
        out,
        "--retrieval",
        "backward",
    )
    assert {len(line) for line in columns(out)} == {5}
    assert "something else entirely" in [line[4] for line in columns(out)]


def test_a_threshold_keeps_what_reaches_it(matrices: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "pairs.tsv"
    run(
        mine,
        "--src-emb",
        matrices[0],
        "--trg-emb",
        matrices[1],
        "--out",
        out,
        "--k",
        1,
        "--margin",
        "absolute",
        "--threshold",
        1,
    )
    assert len(columns(out)) == 2


def test_inputs_that_do_not_say_where_vectors_come_from_are_refused(
    matrices: tuple[Path, Path], texts: tuple[Path, Path], tmp_path: Path
) -> None:
    out = ("--out", tmp_path / "x.tsv")
    for arguments in (
        ("--src", texts[0], "--trg", texts[1]),
        ("--src-emb", matrices[0]),
        ("--src", texts[0], "--encoder", tmp_path),
        ("--src", texts[0], "--trg", texts[1], "--encoder", tmp_path, "--src-emb", matrices[0]),
    ):
        with pytest.raises(ConfigError):
            run(mine, *arguments, *out)


def test_texts_and_embeddings_of_unequal_number_are_refused(
    matrices: tuple[Path, Path], texts: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="differ in number"):
        run(
            mine,
            "--src",
            texts[1],
            "--trg",
            texts[0],
            "--src-emb",
            matrices[0],
            "--trg-emb",
            matrices[1],
            "--out",
            tmp_path / "x.tsv",
        )


def test_own_texts_may_come_from_windows(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffeins\r\nzwei\u2028drei".encode())
    assert read_texts(path) == ("eins", "zwei\u2028drei")


@pytest.mark.parametrize(
    ("data", "where"),
    [(b"", "a.txt"), (b"one\n\ntwo\n", "a.txt:2"), (b"one\n\xff\n", "a.txt:2"), (None, "a.txt")],
)
def test_unusable_texts_are_named_with_their_line(
    tmp_path: Path, data: bytes | None, where: str
) -> None:
    path = tmp_path / "a.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_texts(path)
    assert caught.value.where is not None
    assert caught.value.where.endswith(where)


def test_unusable_embeddings_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.ones(3))
    (tmp_path / "a.npz").rename(tmp_path / "zipped.npy")
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "text.npy").write_bytes(b"hello")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    (tmp_path / "cut-zip.npy").write_bytes((tmp_path / "zipped.npy").read_bytes()[:40])
    np.save(tmp_path / "header.npy", np.ones(3))
    header = (tmp_path / "header.npy").read_bytes().replace(b"'fortran_order'", b"'fortran_order(")
    (tmp_path / "header.npy").write_bytes(header)
    for name in ("zipped", "empty", "text", "objects", "absent", "cut-zip", "header"):
        with pytest.raises(DataError, match=r"not a \.npy file"):
            read_embeddings(tmp_path / f"{name}.npy")


def test_numbers_without_a_header_are_refused_with_the_line_that_converts_them(
    tmp_path: Path,
) -> None:
    matrix = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)
    matrix.tofile(tmp_path / "a.raw")
    with pytest.raises(DataError, match=r"no \.npy header") as caught:
        read_embeddings(tmp_path / "a.raw")
    assert "pickle" not in str(caught.value)
    assert caught.value.fix is not None
    line = caught.value.fix.partition(": ")[2].replace("DIMENSIONS", "8")
    exec(line, {"numpy": np})  # the line that the message tells a person to run
    assert np.array_equal(read_embeddings(tmp_path / "a.npy"), matrix)


def test_a_damaged_header_or_a_second_matrix_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((50, 16), np.float32))
    data = (tmp_path / "a.npy").read_bytes()
    damages = {
        "cut": data[:-100],
        "header": data[:40],
        "twice": data + data,
        "unclosed": data.replace(b"(50, 16)", b"((50, 16"),
        "negative": data.replace(b"(50, 16)", b"(-1, 16)"),
        "enormous": data.replace(b"(50, 16), }           ", b"(9999999999999999,8),}"),
        "nonsense": data.replace(b"(50, 16)", b"('a','b')"[:8]),
    }
    for name, damaged in damages.items():
        (tmp_path / f"{name}.npy").write_bytes(damaged)
        assert damaged != data
        with pytest.raises(DataError, match=r"not a \.npy file"):
            read_embeddings(tmp_path / f"{name}.npy")


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_a_row_without_a_direction_is_named_as_the_file_has_it(
    texts: tuple[Path, Path], tmp_path: Path, value: float
) -> None:
    # The row comes behind a repeated text: in the matrix of distinct texts it has another number.
    rows = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)
    rows[3] = value
    np.save(tmp_path / "bad.npy", rows)
    np.save(tmp_path / "good.npy", rows[:3])
    inputs = ("--src-emb", tmp_path / "bad.npy", "--trg-emb", tmp_path / "good.npy")
    with pytest.raises(DataError, match=r"bad\.npy, row 3"):
        run(mine, *inputs, "--src", texts[0], "--trg", texts[1], "--out", tmp_path / "x.tsv")


def test_any_layout_of_the_same_numbers_gives_the_same_pairs(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((20, 8)).astype(np.float16)
    np.save(tmp_path / "b.npy", rows[::-1])
    found = []
    for dtype, order in (("<f2", "C"), (">f2", "C"), (">f4", "C"), ("<f4", "F"), (">f8", "F")):
        np.save(tmp_path / "a.npy", np.asarray(rows, dtype=dtype, order=order))  # type: ignore[call-overload]
        inputs = ("--src-emb", tmp_path / "a.npy", "--trg-emb", tmp_path / "b.npy")
        run(mine, *inputs, "--out", tmp_path / "x.tsv", "--engine", "shared")
        found.append((tmp_path / "x.tsv").read_bytes())
    assert len(set(found)) == 1


def linked(kind: str, target: Path) -> Path:
    """Another path to a file."""
    other = target.parent / "sub" / ".." / target.name
    (target.parent / "sub").mkdir()
    if kind != "path":
        other = target.parent / f"{kind}.tsv"
        (other.symlink_to if kind == "symbolic" else other.hardlink_to)(target)
    return other


@pytest.mark.parametrize("kind", ["path", "symbolic", "hard"])
@pytest.mark.parametrize("option", ["--src", "--trg", "--src-emb", "--trg-emb"])
def test_an_output_that_is_an_input_is_refused_and_nothing_is_written(
    matrices: tuple[Path, Path], texts: tuple[Path, Path], kind: str, option: str
) -> None:
    inputs = dict(
        zip(("--src", "--trg", "--src-emb", "--trg-emb"), (*texts, *matrices), strict=True)
    )
    before = [path.read_bytes() for path in inputs.values()]
    with pytest.raises(ConfigError, match="one of the inputs"):
        run(
            mine,
            *(part for pair in inputs.items() for part in pair),
            "--out",
            linked(kind, inputs[option]),
        )
    assert [path.read_bytes() for path in inputs.values()] == before


def test_an_output_within_the_encoder_or_that_is_no_file_is_refused(
    tiny_xlmr: Path, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    inputs = ("--src", texts[0], "--trg", texts[1], "--encoder", tiny_xlmr, "--layer", 2)
    with pytest.raises(ConfigError, match="one of the inputs"):
        run(mine, *inputs, "--out", tiny_xlmr / "config.json")
    os.mkfifo(tmp_path / "fifo")
    for out in (tmp_path, tmp_path / "fifo", Path("/dev/null")):
        with pytest.raises(ConfigError, match="not a file"):
            run(mine, *inputs, "--out", out)
    own = ("--encoder", tiny_xlmr, "--src", texts[0], "--trg", texts[0])
    with pytest.raises(ConfigError, match="one of the inputs"):
        run(sweep, *own, "--plot", texts[0])


def test_a_threshold_that_is_not_a_number_is_refused(
    matrices: tuple[Path, Path], tmp_path: Path
) -> None:
    inputs = ("--src-emb", matrices[0], "--trg-emb", matrices[1], "--out", tmp_path / "x.tsv")
    with pytest.raises(ConfigError, match="not a number"):
        run(mine, *inputs, "--threshold", "nan")
    run(mine, *inputs, "--threshold", "inf")
    assert columns(tmp_path / "x.tsv") == []


def test_every_pair_is_one_row_whatever_ends_lines_elsewhere(tmp_path: Path) -> None:
    ends = "\t\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"
    sentences = [f"one{end}two" for end in ends]
    # newline="": what is written must be these very characters.
    (tmp_path / "a.txt").write_text("\n".join(sentences), encoding="utf-8", newline="")
    assert read_texts(tmp_path / "a.txt") == tuple(sentences)
    np.save(tmp_path / "a.npy", np.eye(len(ends), dtype=np.float32))
    sides = [
        argument
        for side in ("src", "trg")
        for argument in (f"--{side}", tmp_path / "a.txt", f"--{side}-emb", tmp_path / "a.npy")
    ]
    run(mine, *sides, "--out", tmp_path / "x.tsv", "--k", 1)
    rows = (tmp_path / "x.tsv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == len(ends)
    assert {tuple(row.split("\t")[3:]) for row in rows} == {("one two", "one two")}


@pytest.mark.parametrize(
    "text", ["\u200b", "\u00ad", "\u00a0", "\ufeff", "\x01\x1b", "\u3164", "\ufe0f"]
)
def test_a_line_without_a_visible_character_is_refused_with_its_number(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "a.txt").write_text(f"one\n{text}\nthree\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"empty line|visible character") as caught:
        read_texts(tmp_path / "a.txt")
    assert str(caught.value.where).endswith("a.txt:2")


@pytest.mark.slow
def test_a_sentence_without_a_token_is_refused_with_its_line_under_every_pooling(
    tiny_xlmr: Path, texts: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is seen and still makes no token depends on the tokenizer.
    monkeypatch.setattr("stilts_artifact.retrieval.texts.is_unseen", lambda character: False)
    bare = tmp_path / "c.txt"
    bare.write_text("one\n  \nthree\n", encoding="utf-8")
    inputs = ("--src", texts[0], "--trg", bare, "--encoder", tiny_xlmr, "--max-length", 64)
    for pooling in ("mean", "cls"):
        with pytest.raises(DataError, match="nothing but special") as caught:
            run(mine, *inputs, "--layer", 2, "--pool", pooling, "--out", tmp_path / "x.tsv")
        assert caught.value.where == f"{bare}:2"
    with pytest.raises(DataError, match=r"c\.txt:2"):
        own = ("--src", bare, "--trg", bare, "--max-length", 64)
        run(sweep, "--encoder", tiny_xlmr, *own, "--layers", "1")


@pytest.mark.slow
def test_sentences_that_were_cut_are_counted(
    tiny_xlmr: Path, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    inputs = ("--src", texts[0], "--trg", texts[1], "--encoder", tiny_xlmr)
    # "the cat sat" has 9 tokens and the special ones; two lines of the source, one of the target.
    tokens = 2 + len(_load_tokenizer(tiny_xlmr).tokenize("the cat sat"))
    for length, expected in (
        (64, "0 of 4 source and 0 of 3 target sentences were cut to 64 tokens"),
        (tokens, f"2 of 4 source and 2 of 3 target sentences were cut to {tokens} tokens"),
        (tokens - 1, f"4 of 4 source and 3 of 3 target sentences were cut to {tokens - 1} tokens"),
    ):
        shown = run(mine, *inputs, "--layer", 2, "--max-length", length, "--out", tmp_path / "x")
        assert expected in shown
    # A prefix takes its place among the tokens that are kept.
    prefixed = (*inputs, "--layer", 2, "--prefix", "the cat ", "--out", tmp_path / "x", "--json")
    content = json.loads(run(mine, *prefixed, "--max-length", tokens))
    assert content["cut"] == {"source": 4, "target": 3}
    assert content["encoder"]["prefix"] == "the cat "
    own = ("--encoder", tiny_xlmr, "--src", texts[1], "--trg", texts[1], "--layers", "1")
    assert ", 4 sentences cut" in run(sweep, *own, "--max-length", tokens)


def _load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def test_of_equal_texts_the_last_ones_embedding_stands_for_all(
    texts: tuple[Path, Path], tmp_path: Path
) -> None:
    # The first two lines of the source are equal; the second one's vector is that of the target.
    source = np.eye(4, 8, dtype=np.float32)
    np.save(tmp_path / "a.npy", source)
    np.save(tmp_path / "b.npy", source[[3, 1, 2]])
    inputs = ("--src-emb", tmp_path / "a.npy", "--trg-emb", tmp_path / "b.npy")
    own = ("--margin", "absolute", "--retrieval", "forward", "--k", 1, "--out", tmp_path / "x.tsv")
    run(mine, *inputs, "--src", texts[0], "--trg", texts[1], *own)
    found = {(line[1], line[2]): float(line[0]) for line in columns(tmp_path / "x.tsv")}
    assert found["0", "1"] == found["1", "1"] == 1.0


def test_a_byte_order_mark_is_no_part_of_either_sides_first_sentence(tmp_path: Path) -> None:
    lines = "eins\nzwei\n"
    (tmp_path / "a.txt").write_text(lines, encoding="utf-8-sig")
    (tmp_path / "b.txt").write_text(lines, encoding="utf-8")
    assert read_texts(tmp_path / "a.txt") == read_texts(tmp_path / "b.txt") == ("eins", "zwei")


def aligned(tmp_path: Path) -> tuple[Path, Path]:
    """Sixty lines of random letters, each reversed and shortened as its translation."""
    source, target = tmp_path / "s.txt", tmp_path / "t.txt"
    draw = np.random.default_rng(0)
    lines = [
        "".join(draw.choice(list("abcdefghijklmnop qrstuvwxyz"), 12)).strip() or "a"
        for _ in range(60)
    ]
    source.write_text("\n".join(lines), encoding="utf-8")
    target.write_text("\n".join(line[::-1][2:] for line in lines), encoding="utf-8")
    return source, target


@pytest.mark.slow
def test_a_sweep_scores_every_layer_and_pooling_and_draws_them(
    tiny_xlmr: Path, tmp_path: Path
) -> None:
    source, target = aligned(tmp_path)
    common = ("--encoder", tiny_xlmr, "--src", source, "--trg", target, "--max-length", 64)
    output = run(
        sweep, *common, "--layers", "0-4", "--pool", "mean,cls", "--plot", tmp_path / "plot.svg"
    )
    assert [f"layer  {layer}" in output for layer in range(5)] == [True] * 5
    assert "verdict: best is mean" in output
    assert "<svg" in (tmp_path / "plot.svg").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_sweep_equals_single_runs(tiny_xlmr: Path, tmp_path: Path) -> None:
    from stilts_artifact.domain.examples import SentencePair
    from stilts_artifact.retrieval.encode import Batching, TransformerSentences, View
    from stilts_artifact.retrieval.tatoeba import score_tatoeba
    from stilts_artifact.retrieval.transformer import load_transformer

    source, target = aligned(tmp_path)
    output = run(
        sweep,
        "--encoder",
        tiny_xlmr,
        "--src",
        source,
        "--trg",
        target,
        "--max-length",
        64,
        "--layers",
        "1-3",
        "--json",
    )
    rows = json.loads(output)["views"]
    pairs = list(map(SentencePair, read_texts(source), read_texts(target)))
    for row in rows:
        loaded = load_transformer(tiny_xlmr, deepest=row["layer"])
        encode = TransformerSentences(loaded, View(row["layer"]), Batching(64), tmp_path)
        assert score_tatoeba("xx", pairs, encode, scale="own").metrics["accuracy"] == pytest.approx(
            row["mean"]
        )
    assert [row["layer"] for row in rows] == [1, 2, 3]
    assert len({row["mean"] for row in rows}) > 1  # else the layers could be mixed up unseen


def test_layers_and_poolings_of_options() -> None:
    assert parse_layers("1-3,2,7", 12) == (1, 2, 3, 7)
    assert parse_layers("0,10-last", 12) == (0, 10, 11, 12)
    assert parse_poolings("cls, mean") == ("mean", "cls")
    for wrong in ("", "a", "3-1", "1-", "-1", "1..3", "²", "9" * 5000, "1-999999999", "last-1"):
        with pytest.raises(ConfigError):
            parse_layers(wrong, 12)
    with pytest.raises(ConfigError):
        parse_poolings("max")


def test_a_sweep_is_summed_up_by_means_over_languages() -> None:
    points = {("mean", 1): {"aa": 40.0, "bb": 60.0}, ("mean", 2): {"aa": 90.0, "bb": 10.0}}
    scores = SweepScores(points, {"aa": 5, "bb": 10}, "accuracy from-english")
    [first, second] = scores.means.values()
    assert (first, second) == (50.0, 50.0)
    assert scores.best == ("mean", 1)  # the first of equals
    assert scores.measured == "accuracy from-english; 2 languages, n = 15"
    assert scores.to_json() == {
        "metric": "accuracy from-english",
        "n": {"aa": 5, "bb": 10},
        "views": [
            {"pooling": name, "layer": layer, "languages": points[name, layer], "mean": 50.0}
            for name, layer in points
        ],
    }
