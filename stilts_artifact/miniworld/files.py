"""The files of the mini world, each made alone and only when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import partial
from types import MappingProxyType

from stilts_artifact.errors import ConfigError
from stilts_artifact.miniworld import tasks_alignment as alignment
from stilts_artifact.miniworld import tasks_choice as choice
from stilts_artifact.miniworld import tasks_nli as nli
from stilts_artifact.miniworld import tasks_paraphrase as paraphrase
from stilts_artifact.miniworld import tasks_retrieval as retrieval
from stilts_artifact.miniworld import tasks_span as span
from stilts_artifact.miniworld import tasks_tagging as tagging
from stilts_artifact.miniworld import tasks_text as text
from stilts_artifact.miniworld.family import AMOUNTS, FAMILY
from stilts_artifact.miniworld.grammar import SEED
from stilts_artifact.miniworld.languages import MINED, SOURCE_LANGUAGE, TRANSLATED, languages
from stilts_artifact.miniworld.tasks_ccg import ccgbank

Maker = Callable[[int], bytes]
SCHEME = "miniworld:"
IN_FAMILY = "family/"
"""Stands before the names of the family's files."""
FAMILY_LINES = 50
"""Lines of running text in the family's languages of least text."""


# Functions and not bytes: a run that needs three files generates three.
def _makers() -> dict[str, Maker]:
    return {
        "anli_v0.1.zip": nli.anli,
        "snli_1.0.zip": nli.snli,
        "MNLI.zip": nli.mnli,
        "QQP-clean.zip": paraphrase.qqp,
        **_translated(),
        "squad/train-v2.0.json": partial(span.squad, version="v2.0", split="train"),
        "squad/dev-v2.0.json": partial(span.squad, version="v2.0", split="dev"),
        "squad/train-v1.1.json": partial(span.squad, version="v1.1", split="train"),
        "squad/dev-v1.1.json": partial(span.squad, version="v1.1", split="dev"),
        "hellaswag_train.jsonl": partial(choice.hellaswag, split="train"),
        "hellaswag_val.jsonl": partial(choice.hellaswag, split="dev"),
        "ccgbank_1_1.tgz": ccgbank,
        "cosmosqa/train.csv": partial(choice.cosmosqa, split="train"),
        "cosmosqa/valid.csv": partial(choice.cosmosqa, split="dev"),
        "commonsenseqa/train_rand_split.jsonl": partial(choice.commonsenseqa, split="train"),
        "commonsenseqa/dev_rand_split.jsonl": partial(choice.commonsenseqa, split="dev"),
        "XNLI-1.0.zip": nli.xnli,
        "x-final.tar.gz": paraphrase.pawsx,
        "ud-treebanks-v2.5.tgz": tagging.treebanks,
        "panx_dataset.zip": tagging.panx,
        **{f"xquad.{code}.json": partial(span.xquad, language=code) for code in languages},
        "MLQA_V1.zip": span.mlqa,
        "tydiqa-goldp-v1.1-train.json": partial(span.tydiqa, split="train"),
        "tydiqa-goldp-v1.1-dev.json": partial(span.tydiqa, split="dev"),
        **_retrieval(),
        **_alignment(),
        **{f"wikipedia.{code}.txt": partial(text.wikipedia, language=code) for code in languages},
    }


def _translated() -> dict[str, Maker]:
    makers: dict[str, Maker] = {}
    for code in TRANSLATED:
        makers[f"MNLI-{code}.zip"] = partial(nli.mnli, language=code)
        makers[f"QQP-clean-{code}.zip"] = partial(paraphrase.qqp, language=code)
        makers[f"hellaswag_train-{code}.jsonl"] = partial(
            choice.hellaswag, split="train", language=code
        )
    return makers


def _retrieval() -> dict[str, Maker]:
    makers: dict[str, Maker] = {}
    for code in MINED:
        for part in ("sample", "training"):
            makers[f"bucc2018-{code}-{SOURCE_LANGUAGE}.{part}-gold.tar.bz2"] = partial(
                retrieval.bucc, language=code, part=part
            )
    return makers | _tatoeba(code for code in languages if code != SOURCE_LANGUAGE)


def _tatoeba(codes: Iterable[str]) -> dict[str, Maker]:
    return {
        f"tatoeba.{code}-{SOURCE_LANGUAGE}.{side}": partial(
            retrieval.tatoeba, language=code, side=side
        )
        for code in codes
        for side in (code, SOURCE_LANGUAGE)
    }


def _alignment() -> dict[str, Maker]:
    makers: dict[str, Maker] = {"ntrex/DOCUMENT_IDS.tsv": alignment.document_ids}
    for code in languages:
        side = "src" if code == SOURCE_LANGUAGE else "ref"
        makers[f"ntrex/newstest2019-{side}.{code}.txt"] = partial(alignment.text, language=code)
    return makers


def _family() -> dict[str, Maker]:
    """What the studies ask of the family; the training data are those of the shipped languages."""
    makers: dict[str, Maker] = {
        "MNLI.zip": nli.mnli,
        "XNLI-1.0.zip": partial(nli.xnli, codes=tuple(AMOUNTS)),
        "ud-treebanks-v2.5.tgz": partial(tagging.treebanks, banks=tagging.FAMILY_TREEBANKS),
        "panx_dataset.zip": partial(tagging.panx, sizes=tagging.FAMILY_PANX_SIZES),
    }
    for code, amount in AMOUNTS.items():
        makers[f"wikipedia.{code}.txt"] = partial(
            text.wikipedia, language=code, size=amount * FAMILY_LINES
        )
    return makers | _tatoeba(FAMILY)


_SHIPPED = _makers()
FILES: tuple[str, ...] = tuple(_SHIPPED)
"""Names of all files: upstream's with our language codes, in a folder if that is not unique."""
FAMILY_FILES: tuple[str, ...] = tuple(_family())
"""The same of the family of languages, without :data:`IN_FAMILY`."""
_MAKERS: Mapping[str, Maker] = MappingProxyType(
    _SHIPPED | {f"{IN_FAMILY}{name}": maker for name, maker in _family().items()}
)


def build(name: str, seed: int = SEED) -> bytes:
    """The bytes of one file, the same on every machine.

    Raises:
        ConfigError: there is no such file.
    """
    maker = _MAKERS.get(name)
    if maker is None:
        # A mistyped name is likelier than one that never was.
        close = get_close_matches(name, FILES, 1)
        raise ConfigError(
            "no such file in the mini world",
            where=f"{SCHEME}{name}",
            got=repr(name),
            expected=f"one of {len(FILES)} names in stilts_artifact.miniworld.FILES",
            fix=f"did you mean {close[0]!r}?" if close else None,
        )
    return maker(seed)


def serve(url: str) -> bytes:
    """The bytes behind a URL ``miniworld:NAME``, for the fetcher.

    Raises:
        ConfigError: the URL has another scheme, or there is no such file.
    """
    if not url.startswith(SCHEME):
        raise ConfigError(
            "not a mini world address", where=url, got=url, expected=f"{SCHEME}<file name>"
        )
    return build(url.removeprefix(SCHEME))
