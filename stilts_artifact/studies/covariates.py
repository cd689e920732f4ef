"""What languages are explained by: facts with their sources, and the covariates made of them.

The facts are ``expected_results/studies/covariates.csv``, one line a language; what each column
means and where it is from says ``covariate_sources.csv`` beside it.

The primary index of morphological complexity is the mean of three z-scores, all computed on the
same content in every language (NTREX-128), so that genre and size are equal: MATTR-500, entropy of
words, and the logarithm of the ratio of English words to the language's own. Corpus measures and
descriptive grammars agree on the order of languages (Bentz et al. 2016, W16-4117); eight corpus
measures have one component that explains 92.6 % of their variance (Çöltekin and Rama 2023, arXiv
2204.05056). Words are what white space separates. Where it separates none, the index is unknown.

Not among the facts: WALS 22A, which gives Finnish as many categories a word as English; and 26A,
which says "strongly suffixing" of nearly all.

All z-scores have the mean and the standard deviation of the same *reference* languages, whichever
languages a study is about: XTREME's without English that have both the index and CC-100 text, as
many of them as have the covariate. So they are constants of the file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Literal, cast, get_args

from stilts_artifact.benchmark.languages import XTREME
from stilts_artifact.documents import CsvRow, parse_csv, whole_number
from stilts_artifact.errors import DataError, unknown_name
from stilts_artifact.studies.complexity import (
    byte_premium,
    english_equivalent,
    fertility,
    subword_ratio,
    synthesis_ratio,
)
from stilts_artifact.texts import visible

if TYPE_CHECKING:
    from stilts_artifact.miniworld.languages import Typology

Spaces = Literal["words", "syllables", "nothing"]

COMPLEXITY = "complexity"
DATA = "data"
INDICES = (COMPLEXITY, "mattr", "word_entropy", "synthesis", "msp", "case", "grambank")
"""Measures of morphological complexity; the first is the primary one, the others specifications."""
CONTROLS = (DATA, "size", "subwords", "latin")
"""What may be held equal: amount of pre-training text, as English takes bytes and raw; subwords for
the same content; Latin script."""
MEDIATORS = ("fertility",)
"""Never held equal: subwords a word *is* complexity, seen through the tokenizer (its rank
correlation with MATTR is .86), and adjusting for it removes the effect under study. It has a place
in an estimate that is labelled as mediation, and in no other."""
REPLACED = "replaced"
"""Of invented languages: share of the vocabulary that is not inherited."""

_NTREX = ("ntrex_bytes", "ntrex_words", "ntrex_subwords", "mattr_500", "word_entropy")
_GRAMBANK = ("grambank_bound", "grambank_coded")
_UD = ("ud_treebank", "ud_msp", "ud_is")
COLUMNS = (
    "language",
    "name",
    "glottocode",
    "family",
    "genus",
    "script",
    "spaces",
    "cc100_gib",
    *_NTREX,
    "wals_49a",
    *_GRAMBANK,
    *_UD,
)

_ENGLISH = XTREME.source_language
_PARTS = ("mattr", "word_entropy", "synthesis")
_LEAST_CODED = 25  # of Grambank's 33 features
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,9})?")
_CASES = {
    "No morphological case-marking": 0.0,
    "2 cases": 2.0,
    "3 cases": 3.0,
    "4 cases": 4.0,
    "5 cases": 5.0,
    "6-7 cases": 6.5,
    "8-9 cases": 8.5,
    "10 or more cases": 10.0,
}
"""WALS 49A as a number: the middle of a range, the least of an open one."""


@dataclass(frozen=True, slots=True)
class Parallel:
    """What was counted in a language's side of NTREX-128; the columns say what each field is."""

    bytes: int
    words: int
    subwords: int
    mattr_500: float
    word_entropy: float


@dataclass(frozen=True, slots=True)
class Treebank:
    """What was measured in a treebank that has lemmas and features."""

    name: str
    msp: float
    features_on_verbs: float


@dataclass(frozen=True, slots=True)
class Grammar:
    """Share of Grambank's features of bound marking that are present, and how many are coded."""

    bound: float
    coded: int


@dataclass(frozen=True, slots=True)
class Facts:
    """A language's line; ``None`` where nothing was found."""

    code: str
    name: str
    family: str
    genus: str
    script: str
    spaces: Spaces
    cc100_gib: float | None
    ntrex: Parallel | None
    cases: float | None
    grambank: Grammar | None
    treebank: Treebank | None


@dataclass(frozen=True, slots=True)
class Value:
    """A language's value of a covariate.

    Attributes:
        value: in the covariate's own unit; ``None`` where it is unknown, invalid or constant.
        z: standardised by the reference languages; ``None`` likewise.
        source: where the value is from, or why there is none.
    """

    value: float | None
    z: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Kinship:
    """A language among others: what clusters are made of."""

    name: str
    family: str
    genus: str


@dataclass(frozen=True, slots=True)
class Covariates:
    """The covariates of all languages of a benchmark.

    Attributes:
        languages: by code.
        values: covariate -> language -> value; every language has an entry.
        reference: the languages whose mean and standard deviation make z-scores.
    """

    languages: Mapping[str, Kinship]
    values: Mapping[str, Mapping[str, Value]]
    reference: tuple[str, ...]

    def of(self, covariate: str, language: str) -> Value:
        """The value of a language; one that has no line has no value.

        Raises:
            ConfigError: no such covariate.
        """
        if covariate not in self.values:
            raise unknown_name("covariate", covariate, self.values)
        unknown = Value(None, None, "the language is not among the covariates' languages")
        return self.values[covariate].get(language, unknown)

    def varies(self, covariate: str) -> bool:
        """Whether it can explain anything: a covariate of which no language has a value cannot.

        Raises:
            ConfigError: no such covariate.
        """
        return any(self.of(covariate, language).z is not None for language in self.languages)

    def lines(self, languages: Iterable[str]) -> Iterator[tuple[str, ...]]:
        """Lines of a study's table of covariates, under ``record.COVARIATES_HEADER``.

        Example:
            >>> next(mini_covariates().lines(["qag"]))[:6]
            ('qag', 'Agamak', 'Agamak', 'Agamak', 'complexity', '8')
        """
        for language in languages:
            kin = self.languages[language]
            for covariate in self.values:
                found = self.of(covariate, language)
                numbers = ("" if x is None else f"{x:.10g}" for x in (found.value, found.z))
                yield language, kin.name, kin.family, kin.genus, covariate, *numbers, found.source


def parse_sources(data: bytes, where: str) -> dict[str, str]:
    """Column of the covariates -> where its values are from.

    Raises:
        DataError: not CSV, or not one line for each column, in order.
    """
    rows = parse_csv(data, where, ("column", "meaning", "source"))
    sources = {row.cells["column"]: row.cells["source"] for row in rows}
    if [row.cells["column"] for row in rows] != list(COLUMNS):
        raise DataError(
            "not the sources of the covariates' columns",
            where=where,
            got=", ".join(row.cells["column"] for row in rows),
            expected=", ".join(COLUMNS),
        )
    return sources


def parse_facts(data: bytes, where: str) -> dict[str, Facts]:
    """Language -> facts, from the bytes of ``covariates.csv``.

    Raises:
        DataError: not CSV with these columns; a cell that is not of its column's form; columns of
            which a line has some where they belong together; or a language twice.
    """
    facts: dict[str, Facts] = {}
    for row in parse_csv(data, where, COLUMNS):
        line = _facts(row)
        if line.code in facts:
            raise _wrong(row, "language", "each language once")
        facts[line.code] = line
    return facts


def parse_covariates(data: bytes, where: str, sources: Mapping[str, str]) -> Covariates:
    """The covariates of real languages, from the bytes of ``covariates.csv``.

    Args:
        sources: of its columns, from :func:`parse_sources`.

    Raises:
        DataError: as :func:`parse_facts`; or no English to compare with.
    """
    facts = parse_facts(data, where)
    english = facts[_ENGLISH].ntrex if _ENGLISH in facts else None
    if english is None:
        raise DataError("no English to compare with", where=where, expected="its NTREX columns")
    raw = {
        name: {code: measure.of(line, english) for code, line in facts.items()}
        for name, measure in _MEASURES.items()
    }
    reference = tuple(
        code
        for code in facts
        if code in XTREME.names
        and code != _ENGLISH
        and all(isinstance(raw[name][code], float) for name in (*_PARTS, DATA))
    )
    values = {
        name: _standardised(raw[name], measure.source(sources), reference)
        for name, measure in _MEASURES.items()
    }
    index = {code: _index([values[name][code] for name in _PARTS]) for code in facts}
    described = f"mean of the z-scores of {', '.join(_PARTS)}"
    values = {COMPLEXITY: _standardised(index, described, reference)} | values
    kinship = {code: Kinship(line.name, line.family, line.genus) for code, line in facts.items()}
    return Covariates(kinship, values, reference)


def mini_covariates(
    typologies: Iterable[Typology] | None = None, text: Mapping[str, float] | None = None
) -> Covariates:
    """The covariates of invented languages: not measured, but what they were made with.

    Complexity is the number of bound morphemes that a word can take. Each language is a family and
    a genus of its own: apart from the source language, none is made from another.

    Args:
        typologies: of the languages; by default the mini world's.
        text: language -> amount of pre-training text, in any unit; ``None``: all have equally much.
    """
    from stilts_artifact.miniworld.languages import SOURCE_LANGUAGE
    from stilts_artifact.miniworld.languages import languages as shipped

    every = {one.code: one for one in typologies or shipped.values()}
    amount = text or dict.fromkeys(every, 1.0)
    reference = tuple(code for code in every if code != SOURCE_LANGUAGE)
    values = {
        COMPLEXITY: _standardised(
            {code: float(len(one.bound)) for code, one in every.items()},
            "number of bound morphemes that the language was made with",
            reference,
        ),
        DATA: _standardised(
            {code: math.log10(amount[code]) for code in every},
            "log10 of the amount of pre-training text that was made",
            reference,
        ),
        REPLACED: _standardised(
            {code: one.replaced for code, one in every.items()},
            "share of the vocabulary that was made unlike the source language's",
            reference,
        ),
    }
    kinship = {code: Kinship(one.name, one.name, one.name) for code, one in every.items()}
    return Covariates(kinship, values, reference)


def _standardised(
    raw: Mapping[str, float | str], source: str, reference: Iterable[str]
) -> dict[str, Value]:
    """Values with their z-scores; a text in the place of a number says why there is none.

    The standard deviation is that of the reference languages themselves, not of a population that
    they would be a sample of.
    """
    known = [x for code in reference if isinstance(x := raw[code], float)]
    mean, sd = (fmean(known), pstdev(known)) if known else (0.0, 0.0)
    constant = "constant: the same in every language"
    values = {}
    for code, x in raw.items():
        if isinstance(x, str):
            values[code] = Value(None, None, x)
        else:
            values[code] = Value(x, (x - mean) / sd, source) if sd else Value(None, None, constant)
    return values


def _index(parts: Sequence[Value]) -> float | str:
    """The mean of z-scores, or why one of them is not known."""
    scores = [part.z for part in parts if part.z is not None]
    if len(scores) < len(parts):
        return next(part.source for part in parts if part.z is None)
    return fmean(scores)


_Number = float | str
"""The number, or why there is none."""


@dataclass(frozen=True, slots=True)
class _Measure:
    """How a covariate is made.

    Attributes:
        formula: of columns.
        columns: whose sources are its sources.
        of: of a language's facts and English's side of NTREX.
    """

    formula: str
    columns: tuple[str, ...]
    of: Callable[[Facts, Parallel], _Number]

    def source(self, sources: Mapping[str, str]) -> str:
        """The formula, and where its columns are from."""
        return "; ".join(dict.fromkeys([self.formula, *(sources[name] for name in self.columns)]))


_NO_TEXT = "the language's side of NTREX-128 is not at hand"
_NO_SIZE = "no size of the language in the table of CC-100"


def _of_text(of: Callable[[Parallel, Parallel], float]) -> Callable[[Facts, Parallel], _Number]:
    """A measure of the parallel text and English's, whatever its script."""
    return lambda facts, english: of(facts.ntrex, english) if facts.ntrex else _NO_TEXT


def _of_words(of: Callable[[Parallel, Parallel], float]) -> Callable[[Facts, Parallel], _Number]:
    """A measure of words, hence of languages that have white space between them.

    Without the rule Chinese would have a MATTR of .95 and 18 pieces a word.
    """

    def checked(facts: Facts, english: Parallel) -> _Number:
        if facts.spaces == "nothing":
            return "invalid: white space does not separate the words of this language"
        return _of_text(of)(facts, english)

    return checked


def _english_equivalent(facts: Facts, english: Parallel) -> _Number:
    """GiB over the byte premium: bytes of the language over English's, for the same content.

    Raw GiB count three bytes a letter of an Indic script. Arnett and Bergen (2025,
    2025.coling-main.441): the gap of morphologically complex languages mostly vanishes once data
    are scaled so.
    """
    if facts.cc100_gib is None or facts.ntrex is None:
        return _NO_SIZE if facts.cc100_gib is None else _NO_TEXT
    premium = byte_premium(facts.ntrex.bytes, english.bytes)
    return math.log10(english_equivalent(facts.cc100_gib, premium))


def _grambank(facts: Facts, _: Parallel) -> _Number:
    if facts.grambank is None:
        return "not in Grambank, as far as it was at hand"
    if facts.grambank.coded < _LEAST_CODED:
        return f"only {facts.grambank.coded} of 33 features are coded in Grambank"
    return facts.grambank.bound


_MEASURES: Mapping[str, _Measure] = {
    "mattr": _Measure("MATTR-500", ("mattr_500",), _of_words(lambda it, _: it.mattr_500)),
    "word_entropy": _Measure(
        "bits a word", ("word_entropy",), _of_words(lambda it, _: it.word_entropy)
    ),
    "synthesis": _Measure(
        "ln(words of English / words)",
        ("ntrex_words",),
        _of_words(lambda it, english: math.log(synthesis_ratio(it.words, english.words))),
    ),
    "msp": _Measure(
        "forms per lemma",
        ("ud_msp",),
        lambda facts, _: (
            facts.treebank.msp
            if facts.treebank
            else "no treebank of UD 2.5 at hand with lemmas and features enough"
        ),
    ),
    "case": _Measure(
        "number of cases",
        ("wals_49a",),
        lambda facts, _: "not coded in WALS 49A" if facts.cases is None else facts.cases,
    ),
    "grambank": _Measure("share of bound marking", ("grambank_bound",), _grambank),
    DATA: _Measure(
        "log10 English-equivalent GiB: GiB / (bytes / bytes of English)",
        ("cc100_gib", "ntrex_bytes"),
        _english_equivalent,
    ),
    "size": _Measure(
        "log10 GiB",
        ("cc100_gib",),
        lambda facts, _: math.log10(facts.cc100_gib) if facts.cc100_gib else _NO_SIZE,
    ),
    "subwords": _Measure(
        "subwords / subwords of English, for the same content",
        ("ntrex_subwords",),
        _of_text(lambda it, english: subword_ratio(it.subwords, english.subwords)),
    ),
    "latin": _Measure(
        "1 in Latin script, else 0", ("script",), lambda facts, _: float(facts.script == "Latn")
    ),
    "fertility": _Measure(
        "subwords / words: a mediator of complexity, not a control",
        ("ntrex_subwords", "ntrex_words"),
        _of_words(lambda it, _: fertility(it.subwords, it.words)),
    ),
}


def _facts(row: CsvRow) -> Facts:
    return Facts(
        code=_text(row, "language"),
        name=_text(row, "name"),
        family=_text(row, "family"),
        genus=_text(row, "genus"),
        script=_text(row, "script"),
        spaces=cast(Spaces, _one_of(row, "spaces", get_args(Spaces))),
        cc100_gib=_positive(row, "cc100_gib") if row.cells["cc100_gib"] else None,
        ntrex=_parallel(row) if _has(row, _NTREX) else None,
        cases=_CASES[_one_of(row, "wals_49a", _CASES)] if row.cells["wals_49a"] else None,
        grambank=_grammar(row) if _has(row, _GRAMBANK) else None,
        treebank=_treebank(row) if _has(row, _UD) else None,
    )


def _parallel(row: CsvRow) -> Parallel:
    return Parallel(
        bytes=_count(row, "ntrex_bytes"),
        words=_count(row, "ntrex_words"),
        subwords=_count(row, "ntrex_subwords"),
        mattr_500=_positive(row, "mattr_500"),
        word_entropy=_positive(row, "word_entropy"),
    )


def _grammar(row: CsvRow) -> Grammar:
    bound = _number(row, "grambank_bound")
    if bound > 1:
        raise _wrong(row, "grambank_bound", "a share, 0 to 1")
    return Grammar(bound, _count(row, "grambank_coded"))


def _treebank(row: CsvRow) -> Treebank:
    return Treebank(_text(row, "ud_treebank"), _positive(row, "ud_msp"), _number(row, "ud_is"))


def _has(row: CsvRow, columns: Sequence[str]) -> bool:
    """Whether a line has these columns, all of which it must then have."""
    filled = [column for column in columns if row.cells[column]]
    if filled and len(filled) < len(columns):
        empty = next(column for column in columns if not row.cells[column])
        raise _wrong(row, empty, f"all of {', '.join(columns)}, or none")
    return bool(filled)


def _text(row: CsvRow, column: str) -> str:
    text = row.cells[column]
    if not text or text != visible(text.strip()):
        raise _wrong(row, column, "a text of printable characters")
    return text


def _one_of(row: CsvRow, column: str, names: Iterable[str]) -> str:
    if row.cells[column] not in names:
        raise _wrong(row, column, f"one of {', '.join(names)}")
    return row.cells[column]


def _number(row: CsvRow, column: str) -> float:
    if _NUMBER.fullmatch(row.cells[column]) is None:
        raise _wrong(row, column, "a number in digits, as in 0.5487")
    return float(row.cells[column])


def _positive(row: CsvRow, column: str) -> float:
    number = _number(row, column)
    if number == 0:
        raise _wrong(row, column, "a number above 0")
    return number


def _count(row: CsvRow, column: str) -> int:
    number = whole_number(row.cells[column])
    if not number:
        raise _wrong(row, column, "a whole number above 0")
    return number


def _wrong(row: CsvRow, column: str, expected: str) -> DataError:
    return DataError(
        f"not a value of the column {column!r}",
        where=row.where,
        got=repr(row.cells[column]),
        expected=expected,
    )
