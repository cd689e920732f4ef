"""``mine`` and ``sweep`` as a person runs them, on their own texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from stilts_artifact.cli.mine import mine
from stilts_artifact.cli.sweep import sweep
from stilts_artifact.errors import ArtifactError, ConfigError, DataError, ResourceError
from stilts_artifact.retrieval.encode import View
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
    rows = json.loads(output)
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
    assert parse_layers("1-3,2,7") == (1, 2, 3, 7)
    assert parse_poolings("cls, mean") == ("mean", "cls")
    for wrong in ("", "a", "3-1", "1-", "-1", "1..3", "²", "9" * 5000, "1-999999999"):
        with pytest.raises(ConfigError):
            parse_layers(wrong)
    with pytest.raises(ConfigError):
        parse_poolings("max")


def test_a_sweep_is_summed_up_by_means_over_languages() -> None:
    scores = SweepScores.of(
        [("aa", View(1), 40.0), ("aa", View(2), 90.0), ("bb", View(1), 60.0), ("bb", View(2), 10.0)]
    )
    [first, second] = scores.means.values()
    assert (first, second) == (50.0, 50.0)
    assert scores.best == (View(1).name, 1)  # the first of equals
    assert scores.to_json()[1] == {
        "pooling": View(2).name,
        "layer": 2,
        "languages": {"aa": 90.0, "bb": 10.0},
        "mean": 50.0,
    }
