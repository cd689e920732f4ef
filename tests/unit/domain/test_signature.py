"""The signature reads back exactly, and refuses what it cannot vouch for."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilts_artifact.domain.signature import SHORT_KEYS, Signature, require_comparable
from stilts_artifact.domain.tasks import Split
from stilts_artifact.errors import ConfigError

unhurried = settings(deadline=None)  # tests share the machine with others

REQUIRED: dict[str, Any] = {
    "task": "udpos",
    "split": "test",
    "languages": ("en",),
    "metric": "chunk-f1",
    "scale": "mini",
    "version": "0.1.0",
}
PLAIN = Signature(**REQUIRED)

# Separators are frequent, so that escaping is put to the test; surrogates (category Cs) are left
# in.
texts = st.text(
    st.one_of(st.sampled_from("|:+%2B ,=\n\t"), st.characters(exclude_categories=())), min_size=1
)
numbers = st.integers(0, 10**6)
values = {
    "languages": st.lists(texts, min_size=1, unique=True).map(tuple),
    "seeds": st.lists(numbers, min_size=1, unique=True).map(tuple),
    "layer": numbers,
    "max_length": numbers,
    "neighbours": numbers,
}


@st.composite
def signatures(draw: st.DrawFn) -> Signature:
    arguments = {}
    for name in SHORT_KEYS:
        value = values.get(name, texts)
        arguments[name] = draw(value if name in REQUIRED else st.none() | value)
    return Signature(**arguments)


@pytest.mark.slow
@unhurried
@given(signatures())
def test_both_forms_read_back(signature: Signature) -> None:
    assert Signature.parse(signature.short()) == signature
    assert Signature.parse(signature.long()) == signature


@pytest.mark.slow
@unhurried
@given(signatures())
def test_both_forms_are_one_printable_line(signature: Signature) -> None:
    assert signature.short().isprintable()
    assert signature.long().isprintable()


def test_forms_in_full() -> None:
    signature = replace(
        PLAIN,
        languages=("zh", "de"),
        encoder="FacebookAI/xlm-roberta-large",
        layer=14,
        neighbours=4,
        duplicates="100%25",
        seeds=(2, 1),
        backend="torch 2.13.0+cpu",
    )
    assert signature.short() == (
        "udpos|split:test|lang:de+zh|enc:FacebookAI/xlm-roberta-large|layer:14|k:4|dup:100%2525|metric:chunk-f1"
        "|seed:1+2|backend:torch 2.13.0%2Bcpu|scale:mini|v:0.1.0"
    )
    assert Signature.parse(signature.short()).duplicates == "100%25"
    assert signature.long() == (
        "task:udpos|split:test|languages:de+zh|encoder:FacebookAI/xlm-roberta-large|layer:14|neighbours:4"
        "|duplicates:100%2525|metric:chunk-f1|seeds:1+2|backend:torch 2.13.0%2Bcpu|scale:mini"
        "|version:0.1.0"
    )


def test_every_field_has_its_own_key_in_the_order_of_the_class() -> None:
    assert list(SHORT_KEYS) == [field.name for field in fields(Signature)]
    assert len(set(SHORT_KEYS.values())) == len(SHORT_KEYS)
    assert not any(short in SHORT_KEYS for name, short in SHORT_KEYS.items() if short != name)


def test_order_of_languages_and_seeds_has_no_meaning() -> None:
    first = replace(PLAIN, languages=("de", "ar"), seeds=(3, 1))
    assert first == replace(PLAIN, languages=("ar", "de"), seeds=(1, 3))
    assert first.short() == replace(PLAIN, languages=("ar", "de"), seeds=(1, 3)).short()


def test_enumerations_are_written_as_their_values() -> None:
    assert replace(PLAIN, split=Split.TEST).short() == PLAIN.short()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("udpos|spilt:test|lang:en|metric:f1|scale:mini|v:1", "spilt"),
        ("udpos|split:test|split:dev|lang:en|metric:f1|scale:mini|v:1", "repeated key"),
        ("udpos|split:test|lang:en|languages:de|metric:f1|scale:mini|v:1", "repeated key"),
        ("udpos|task:panx|split:test|lang:en|metric:f1|scale:mini|v:1", "repeated key"),
        ("udpos|split:test|lang:en|metric:f1|scale:mini", "without version"),
        ("", "without split"),
        ("udpos|split:test|lang:en|metric:f1|mini|v:1", "without a key"),
        ("udpos|split:test|lang:en|layer:deep|metric:f1|scale:mini|v:1", "layer"),
        ("udpos|split:a+b|lang:en|metric:f1|scale:mini|v:1", "split holds one value"),
        ("udpos|split:|lang:en|metric:f1|scale:mini|v:1", "split"),
        ("udpos|split:test|lang:en++de|metric:f1|scale:mini|v:1", "languages"),
        ("udpos|split:test|lang:en+en|metric:f1|scale:mini|v:1", "languages"),
        ("udpos|split:%ff|lang:en|metric:f1|scale:mini|v:1", "split"),
        # Not what str() writes: two texts would be one signature.
        ("udpos|split:test|lang:en|layer:014|metric:f1|scale:mini|v:1", "layer"),
        ("udpos|split:test|lang:en|layer:-1|metric:f1|scale:mini|v:1", "layer"),
        ("udpos|split:test|lang:en|metric:f1|seed:1_0|scale:mini|v:1", "seeds"),
        ("udpos|split:test|lang:en|metric:f1|seed:\u0661|scale:mini|v:1", "seeds"),
        (f"udpos|split:test|lang:en|metric:f1|seed:{'9' * 5000}|scale:mini|v:1", "seeds"),
    ],
)
def test_malformed_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Signature.parse(text)


def test_unknown_key_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean 'languages'"):
        Signature.parse("udpos|split:test|languags:en|metric:f1|scale:mini|v:1")


@pytest.mark.parametrize(
    "wrong",
    [
        {"task": ""},
        {"task": None},
        {"languages": ()},
        {"languages": "en"},
        {"languages": ["en"]},
        {"languages": ("en", "en")},
        {"seeds": ()},
        {"seeds": ("1",)},
        {"layer": "14"},
        {"layer": True},
        {"encoder": 3},
    ],
)
def test_wrong_values_are_refused_at_construction(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Signature(**(REQUIRED | wrong))


@pytest.mark.slow
@unhurried
@given(signatures(), signatures())
def test_differences_are_the_fields_that_differ(first: Signature, second: Signature) -> None:
    named = first.differences(second)
    assert (named == ()) == (first == second)
    assert all(getattr(first, name) != getattr(second, name) for name in named)
    same = {name: getattr(second, name) for name in named}
    assert replace(first, **same) == second


def test_different_signatures_are_not_comparable_and_the_error_says_why() -> None:
    others = [replace(PLAIN, layer=14, neighbours=4), replace(PLAIN, layer=20, neighbours=5)]
    with pytest.raises(ConfigError) as caught:
        require_comparable(others)
    text = str(caught.value)
    assert "layer differs" in text
    assert "14" in text and "20" in text


def test_fields_meant_to_vary_may_vary_and_no_others() -> None:
    languages = [replace(PLAIN, languages=(code,)) for code in ("ar", "de", "zh")]
    require_comparable(languages, varying=("languages",))
    with pytest.raises(ConfigError, match="languages differs"):
        require_comparable(languages)
    with pytest.raises(ConfigError, match="scale differs"):
        require_comparable([*languages, replace(PLAIN, scale="paper")], varying=("languages",))


def test_unknown_varying_field_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'languages'"):
        require_comparable([PLAIN], varying=("language",))


def test_nothing_and_one_are_comparable() -> None:
    require_comparable([])
    require_comparable([PLAIN])
