"""One pure reader for each format: bytes -> typed examples, errors with ``file:line``.

The formats are upstream's, and five plain ones for anyone's own data
(:mod:`stilts_artifact.benchmark.own_data`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from stilts_artifact.data.readers import choices, corpora, pairs, spans, tags

#: Reader by the name that a :class:`~stilts_artifact.domain.tasks.Part` gives it; called as
#: ``READERS[name](data, where, **options)``, with ``where`` the name of the file in errors.
READERS: Mapping[str, Callable[..., list[Any]]] = MappingProxyType(
    {
        "anli": pairs.anli,
        "bucc_gold": corpora.bucc_gold,
        "bucc_text": corpora.bucc_text,
        "ccg": tags.ccg,
        "choice_rows": choices.choice_rows,
        "commonsenseqa": choices.commonsenseqa,
        "conllu": tags.conllu,
        "document_ids": corpora.document_ids,
        "cosmosqa": choices.cosmosqa,
        "gold_lines": corpora.gold_lines,
        "hellaswag": choices.hellaswag,
        "lines": corpora.lines,
        "mnli": pairs.mnli,
        "ntrex": corpora.ntrex,
        "pair_rows": pairs.pair_rows,
        "panx": tags.panx,
        "parallel": corpora.parallel,
        "pawsx": pairs.pawsx,
        "qqp": pairs.qqp,
        "snli": pairs.snli,
        "squad": spans.squad,
        "tagged_words": tags.tagged_words,
        "tydiqa": spans.tydiqa,
        "xnli": pairs.xnli,
    }
)
