"""The language of claims: what it means, and what it refuses with the place of the fault."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.checking.predicates import MAX_DEPTH, Vocabulary, parse_number, parse_predicate
from stilts_artifact.checking.selections import DRAWS, Cells, counterpart
from stilts_artifact.checking.statistics import NO_NOISE, Noise
from stilts_artifact.errors import ConfigError

VOCABULARY = Vocabulary(
    {
        "singles": ("a", "b", "c"),
        "two": ("x", "y"),
        "mixed": ("a+mlm", "b+mlm"),
        "translated": ("*@*",),
        "nine": ("*9",),
    },
    {"reported": 8.0, "tolerance": 1.5},
)
VALUES = {
    "none": {"x": 10.0, "y": 20.0},
    "a": {"x": 11.0, "y": 18.0},
    "b": {"x": 15.0, "y": 20.0},
    "c": {"x": 18.0, "y": 50.0},
    "a+mlm": {"x": 12.0, "y": 18.0},
    "b+mlm": {"x": 14.0, "y": 20.0},
    "a@de": {"x": 10.0, "y": 30.0},
    "mlm": {"x": 9.0, "y": 9.0},
}
CELLS = Cells(list(VALUES), lambda row, column: (VALUES[row][column], NO_NOISE))


def number(text: str) -> float:
    return float(parse_number(text, VOCABULARY, "here").evaluate(CELLS)[0, 0])


def truth(text: str) -> bool:
    return bool(parse_predicate(text, VOCABULARY, "here").evaluate(CELLS)[0, 0])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("cell(a, x)", 11),
        ("gain(c, x)", 8),
        ('gain("a+mlm", x, a)', 1),
        ("gain(a, y)", -2),
        ("mean(gain(singles, x))", 14 / 3),
        ("max(gain(singles, two))", 30),
        ("min(cell(singles, two))", 11),
        ("count(gain(singles, y) > 0)", 1),  # b gains nothing
        ("count(gain(singles, y) >= 0)", 2),
        ("share(gain(singles, x) > 2)", 2 / 3),
        ("mean(gain(mixed, x, counterpart))", 0),
        ("mean(gain(mixed, x, none))", 3),
        ("cell(mlm, x) - cell(none, x)", -1),
        ("gain(mlm, x, counterpart)", -1),
        ("max(gain(translated, y, counterpart))", 12),
        ("max(gains(singles, two))", 28 / 3),  # of y: the mean of -2, 0 and 30
        ("reported - tolerance * 2 + 1", 6),
        ("-reported - -1", -7),
        ("--reported", 8),
        ("2 * (1 + 3) - 1", 7),
        ("abs(gain(a, y))", 2),
        ("mean(cell(singles, x) - cell(none, x))", 14 / 3),
    ],
)
def test_numbers(text: str, value: float) -> None:
    assert number(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("cell(a, x) > cell(none, x)", True),
        ("cell(b, y) > cell(none, y)", False),
        ("cell(b, y) >= cell(none, y)", True),
        ("cell(b, y) <= 20", True),
        ("cell(a, x) < 11", False),
        ("within(gain(c, x), reported, tolerance)", True),
        ("within(gain(b, x), reported, tolerance)", False),
        ("all(gain(singles, x) > 0)", True),
        ("all(gain(singles, y) > 0)", False),
        ("any(gain(singles, y) > 0)", True),
        ("not cell(a, x) > 0", False),
        ("not not cell(a, x) > 0", True),
        (
            "cell(a, x) > 0 or cell(a, x) > 0 and cell(a, x) < 0",
            True,
        ),  # 'and' binds closer than 'or'
        ("(cell(a, x) > 0 or cell(a, x) > 0) and cell(a, x) < 0", False),
        ("all(gain(singles, x) > 0 and gain(singles, x) < 9)", True),
    ],
)
def test_truths(text: str, value: bool) -> None:
    assert truth(text) is value


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("cell(a, x) > ", "unexpected", 13),
        ("cell(a x) > 0", "unexpected", 8),
        ("cell(a, x) = 0", "not in the language", 12),
        ("cell(a, x) > 0 ; 1", "not in the language", 16),
        ("cell(a, x) > 1e3", "not in the language", 14),
        ("cell(a, x) > 0 1", "unexpected", 16),
        ("median(cell(singles, x)) > 0", "unknown name", 1),
        ("cell(a, x).__class__ > 0", "not in the language", 11),
        ("__import__(a) > 0", "unknown name", 1),
        ("cell(a) > 0", "wrong number of arguments", 1),
        ("cell(a, x, y) > 0", "wrong number of arguments", 1),
        ("within(cell(a, x), 1) or cell(a, x) > 0", "wrong number of arguments", 1),
        ("mean(cell(a, x)) > 0", "nothing to reduce", 1),
        ("count(cell(singles, x)) > 0", "a number, not a truth", 23),
        ("(cell(a, x) > 0) + 1 > 0", "a truth, not a number", 20),
        ("cell(a, x) > 0 > 1", "unexpected", 16),
        ("cell(a, x) and cell(b, x) > 0", "a number, not a truth", 29),
        ('cell("a b", x) > 0', "not in the language", 6),
    ],
)
def test_a_fault_is_named_with_its_position(text: str, message: str, position: int) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_predicate(text, VOCABULARY, "here")
    assert caught.value.where == f"here:{position}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell(singles, x) > 0", "truths of a set"),
        ("cell(a, x)", "a number"),
        ("2 > 1", "about no cell"),
        (f"{'(' * MAX_DEPTH}cell(a, x) > 0{')' * MAX_DEPTH}", "nested too deeply"),
        (f"cell(a, x) > 0{' ' * 1000}", "too long"),
    ],
)
def test_what_is_no_single_truth_about_cells_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_predicate(text, VOCABULARY, "here")


def test_a_depth_that_is_allowed_is_read() -> None:
    assert truth(f"{'(' * (MAX_DEPTH - 1)}cell(a, x) > 0{')' * (MAX_DEPTH - 1)}")


@pytest.mark.parametrize(
    "text", ["any(cell(singles, x) > cell(singles, two))", "any(gain(singles, x, mixed) > 0)"]
)
def test_sets_of_different_sizes_do_not_compare(text: str) -> None:
    with pytest.raises(ConfigError, match=r"different sizes|not as many"):
        truth(text)


@given(st.text(alphabet="cellgain(),singles x+-*<>=0.9\"'[]{}\\\n and or not mean", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_predicate(text, VOCABULARY, "here")
    except ConfigError as error:
        assert error.where is not None
        assert error.where.startswith("here")


def test_every_cell_that_is_needed_is_named() -> None:
    node = parse_predicate("max(gain(translated, x, counterpart)) > cell(b, y)", VOCABULARY, "here")
    assert [place for reference in node.references for place in reference.places(list(VALUES))] == [
        ("a@de", "x"),
        ("a", "x"),
        ("b", "y"),
    ]


def test_a_pattern_may_match_no_row() -> None:
    node = parse_predicate("max(cell(nine, x)) > 0", VOCABULARY, "here")
    assert node.references[0].pairs(list(VALUES)) == []


@pytest.mark.parametrize(
    ("row", "plain"),
    [("mnli+mlm", "mnli"), ("multi+mlm", "multi"), ("qqp@de", "qqp"), ("mlm", "none")],
)
def test_the_counterpart_of_a_row_is_the_plain_english_one(row: str, plain: str) -> None:
    assert counterpart(row) == plain


def noisy(noise: Noise) -> Cells:
    return Cells(list(VALUES), lambda row, column: (VALUES[row][column], noise))


def test_draws_have_the_noise_of_their_cell_and_start_with_what_was_measured() -> None:
    for noise, sd in [(Noise(2.0), 2.0), (Noise(2.0, 10), 2.0 * np.sqrt(10 / 8))]:
        drawn = parse_number("cell(a, x)", VOCABULARY, "here").evaluate(noisy(noise))[0]
        assert drawn[0] == 11
        assert len(drawn) == DRAWS + 1
        assert float(np.std(drawn[1:])) == pytest.approx(sd, rel=0.06)
        assert float(np.mean(drawn[1:])) == pytest.approx(11, abs=0.15)


def test_what_two_gains_share_cancels() -> None:
    difference = parse_number(
        "gain(a, x) - gain(b, x) - cell(a, x) + cell(b, x)", VOCABULARY, "here"
    )
    assert np.allclose(difference.evaluate(noisy(Noise(3.0))), 0)


def test_cells_are_drawn_independently_and_always_alike() -> None:
    both = parse_number("cell(a, x)", VOCABULARY, "h"), parse_number("cell(b, x)", VOCABULARY, "h")
    first, second = (node.evaluate(noisy(Noise(1.0)))[0, 1:] for node in both)
    assert abs(float(np.corrcoef(first, second)[0, 1])) < 0.06
    assert np.array_equal(
        second, both[1].evaluate(noisy(Noise(1.0)))[0, 1:]
    )  # whatever was drawn before it
