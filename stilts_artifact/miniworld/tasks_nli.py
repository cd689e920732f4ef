"""MNLI, SNLI, ANLI and XNLI: natural language inference."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import count

from stilts_artifact.miniworld.archives import zip_archive
from stilts_artifact.miniworld.draw import Stream
from stilts_artifact.miniworld.grammar import grammar
from stilts_artifact.miniworld.inference import LABELS, Inference, infer
from stilts_artifact.miniworld.languages import SOURCE_LANGUAGE, languages
from stilts_artifact.miniworld.splits import SplitName, distinct
from stilts_artifact.miniworld.tables import jsonl, tsv

MNLI_SIZES: dict[SplitName, int] = {"train": 3600, "dev": 300}
SNLI_SIZES: dict[SplitName, int] = {"train": 2100, "dev": 300}
ANLI_SIZES: dict[SplitName, int] = {"train": 690, "dev": 120}
XNLI_SIZES: dict[SplitName, int] = {"dev": 201, "test": 300}
SNLI_UNDECIDED_EVERY = 100
"""One SNLI row in so many has no agreed label ("-"), which readers must leave out."""

_PARSES = ("sentence1_binary_parse", "sentence2_binary_parse", "sentence1_parse", "sentence2_parse")
_TEXTS = ("sentence1", "sentence2")
_RATERS = ("label1", "label2", "label3", "label4", "label5")
_MNLI_COLUMNS = ("index", "promptID", "pairID", "genre", *_PARSES, *_TEXTS)
_XNLI_COLUMNS = (
    *("language", "gold_label", *_PARSES, *_TEXTS, "promptID", "pairID", "genre", *_RATERS),
    *("sentence1_tokenized", "sentence2_tokenized", "match"),
)
_GENRE = "fiction"


@lru_cache(maxsize=4)  # for the translated files, which hold the same pairs
def pairs(
    seed: int, name: str, split: SplitName, size: int, bystanders: int = 0
) -> tuple[Inference, ...]:
    """``size`` different pairs of the split, a third of them with each label."""
    r = Stream(seed, name, split)
    source_language = grammar(SOURCE_LANGUAGE, seed)
    turn = count()

    def draw() -> Inference:
        # Labels in turn: a label that lags behind would make the others draw in vain.
        return infer(r, LABELS[next(turn) % 3], bystanders)

    # The hypothesis alone decides: then no split has met another's hypotheses, whatever the
    # premises.
    def text(pair: Inference) -> str:
        return source_language.text(pair.hypothesis)

    return tuple(distinct(split, draw, text, size, lambda pair: pair.label, len(LABELS)))


def texts(pair: Inference, language: str, seed: int) -> tuple[str, str]:
    """Premise and hypothesis in a language."""
    own = grammar(language, seed)
    return " ".join([own.text(premise) for premise in pair.premises]), own.text(pair.hypothesis)


def mnli(seed: int, language: str = SOURCE_LANGUAGE) -> bytes:
    """MNLI in GLUE's layout: one vote in train, five in the development set; parses are empty."""
    return zip_archive(
        {
            "MNLI/train.tsv": _mnli(seed, language, "train", _RATERS[:1]),
            "MNLI/dev_matched.tsv": _mnli(seed, language, "dev", _RATERS),
        }
    )


def _mnli(seed: int, language: str, split: SplitName, raters: tuple[str, ...]) -> bytes:
    rows: list[tuple[str, ...]] = [(*_MNLI_COLUMNS, *raters, "gold_label")]
    for index, pair in enumerate(pairs(seed, "mnli", split, MNLI_SIZES[split])):
        ids = (str(index), str(index), f"{index}{pair.label[0]}", _GENRE)
        votes = (pair.label,) * (len(raters) + 1)
        rows.append((*ids, *("",) * len(_PARSES), *texts(pair, language, seed), *votes))
    return tsv(rows)


def snli(seed: int) -> bytes:
    """SNLI as JSON lines; some rows have no agreed label."""
    members = {}
    for split, size in SNLI_SIZES.items():
        rows: list[dict[str, object]] = []
        for index, pair in enumerate(pairs(seed, "snli", split, size)):
            premise, claim = texts(pair, SOURCE_LANGUAGE, seed)
            rows.append(_snli_row(index, premise, claim, pair.label))
        members[f"snli_1.0/snli_1.0_{split}.jsonl"] = jsonl(rows)
    return zip_archive(members)


def _snli_row(index: int, premise: str, claim: str, label: str) -> dict[str, object]:
    undecided = index % SNLI_UNDECIDED_EVERY == SNLI_UNDECIDED_EVERY - 1
    return {
        "annotator_labels": list(LABELS) if undecided else [label],
        "captionID": f"{index}.jpg#0",
        "gold_label": "-" if undecided else label,
        "pairID": f"{index}.jpg#0r1{label[0]}",
        "sentence1": premise,
        "sentence2": claim,
    }


def anli(seed: int) -> bytes:
    """ANLI: in round n, the premise that matters stands among n others."""
    members = {}
    for number in (1, 2, 3):
        for split, size in ANLI_SIZES.items():
            rows: list[dict[str, object]] = []
            for index, pair in enumerate(pairs(seed, f"anli-{number}", split, size, number)):
                context, claim = texts(pair, SOURCE_LANGUAGE, seed)
                rows.append(
                    {
                        "uid": f"r{number}-{split}-{index}",
                        "context": context,
                        "hypothesis": claim,
                        "label": pair.label[0],
                        "model_label": pair.label[0],
                        "emturk": False,
                        "genre": _GENRE,
                        "reason": "",
                        "tag": f"r{number}_{split}",
                    }
                )
            # Round, split: as upstream, whose rounds grow harder.
            members[f"anli_v0.1/R{number}/{split}.jsonl"] = jsonl(rows)
    return zip_archive(members)


def xnli(seed: int, codes: Iterable[str] = tuple(languages)) -> bytes:
    """XNLI: the same pairs in every language, one file a split, languages one after another."""
    members = {}
    for split, size in XNLI_SIZES.items():
        drawn = pairs(seed, "xnli", split, size)
        rows: list[list[str]] = [list(_XNLI_COLUMNS)]
        for language in codes:
            for index, pair in enumerate(drawn):
                rows.append(_xnli_row(language, index, texts(pair, language, seed), pair.label))
        members[f"XNLI-1.0/xnli.{split}.tsv"] = tsv(rows)
    return zip_archive(members)


def _xnli_row(language: str, index: int, sentences: tuple[str, str], label: str) -> list[str]:
    """One row; the parses, single votes and tokenised texts, which nobody reads, are left empty."""
    ids = [str(index), str(index), _GENRE]
    votes_and_tokens = [""] * (len(_RATERS) + 2)
    return [language, label, *[""] * len(_PARSES), *sentences, *ids, *votes_and_tokens, "True"]
