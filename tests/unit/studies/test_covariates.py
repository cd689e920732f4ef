"""Covariates: facts strictly read, each with its source; invalid ones with their reason."""

from __future__ import annotations

from statistics import fmean, pstdev

import pytest
from scipy.stats import spearmanr

from stilts_artifact.benchmark.languages import XTREME
from stilts_artifact.checking.sums import expected_root, read_protected
from stilts_artifact.errors import ConfigError, DataError
from stilts_artifact.miniworld import languages as mini_languages
from stilts_artifact.studies.covariates import (
    COLUMNS,
    COMPLEXITY,
    CONTROLS,
    INDICES,
    MEDIATORS,
    Covariates,
    mini_covariates,
    parse_covariates,
    parse_facts,
    parse_sources,
)
from stilts_artifact.studies.record import COVARIATES_HEADER

FOLDER = expected_root() / "studies"
TABLE = read_protected(FOLDER / "covariates.csv")
SOURCES = parse_sources(read_protected(FOLDER / "covariate_sources.csv"), "covariate_sources.csv")
UNSPACED = ("ja", "my", "th", "zh")


@pytest.fixture(scope="module")
def shipped() -> Covariates:
    return parse_covariates(TABLE, "covariates.csv", SOURCES)


def correlation(covariates: Covariates, first: str, second: str) -> float:
    """Spearman's, over the reference languages."""
    pairs = [
        [covariates.of(name, language).value for name in (first, second)]
        for language in covariates.reference
    ]
    return float(spearmanr(pairs).statistic)


def test_every_language_of_the_benchmark_has_a_line(shipped: Covariates) -> None:
    assert set(XTREME.names) < set(shipped.languages)


def test_every_column_has_a_source() -> None:
    assert list(SOURCES) == list(COLUMNS)
    assert all(SOURCES[column] for column in COLUMNS if column != "language")


def test_z_scores_are_standardised_by_33_languages_in_18_genera(shipped: Covariates) -> None:
    assert len(shipped.reference) == 33
    assert len({shipped.languages[language].genus for language in shipped.reference}) == 18
    assert len({shipped.languages[language].family for language in shipped.reference}) == 11
    for name in shipped.values:
        known = [z for code in shipped.reference if (z := shipped.of(name, code).z) is not None]
        assert fmean(known) == pytest.approx(0, abs=1e-12)
        assert pstdev(known) == pytest.approx(1)


def test_the_index_is_the_mean_of_three_z_scores(shipped: Covariates) -> None:
    for language in shipped.reference:
        parts = [shipped.of(name, language).z for name in ("mattr", "word_entropy", "synthesis")]
        expected = fmean(z for z in parts if z is not None)
        assert shipped.of(COMPLEXITY, language).value == pytest.approx(expected)


@pytest.mark.parametrize("language", UNSPACED)
def test_measures_of_words_are_invalid_where_space_separates_none(
    shipped: Covariates, language: str
) -> None:
    for name in (COMPLEXITY, "mattr", "word_entropy", "synthesis", *MEDIATORS):
        found = shipped.of(name, language)
        assert (found.value, found.z) == (None, None)
        assert found.source.startswith("invalid: white space does not separate")
    assert shipped.of("data", language).z is not None


def test_what_is_missing_says_why(shipped: Covariates) -> None:
    assert shipped.of(COMPLEXITY, "yo").z is not None
    assert "CC-100" in shipped.of("data", "yo").source
    assert "NTREX" in shipped.of(COMPLEXITY, "jv").source
    assert "19 of 33" in shipped.of("grambank", "te").source
    assert shipped.of("mattr", "xx").source == (
        "the language is not among the covariates' languages"
    )


def test_fertility_is_no_control_but_the_ratio_of_subwords_is(shipped: Covariates) -> None:
    assert correlation(shipped, "mattr", "fertility") == pytest.approx(0.86, abs=0.005)
    assert correlation(shipped, "mattr", "subwords") == pytest.approx(0.09, abs=0.005)
    assert "fertility" not in (*INDICES, *CONTROLS)
    assert "mediator" in shipped.of("fertility", "tr").source


def test_complexity_and_data_can_be_told_apart(shipped: Covariates) -> None:
    assert correlation(shipped, "mattr", "data") == pytest.approx(-0.12, abs=0.005)


def test_data_are_as_english_takes_bytes(shipped: Covariates) -> None:
    tamil = shipped.of("data", "ta").value
    assert tamil is not None
    assert 10**tamil == pytest.approx(3.56, abs=0.01)  # 12.2 GiB at 3.4 bytes for English's one


def test_lines_have_the_columns_of_the_record(shipped: Covariates) -> None:
    lines = list(shipped.lines(["tr", "zh"]))
    assert {len(line) for line in lines} == {len(COVARIATES_HEADER)}
    [index] = [line for line in lines if line[0] == "zh" and line[4] == COMPLEXITY]
    assert index[5:7] == ("", "")


def test_an_unknown_covariate_is_refused(shipped: Covariates) -> None:
    with pytest.raises(ConfigError, match="did you mean 'complexity'"):
        shipped.of("complexty", "tr")


@pytest.mark.parametrize(
    ("found", "put", "got", "expected"),
    [
        (b",Latn,words,20.9,", b",Latn,words,lots,", "'lots'", "digits"),
        (b",Latn,words,20.9,", b",Latn,words,0,", "'0'", "above 0"),
        (b",Latn,words,20.9,", b",Latn,letters,20.9,", "'letters'", "one of words"),
        (b",33852,", b",33852.5,", "'33852.5'", "whole number"),
        (b",33852,", b",,", "''", "all of ntrex_bytes"),
        (b"tr,Turkish,", b"tr,,", "''", "printable"),
        (b"tr,Turkish,", b"te,Turkish,", "'te'", "once"),
        (b",6-7 cases,0.576,33,UD_Turkish", b",6 cases,0.576,33,UD_Turkish", "'6 cases'", "6-7"),
        (b",6-7 cases,0.576,33,UD_Turkish", b",6-7 cases,57.6,33,UD_Turkish", "'57.6'", "share"),
        (b",6-7 cases,0.576,33,UD_Turkish", b",6-7 cases,0.576,,UD_Turkish", "''", "or none"),
    ],
)
def test_a_wrong_cell_is_told_by_file_and_line(
    found: bytes, put: bytes, got: str, expected: str
) -> None:
    line = next(
        number for number, text in enumerate(TABLE.split(b"\n"), 1) if text.startswith(b"tr,")
    )
    before, turkish, after = TABLE.partition(TABLE.split(b"\n")[line - 1])
    assert found in turkish
    with pytest.raises(DataError) as caught:
        parse_facts(before + turkish.replace(found, put) + after, "covariates.csv")
    assert caught.value.where == f"covariates.csv:{line}"
    assert caught.value.got == got
    assert expected in (caught.value.expected or "")


def test_without_english_nothing_can_be_compared() -> None:
    table = b"\n".join(line for line in TABLE.split(b"\n") if not line.startswith(b"en,"))
    with pytest.raises(DataError, match="no English"):
        parse_covariates(table, "covariates.csv", SOURCES)


def test_sources_of_other_columns_are_refused() -> None:
    with pytest.raises(DataError, match="not the sources"):
        parse_sources(b"column,meaning,source\nlanguage,code,own\n", "covariate_sources.csv")


def test_mini_complexity_is_the_number_of_bound_morphemes() -> None:
    covariates = mini_covariates()
    for code, language in mini_languages.items():
        assert covariates.of(COMPLEXITY, code).value == len(language.bound)
        assert covariates.languages[code].family == covariates.languages[code].genus
    assert len({one.family for one in covariates.languages.values()}) == len(mini_languages)
    assert covariates.of("replaced", "qag").value == 0.70


def test_equal_text_is_no_covariate() -> None:
    covariates = mini_covariates()
    assert not covariates.varies("data")
    assert covariates.of("data", "qaa").source == "constant: the same in every language"


def test_text_of_different_amounts_is_one() -> None:
    text = dict(zip(mini_languages, (1.0, 1.0, 4.0, 16.0, 1.0, 4.0, 16.0, 4.0), strict=True))
    covariates = mini_covariates(text=text)
    assert covariates.varies("data")
    most, least = (covariates.of("data", code).z for code in ("qac", "qaa"))
    assert most is not None and least is not None and most > 0 > least
