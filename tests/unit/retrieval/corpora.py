"""Small corpora whose translations share all their words, so that hashed trigrams find them."""

from __future__ import annotations

from stilts_artifact.domain.examples import ComparableCorpus, GoldPair, Sentence, SentencePair

WORDS = (
    "river stone house bright morning tall green bottle quiet engine",
    "paper window silver forest market bridge yellow",
    "garden winter summer letter doctor hammer kitchen ocean mountain pencil basket ladder mirror",
)


VOCABULARY = " ".join(WORDS).split()


def sentence(number: int) -> str:
    return (
        " ".join(VOCABULARY[(number * step + step) % len(VOCABULARY)] for step in (1, 7, 11, 13))
        + f" {number}"
    )


def corpus(pairs: int = 30, alone: int = 20, *, noise: str = "") -> ComparableCorpus:
    """Two corpora; the first ``pairs`` sentences are on both sides, with ``noise`` on one."""
    source = tuple(Sentence(f"xx-{i}", sentence(i) + noise) for i in range(pairs + alone))
    target = tuple(
        Sentence(f"en-{i}", sentence(i if i < pairs else 500 + i))
        for i in reversed(range(pairs + alone))
    )
    return ComparableCorpus(
        source, target, tuple(GoldPair(f"xx-{i}", f"en-{i}") for i in range(pairs))
    )


PAIRS = [SentencePair(f"{sentence(i)} x", sentence(i)) for i in range(40)]
