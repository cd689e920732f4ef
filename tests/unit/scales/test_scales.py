"""Scale files are strict."""

from __future__ import annotations

import pytest

from stilts_artifact.errors import ConfigError, DataError
from stilts_artifact.scales import SCALES, load_scale, parse_scale

GOOD = b"name: mini\nworld: mini\nexpected: mini\nevidence: false\nmeaning: m\n"


@pytest.mark.parametrize("name", SCALES)
def test_shipped_scales_load_under_their_own_name(name: str) -> None:
    assert load_scale(name).name == name


def test_only_mini_is_no_evidence_and_never_meets_paper_cells() -> None:
    assert [load_scale(name).evidence for name in SCALES] == [False, True, True]
    for name in SCALES:
        scale = load_scale(name)
        assert (scale.world == "mini") == (scale.expected == "mini") == (not scale.evidence)


def test_an_unknown_scale_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean 'paper'"):
        load_scale("papper")


def test_an_unknown_key_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean 'world'"):
        parse_scale(GOOD.replace(b"world:", b"wolrd:"), "s.yaml")


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"evidence: false", b"evidence: 0"), (b"world: mini", b"world: moon"), (b"meaning: m\n", b""), (b"m\n", b"1\n")],
)
def test_a_wrong_or_missing_value_is_refused(old: bytes, new: bytes) -> None:
    assert parse_scale(GOOD, "s.yaml").name == "mini"
    with pytest.raises(ConfigError, match=r"s\.yaml"):
        parse_scale(GOOD.replace(old, new), "s.yaml")


def test_a_duplicate_key_is_refused() -> None:
    with pytest.raises(DataError, match="duplicate key"):
        parse_scale(GOOD + b"name: mini\n", "s.yaml")
