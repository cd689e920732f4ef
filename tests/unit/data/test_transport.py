"""The meter below every answer, with a clock of its own, and where redirects may lead."""

from __future__ import annotations

import pytest

from stilts_artifact.data.transport import SLOWEST, FloodError, Meter, RefusedError, redirected

STALL = 30.0


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_bytes_beyond_those_expected_are_refused() -> None:
    meter = Meter(STALL, Clock())
    meter.expect(10)
    meter.count(9)
    meter.count(1)
    with pytest.raises(FloodError):
        meter.count(1)


def test_a_byte_now_and_then_is_a_stall() -> None:
    clock = Clock()
    meter = Meter(STALL, clock)
    meter.expect(1 << 20)
    for _ in range(3):
        clock.now += 10
        meter.count(1)
    clock.now += 10
    with pytest.raises(TimeoutError):
        meter.count(1)


def test_the_slowest_line_that_is_borne_may_take_for_ever() -> None:
    clock = Clock()
    meter = Meter(STALL, clock)
    meter.expect(1 << 30)
    for _ in range(10_000):
        clock.now += 1
        meter.count(SLOWEST + 40)
    clock.now += STALL
    with pytest.raises(TimeoutError):
        meter.count(1)


@pytest.mark.parametrize("place", ["http://a.org/x", "http://b.org/x", "//[", "ftp://a.org/x"])
def test_https_is_not_left_by_a_redirect(place: str) -> None:
    with pytest.raises(RefusedError):
        redirected("https://a.org/x", [place])


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("https://b.org/x", "https://b.org/x"),
        ("https://a.org/y", "https://user:word@a.org/y"),
        ("https://a.org:443/y", "https://user:word@a.org/y"),
        ("https://a.org:444/y", "https://a.org:444/y"),
        ("https://a.org.b.org/y", "https://a.org.b.org/y"),
        ("//A.org/y", "https://user:word@a.org/y"),
        ("/y", "https://user:word@a.org/y"),
    ],
)
def test_a_password_goes_with_a_redirect_to_its_own_host_only(place: str, expected: str) -> None:
    assert redirected("https://user:word@a.org/x", [place]) == expected


@pytest.mark.parametrize("places", [[], ["/a", "/a"], ["https://user:word@a.org/"]])
def test_a_redirect_without_one_plain_address_is_refused(places: list[str]) -> None:
    with pytest.raises(RefusedError):
        redirected("https://a.org/x", places)
