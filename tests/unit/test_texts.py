"""What people are shown holds nothing that they cannot see."""

from __future__ import annotations

import re
import sys
import unicodedata

import pytest

from stilts_artifact.texts import redacted, visible, without_password

HOSTILE = [
    "\x1b[31mred",
    "\x1b]8;;https://host\x07link\x1b]8;;\x07",
    "over\rwritten",
    "a\nb",
    "a\x0bb\x0cc",
    "\x00",
    "\x7f",
    "\x9b31m",
    "\u202eedocne\u202c",
    "\u2066x\u2069",
    "\u200e\u200f\u061c",
    "a\u2028b\u2029c",
    "zero\u200bwidth\u200d\ufeff\u2060",
    "soft\u00adhyphen",
    "no\u00a0break",
    "tag\U000e0041\U000e007f",
    "selector\ufe0f\U000e0100",
    "filler\u3164\u115f\uffa0\u2800\u034f",
    "half\ud83d",
    "private\ue000",
    "unassigned\U000cffff",
]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_what_does_not_print_is_escaped(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    shown.encode("utf-8")
    assert shown != text
    assert visible(shown) == shown
    # Nothing is lost: Python reads the escapes back.
    assert (
        re.sub(
            r"\\(?:x..|u....|U........|[nrt])",
            lambda found: found.group().encode().decode("unicode_escape"),
            shown,
        )
        == text
    )


def test_letters_and_marks_of_every_script_stay() -> None:
    scripts = "Straße ελληνικά हिन्दी العربية 中文 ภาษาไทย 한국어 e\u0301 −≈✓"
    for text in scripts.split():
        assert visible(text) == text


@pytest.mark.slow
def test_no_control_or_format_character_of_unicode_gets_through() -> None:
    unseen = [
        chr(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    ]
    assert visible("".join(unseen)).isascii()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pa/ss@host/x", "https://host/x"),
        ("(ftp://a@host)", "(ftp://host)"),
        ("https://host/x?token=1&part=2", "https://host/x?token=...&part=2"),
        ("https://host/x?part=2&API_KEY=1 and more", "https://host/x?part=2&API_KEY=... and more"),
        ("https://host/x#id_token=1", "https://host/x#id_token=..."),
        ("me@host is no secret", "me@host is no secret"),
        (
            "https://host/bitstream?sequence=1&isAllowed=y",
            "https://host/bitstream?sequence=1&isAllowed=y",
        ),
    ],
)
def test_addresses_keep_no_secret(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_an_address_that_somebody_gave_shows_no_query_at_all() -> None:
    assert without_password("https://me:x@host/a?b=c") == "https://host/a?..."
