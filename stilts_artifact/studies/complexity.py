"""How complex words are: measures of text, of parallel text and of treebanks.

Of text: type-token ratio, its moving average (MATTR), entropy of words, information in their inner
structure. Of the same content in two languages: synthesis ratio, subword ratio, byte premium. Of
treebanks: mean size of paradigm (MSP), inflectional synthesis (IS), entropy of features (MFH) and
of lemmas (LH), on samples of 1,000 words as Çöltekin and Rama (2023, arXiv 2204.05056) take them.

What these measures need is part of what they mean. Words are what white space separates, so that in
Chinese, Japanese, Thai and Burmese a "word" has 5 to 26 subwords, and no measure of words is valid.
A treebank without lemmas has one lemma, "_", and Thai would have 497 forms per paradigm: hence the
gate of :func:`measure_treebank`.
"""

from __future__ import annotations

import math
import string
import zlib
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from stilts_artifact.errors import DataError
from stilts_artifact.metrics.bootstrap import named_generator

WINDOW = 500
"""Words in a window of MATTR."""
SAMPLE = 1000
"""Words in a sample of a treebank."""
SAMPLES = 20
LEMMAS, FEATURES = 0.95, 0.40
"""The gate: share of a treebank's words that have a lemma, and that have features."""

_JOINERS = (
    "\u200c\u200d"  # Part of Persian and Indic words, among the marks of general punctuation.
)
_PUNCTUATION = (
    string.punctuation
    + "".join(map(chr, range(0x2000, 0x206F))).translate(dict.fromkeys(map(ord, _JOINERS)))
    + "«»„“”‘’،؟؛।۔。、，「」"
)
_NONE = "_"  # CoNLL-U's empty column
_NO_WORDS = ("X", "PUNCT")

_Tokens = TypeVar("_Tokens", bound=Sized)


def words(text: str) -> list[str]:
    """The words of a text in lower case: what white space separates, without punctuation around it.

    What has no letter, such as a number, is no word.

    Example:
        >>> words("In 2019, “Ça va?” isn't l'été -- 5 %.")
        ['in', 'ça', 'va', "isn't", "l'été"]
    """
    stripped = (part.strip(_PUNCTUATION) for part in text.lower().split())
    return [word for word in stripped if any(map(str.isalpha, word))]


def type_token_ratio(tokens: Sequence[Hashable]) -> float:
    """Different words over words. It falls with the length of a text: for equal lengths only.

    Raises:
        DataError: no words.
    """
    return len(set(_some(tokens))) / len(tokens)


def mattr(tokens: Sequence[Hashable], window: int = WINDOW) -> float:
    """Moving-average type-token ratio (Covington and McFall 2010), over all windows of a text.

    A word counts in every window that has it and not, earlier, the same word: so the sum over
    windows is one over words. A text shorter than the window is one window.

    Raises:
        DataError: no words.

    Example:
        >>> mattr("a b a c".split(), window=2), mattr("a a a b".split(), window=2)
        (1.0, 0.6666666666666666)
    """
    size = min(window, len(_some(tokens)))
    windows = len(tokens) - size + 1
    previous: dict[Hashable, int] = {}
    types = 0
    for place, token in enumerate(tokens):
        # Windows are known by where they start: after the same word's last place, at most a window
        # before this one, and not before the text does.
        first = max(previous.get(token, -1) + 1, place - size + 1, 0)
        types += max(0, min(place, windows - 1) - first + 1)
        previous[token] = place
    return types / (windows * size)


def entropy(tokens: Iterable[Hashable]) -> float:
    """Bits a token: ``-sum p log2 p``, of the frequencies as they are.

    Raises:
        DataError: no tokens.

    Example:
        >>> entropy("a b a b".split())
        1.0
    """
    counts = np.array(list(_some(Counter(tokens)).values()), dtype=np.float64)
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def word_entropy(tokens: Sequence[Hashable]) -> float:
    """Entropy in bits a word with Miller and Madow's correction, ``(types - 1) / (2 tokens ln 2)``.

    A sample has fewer types than what it is drawn from, and so less entropy; the correction is the
    first term of that bias (Miller 1955).

    Raises:
        DataError: no words.
    """
    return entropy(tokens) + (len(set(tokens)) - 1) / (2 * len(tokens) * math.log(2))


def synthesis_ratio(own: int, english: int) -> float:
    """Words of English over the language's own for the same content: what others say in words of
    their own, a synthetic language says in affixes."""
    return english / own


def subword_ratio(own: int, english: int) -> float:
    """Subwords over English's for the same content: how well the tokenizer knows the language."""
    return own / english


def fertility(subwords: int, words: int) -> float:
    """Subwords a word. Long words have many: this is complexity, seen through the tokenizer."""
    return subwords / words


def byte_premium(own: int, english: int) -> float:
    """Bytes of UTF-8 over English's for the same content (Arnett and Bergen 2025)."""
    return own / english


def english_equivalent(size: float, premium: float) -> float:
    """Size of a corpus as if its language took bytes as English does, in the size's own unit."""
    return size / premium


def word_structure(tokens: Sequence[str], generator: np.random.Generator) -> float:
    """How much better a text compresses than one whose words have letters drawn by chance.

    Compression ratio (zlib, level 9) of the text, less that of the text in which every different
    word has become another one of the same length, its letters drawn by their frequency (WS of
    Çöltekin and Rama 2023). Letters are bytes first, so that UTF-8 has no part in it. Beyond 255
    different ones the rarest are one: what is no alphabet has a number, but none to compare.

    Raises:
        DataError: no words.
    """
    letters = Counter(letter for token in _some(tokens) for letter in token).most_common()
    code = {letter: min(number, 255) for number, (letter, _) in enumerate(letters, 1)}
    counts = np.bincount([code[letter] for letter, _ in letters], [n for _, n in letters])
    shares = counts / counts.sum()
    spelt, drawn = {}, {}
    for token in dict.fromkeys(tokens):
        spelt[token] = bytes(code[letter] for letter in token)
        drawn[token] = bytes(generator.choice(len(shares), size=len(token), p=shares).tolist())
    return _compression(spelt, tokens) - _compression(drawn, tokens)


def _compression(spelling: Mapping[str, bytes], tokens: Iterable[str]) -> float:
    text = b"\0".join(spelling[token] for token in tokens)
    return len(text) / len(zlib.compress(text, 9))


class Word(NamedTuple):
    """A syntactic word of a treebank: CoNLL-U's columns FORM, LEMMA, UPOS and FEATS as they are."""

    form: str
    lemma: str
    upos: str
    feats: str


@dataclass(frozen=True, slots=True)
class TreebankMeasures:
    """Means over samples of 1,000 words.

    Attributes:
        ttr: type-token ratio.
        wh, lh: entropy of words and lemmas, bits.
        msp: forms per lemma.
        inflection: IS, different features on verbs.
        mfh: entropy of ``feature=value``, bits.
        ws: :func:`word_structure`.
        reason: why ``lh``, ``msp``, ``inflection`` and ``mfh`` are ``None``.
    """

    ttr: float
    wh: float
    ws: float
    lh: float | None
    msp: float | None
    inflection: float | None
    mfh: float | None
    reason: str | None


def measure_treebank(
    sentences: Sequence[Sequence[Word]], name: str, samples: int = SAMPLES
) -> TreebankMeasures:
    """All measures of a treebank; those of its annotation only where it has enough of that.

    Each sample has 1,000 words in lower case, of sentences drawn with replacement, without X, PUNCT
    and numbers in digits. The draws follow from the name.

    Args:
        name: of the treebank.

    Raises:
        DataError: no words.
    """
    generator = named_generator(name)
    kept = [own for sentence in sentences if (own := list(filter(_is_counted, sentence)))]
    if not kept:
        raise DataError("a treebank without words", where=name)
    drawn = [_sample(kept, generator) for _ in range(samples)]
    forms = [[word.form.lower() for word in sample] for sample in drawn]
    reason = missing_annotation(sentences)

    return TreebankMeasures(
        ttr=_mean(map(type_token_ratio, forms)),
        wh=_mean(map(entropy, forms)),
        ws=_mean(word_structure(sample, generator) for sample in forms),
        lh=None if reason else _mean(entropy(_lemmas(sample)) for sample in drawn),
        msp=None if reason else _mean(map(_paradigm, drawn)),
        inflection=None if reason else _mean(map(_inflection, drawn)),
        mfh=None if reason else _mean(map(_feature_entropy, drawn)),
        reason=reason,
    )


def missing_annotation(sentences: Iterable[Iterable[Word]]) -> str | None:
    """What a treebank lacks for the measures of lemmas and features; ``None`` if nothing.

    Raises:
        DataError: no words.
    """
    every = _some([word for sentence in sentences for word in sentence])
    lemmas = sum(word.lemma != _NONE for word in every) / len(every)
    features = sum(word.feats != _NONE for word in every) / len(every)
    if lemmas > LEMMAS and features > FEATURES:
        return None
    return (
        f"{lemmas:.0%} of the words have a lemma and {features:.0%} features; "
        f"more than {LEMMAS:.0%} and {FEATURES:.0%} are needed"
    )


def _is_counted(word: Word) -> bool:
    # A numeral in letters is a word like others.
    in_digits = word.upos == "NUM" and not word.form.isalpha()
    return word.upos not in _NO_WORDS and not in_digits


def _sample(sentences: Sequence[Sequence[Word]], generator: np.random.Generator) -> list[Word]:
    drawn: list[Word] = []
    while len(drawn) < SAMPLE:
        drawn += sentences[int(generator.integers(len(sentences)))]
    return drawn[:SAMPLE]


def _lemmas(sample: Iterable[Word]) -> list[str]:
    return [word.lemma.lower() for word in sample]


def _paradigm(sample: Sequence[Word]) -> float:
    return len({word.form.lower() for word in sample}) / len(set(_lemmas(sample)))


def _features(word: Word) -> list[str]:
    return [] if word.feats == _NONE else word.feats.split("|")


def _inflection(sample: Iterable[Word]) -> float:
    return len(
        {
            feature.partition("=")[0]
            for word in sample
            if word.upos == "VERB"
            for feature in _features(word)
        }
    )


def _feature_entropy(sample: Iterable[Word]) -> float:
    return entropy(feature for word in sample for feature in _features(word))


def _some(tokens: _Tokens) -> _Tokens:
    """The tokens, of which there must be one at least."""
    if not len(tokens):
        raise DataError("a text without words")
    return tokens


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
