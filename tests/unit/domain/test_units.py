"""Quantities as people read them."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.domain.units import readable_time

SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}


@given(st.floats(0, 1e7))
def test_a_duration_says_what_it_is_short_of_its_third_unit(seconds: float) -> None:
    text = readable_time(seconds)
    parts = re.findall(r"([\d.,]+) (d|h|min|s)", text)
    assert " ".join(f"{number} {unit}" for number, unit in parts) == text
    assert 1 <= len(parts) <= 2
    said = sum(float(number.replace(",", "")) * SECONDS[unit] for number, unit in parts)
    left_out = {"s": 1, "min": 1, "h": 60, "d": 3600}[parts[0][1]]
    assert -0.5 <= seconds - said <= left_out


def test_no_part_of_a_duration_is_a_whole_of_the_next() -> None:
    assert [readable_time(value) for value in (9.96, 59.4, 59.5, 3599.4, 3599.6, 86_399.6)] == [
        "10 s",
        "59 s",
        "1 min",
        "59 min 59 s",
        "1 h",
        "1 d",
    ]
