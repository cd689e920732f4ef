"""The readers on real public files, whose examples were counted by other means."""

from __future__ import annotations

import gzip
import json
import math
import re
from collections import Counter
from pathlib import Path

import pytest

from stilts_artifact.data.archive import read_plain
from stilts_artifact.data.readers import READERS
from stilts_artifact.domain.examples import TaggedSentence
from stilts_artifact.errors import DataError
from stilts_artifact.forms.tagging import permute_features

pytestmark = pytest.mark.slow

XQUAD = ["ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"]
MLQA_FIRST_50 = {
    "dev": {"ar": 157, "de": 105, "en": 182, "es": 125, "hi": 121, "vi": 160, "zh": 113},
    "test": {"ar": 226, "de": 141, "en": 294, "es": 149, "hi": 251, "vi": 135, "zh": 159},
}
SHORT_TATOEBA = {
    "jav": 205,
    "tel": 234,
    "tam": 307,
    "swh": 390,
    "tha": 548,
    "kaz": 575,
    "mal": 687,
    "kat": 746,
}


def read(name: str, path: Path, **options: str) -> list:  # type: ignore[type-arg]
    return READERS[name](read_plain(path), path.name, **options)


@pytest.mark.parametrize("language", XQUAD)
def test_xquad(real_data: Path, language: str) -> None:
    examples = read("squad", real_data / "xquad" / f"xquad.{language}.json", version="1.1")
    assert len(examples) == 1190
    assert len({example.id for example in examples}) == 1190
    assert all(len(example.answers) == 1 for example in examples)


@pytest.mark.parametrize("split", MLQA_FIRST_50)
def test_mlqa(real_data: Path, split: str) -> None:
    folder, name = real_data / "mlqa", split + "-context-{0}-question-{0}.first50articles.json.gz"
    counts = {
        language: len(read("squad", folder / name.format(language)))
        for language in MLQA_FIRST_50[split]
    }
    assert counts == MLQA_FIRST_50[split]


def test_squad(real_data: Path) -> None:
    assert len(read("squad", real_data / "squad" / "train-v1.1.first50articles.json")) == 12_723
    assert len(read("squad", real_data / "squad" / "dev-v1.1.sample1000.json")) == 1_000
    path = real_data / "squad" / "cs224n-dev-v2.0.json"
    examples = read("squad", path, version="2.0")
    assert (len(examples), sum(bool(example.answers) for example in examples)) == (6_078, 2_910)
    with pytest.raises(DataError, match="has no answer"):
        read("squad", path, version="1.1")


def test_a_stripped_context_is_noticed(real_data: Path) -> None:
    """Some redistributions of XQuAD strip contexts, so that offsets shift."""
    document = json.loads(read_plain(real_data / "xquad" / "xquad.de.json"))
    changed = 0
    for article in document["data"]:
        for paragraph in article["paragraphs"]:
            stripped = paragraph["context"].strip("\ufeff ")
            changed += stripped[:1] != paragraph["context"][:1]
            paragraph["context"] = stripped
    assert changed
    with pytest.raises(DataError, match="does not stand in its context"):
        READERS["squad"](json.dumps(document).encode(), "stripped.json")


def test_tydiqa(real_data: Path) -> None:
    path = real_data / "tydiqa" / "goldp-v1.1-train.first.json"
    assert [example.question for example in read("tydiqa", path, language="finnish")] == [
        "Milloin Charles Fort syntyi?",
        read("squad", path)[1].question,
    ]
    with pytest.raises(DataError, match="no question in language 'english'"):
        read("tydiqa", path, language="english")
    assert (
        len(read("tydiqa", real_data / "tydiqa" / "goldp-v1.1-dev.first.json", language="arabic"))
        == 1
    )


def test_english_treebanks(real_data: Path) -> None:
    """UD 2.5: EWT, GUM, LinES, ParTUT, and for test also PUD and Pronouns."""
    files = [
        (path, read_plain(path))
        for path in sorted(real_data.glob("udpos/UD_English-*/*.conllu.gz"))
    ]
    counts: Counter[str] = Counter()
    for path, data in files:
        counts[path.name.split("-ud-")[1].split(".")[0]] += len(
            READERS["conllu"](data, path.name, language="en")
        )
    assert counts == {"train": 21_253, "dev": 3_974, "test": 5_440}


def test_morphology_of_the_english_treebanks(real_data: Path) -> None:
    """What study 001 trains on, and its control: the figures of the study's design."""
    paths = sorted(real_data.glob("udpos/UD_English-*/*-train.conllu.gz"))
    files = {path.name: read_plain(path) for path in paths}
    words = re.compile(rb"^[0-9]+\t", re.MULTILINE)
    assert sum(len(words.findall(data)) for data in files.values()) == 375_221

    def tags(**options: str) -> list[TaggedSentence]:
        reader = READERS["conllu"]
        return [
            sentence
            for name, data in files.items()
            for sentence in reader(data, name, language="en", **options)
        ]

    def entropy(counts: Counter[str]) -> float:
        total = counts.total()
        return -sum(count / total * math.log2(count / total) for count in counts.values())

    sentences = tags(tags="upos|feats")
    upos = Counter(tag for sentence in tags() for tag in sentence.tags)
    bundles = Counter(tag for sentence in sentences for tag in sentence.tags)
    assert len(sentences) == 21_253
    # 27 words fewer than there are: those behind the 27 fused tokens, such as "cannot".
    assert upos.total() == bundles.total() == 375_194
    assert (len(upos), round(entropy(upos), 2)) == (17, 3.59)
    assert (len(bundles), round(entropy(bundles), 2)) == (331, 5.00)
    common = {bundle: count for bundle, count in bundles.items() if count >= 20}
    assert len(common) == 143
    assert round(100 * sum(common.values()) / bundles.total(), 1) == 99.8
    bare = sum(count for bundle, count in bundles.items() if "|" not in bundle)
    assert round(100 * bare / bundles.total()) == 35

    permuted = permute_features(sentences)
    assert Counter(tag for sentence in permuted for tag in sentence.tags) == bundles
    moved = sum(
        before != after
        for one, other in zip(sentences, permuted, strict=True)
        for before, after in zip(one.tags, other.tags, strict=True)
    )
    assert moved > 100_000


# Multiword tokens of each file, counted with grep; each replaces the words in its span by one
# token.
FUSED = {
    "he_htb": 2853,
    "it_pud": 1547,
    "pt_pud": 1476,
    "fr_pud": 597,
    "es_pud": 465,
    "de_pud": 328,
    "ta_ttb": 194,
}


@pytest.mark.parametrize("treebank", FUSED)
def test_fused_tokens(real_data: Path, treebank: str) -> None:
    (path,) = real_data.glob(f"udpos/*/{treebank}-ud-test.conllu.gz")
    data = read_plain(path)
    rows = [line.split("\t")[0] for line in data.decode().split("\n") if line[:1].isdecimal()]
    spans = [row.split("-") for row in rows if "-" in row]
    assert len(spans) == FUSED[treebank]
    words = sum(row.isdecimal() for row in rows)
    hidden = sum(int(last) - int(first) for first, last in spans)
    sentences = READERS["conllu"](data, path.name, language=treebank[:2])
    assert sum(len(sentence.words) for sentence in sentences) == words - hidden


def test_all_other_treebanks(real_data: Path) -> None:
    for path in sorted(real_data.glob("udpos/*/*-test.conllu.gz")):
        data = read_plain(path)
        assert len(READERS["conllu"](data, path.name, language=path.name[:2])) == data.count(
            b"\n\n"
        ), path


def test_tatoeba(real_data: Path) -> None:
    paths = sorted((real_data / "tatoeba").glob("tatoeba.*"))
    assert len(paths) == 72
    for path in paths:
        sentences = read("lines", path)
        assert len(sentences) == SHORT_TATOEBA.get(path.name.split(".")[1].split("-")[0], 1000), (
            path
        )
        assert sentences[-1].id == str(len(sentences) - 1)


def test_cosmosqa(real_data: Path) -> None:
    examples = read("cosmosqa", real_data / "cosmosqa" / "valid.csv")
    assert len(examples) == 2_985
    assert Counter(example.label for example in examples).keys() == {0, 1, 2, 3}
    assert len(read("cosmosqa", real_data / "cosmosqa" / "train.first.csv")) == 2
    with pytest.raises(
        DataError, match="not the columns"
    ):  # answers were numbered from 1 in the first upload
        read("cosmosqa", real_data / "cosmosqa" / "valid.initial-upload-2019-08-25.csv.gz")


def test_commonsenseqa(real_data: Path) -> None:
    examples = read("commonsenseqa", real_data / "csqa" / "v1.11" / "dev.sample7.jsonl")
    assert [len(example.choices) for example in examples] == [5] * 7
    assert examples[0].choices[examples[0].label] == "bank"
    with pytest.raises(DataError, match="3 choices"):
        read("commonsenseqa", real_data / "csqa" / "v1.0" / "dev_rand_split.jsonl.gz")


def test_hellaswag(real_data: Path) -> None:
    """The sample keeps the fields but is a list, labels as strings; upstream has integers."""
    items = json.loads(read_plain(real_data / "hellaswag" / "train.sample3000.json.gz"))
    lines = "\n".join(json.dumps(item | {"label": int(item["label"])}) for item in items)
    examples = READERS["hellaswag"](lines.encode(), "train.jsonl")
    assert len(examples) == 3_000
    assert Counter(example.label for example in examples).keys() == {0, 1, 2, 3}
    assert all(
        choice == f"{item['ctx_b']} {ending}"
        for item, example in zip(items, examples, strict=True)
        for choice, ending in zip(example.choices, item["endings"], strict=True)
    )


def test_xnli(real_data: Path) -> None:
    """The samples have lost their header and other columns; put back, every language reads."""
    header = "language\tgold_label\tsentence1\tsentence2\tpairID\n"
    for split in ("dev", "test"):
        lines = [header]
        paths = sorted((real_data / "xnli" / "first50").glob(f"*.{split}.tsv"))
        for path in paths:
            for number, line in enumerate(path.read_text("utf-8").rstrip("\n").split("\n")):
                first, second, gold = line.split("\t")
                lines.append(f"{path.name[:2]}\t{gold}\t{first}\t{second}\t{number}\n")
        data = "".join(lines).encode()
        sizes = {
            path.name[:2]: len(READERS["xnli"](data, "xnli.tsv", language=path.name[:2]))
            for path in paths
        }
        assert len(sizes) == 15
        assert set(sizes.values()) == {50}


def test_pawsx(real_data: Path) -> None:
    for path in sorted(real_data.glob("pawsx/*/*.tsv")):
        assert len(read("pawsx", path)) == (49 if "first50" in path.name else 4), path


def test_qqp_and_anli(real_data: Path) -> None:
    assert len(read("qqp", real_data / "qqp" / "train.first.tsv")) == 3
    assert [example.label for example in read("qqp", real_data / "qqp" / "dev.first.tsv")] == [
        "0",
        "0",
    ]
    for path in sorted((real_data / "anli").glob("*.jsonl")):
        assert len(read("anli", path)) == 3


@pytest.mark.parametrize(("language", "size"), [("sw", 1000), ("yo", 100)])
def test_panx(real_data: Path, language: str, size: int) -> None:
    """MasakhaNER's copy has spaces for tabs and no prefix: refused as it is, read when undone."""
    for split in ("train", "dev", "test"):
        path = real_data / "ner" / f"panx_{language}" / f"{split}.txt"
        with pytest.raises(DataError, match="missing columns: tag"):
            read("panx", path)
        rows = [line.rpartition(" ") for line in path.read_text("utf-8").split("\n")]
        restored = "\n".join(f"{language}:{word}\t{tag}" if word else "" for word, _, tag in rows)
        assert len(READERS["panx"](restored.encode(), path.name)) == size


def test_panx_sentences_of_40_languages(real_data: Path) -> None:
    text = (real_data / "ner" / "panx_first_sentences_40langs.conll").read_text("utf-8")
    lines = [line for line in text.split("\n") if not line.startswith("# ")]
    assert len(READERS["panx"]("\n".join(lines).encode(), "panx.conll")) == 120


def test_bucc_form_of_real_sentences(real_data: Path) -> None:
    data = gzip.decompress((real_data / "parallel" / "ntrex" / "de.tsv.gz").read_bytes())
    assert len(READERS["bucc_text"](data, "de.tsv")) == 1_997
