"""The signature of a number: everything that decides its meaning, in one line that travels with it.

The form follows sacrebleu's (``nrefs:1|case:mixed|...|version:2.0.0``): fields joined by ``|``, the
package version last. Four codebases compute four different things called "BUCC F1"; two numbers may
be averaged or compared only if their signatures agree.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from urllib.parse import quote, unquote

from stilts_artifact.documents import whole_number
from stilts_artifact.errors import ConfigError, unknown_name

SHORT_KEYS: Mapping[str, str] = {
    "task": "task",
    "split": "split",
    "languages": "lang",
    "encoder": "enc",
    "revision": "rev",
    "weights": "weights",
    "checkpoint": "ckpt",
    "layer": "layer",
    "pooling": "pool",
    "prefix": "prefix",
    "max_length": "len",
    "neighbours": "k",
    "margin": "margin",
    "duplicates": "dup",
    "threshold": "thr",
    "metric": "metric",
    "metric_version": "mv",
    "seeds": "seed",
    "dtype": "dtype",
    "backend": "backend",
    "scale": "scale",
    "version": "v",
}
"""Field name -> key of the short form, in the order of both forms."""

_FIELDS: Mapping[str, str] = {
    key: name for name, short in SHORT_KEYS.items() for key in (name, short)
}
_INTEGERS = frozenset({"layer", "max_length", "neighbours", "seeds"})
_SEQUENCES = frozenset({"languages", "seeds"})
# Separators of the form, and the escape itself.
_RESERVED = "%|:+"

_Scalar = str | int
Value = _Scalar | tuple[_Scalar, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a number is: two numbers with equal signatures measure the same thing.

    Languages and seeds are sets: they are kept sorted. ``None`` means that a field has no bearing
    on the number.

    Args:
        task, split, languages: what was scored; a number for an average names every language in it.
        encoder, revision: name of the encoder, and the commit or hash that it was asked for by.
        weights: sha256 of the weights of phase (i) that ran, or that those that ran were trained
            from: as the steps read them, whatever the name.
        checkpoint: start of one sha256 over these weights, their configuration and tokenizer.
        layer: index into ``hidden_states``, 0 being the embeddings.
        pooling: how token vectors become a sentence vector.
        prefix: text before every sentence that was embedded.
        max_length: tokens kept of an input.
        neighbours, margin, duplicates, threshold: mining: k, score, policy for repeated sentences,
            and where the threshold was tuned.
        metric, metric_version: what was computed, and by which definition.
        seeds: of every run behind the number.
        dtype, backend: arithmetic it was computed in, and the library that did it.
        scale, version: scale of the run, and version of this package.

    Raises:
        ConfigError: an empty value, a repeated language or seed, or a value of the wrong type.

    Example:
        >>> scored = Signature(
        ...     task="udpos", split="test", languages=("en", "de"), metric="chunk-f1",
        ...     scale="mini", version="0.1.0",
        ... )
        >>> scored.short()
        'udpos|split:test|lang:de+en|metric:chunk-f1|scale:mini|v:0.1.0'
        >>> Signature.parse(scored.short()) == scored
        True
    """

    task: str
    split: str
    languages: tuple[str, ...]
    encoder: str | None = None
    revision: str | None = None
    weights: str | None = None
    checkpoint: str | None = None
    layer: int | None = None
    pooling: str | None = None
    prefix: str | None = None
    max_length: int | None = None
    neighbours: int | None = None
    margin: str | None = None
    duplicates: str | None = None
    threshold: str | None = None
    metric: str
    metric_version: str | None = None
    seeds: tuple[int, ...] | None = None
    dtype: str | None = None
    backend: str | None = None
    scale: str
    version: str

    def __post_init__(self) -> None:
        for name in SHORT_KEYS:
            value = getattr(self, name)
            if value is not None or name in _REQUIRED:
                _check(name, value)
        # Sorted, so that two signatures of the same set are equal as text too.
        object.__setattr__(self, "languages", tuple(sorted(self.languages)))
        if self.seeds is not None:
            object.__setattr__(self, "seeds", tuple(sorted(self.seeds)))

    def short(self) -> str:
        """One line, short keys, no empty fields: ``udpos|split:test|lang:en|...|v:0.1.0``."""
        # The task stands without its key, as the metric does in sacrebleu's signatures.
        first, *rest = self._items(SHORT_KEYS)
        return "|".join([first.partition(":")[2], *rest])

    def long(self) -> str:
        """One line, full names: ``task:udpos|split:test|languages:en|...|version:0.1.0``."""
        return "|".join(self._items({name: name for name in SHORT_KEYS}))

    def _items(self, keys: Mapping[str, str]) -> list[str]:
        values = ((key, getattr(self, name)) for name, key in keys.items())
        return [f"{key}:{_write(value)}" for key, value in values if value is not None]

    @classmethod
    # A table is judged cell by cell, and each reads a few signatures more than once.
    @lru_cache(maxsize=1 << 14)
    def parse(cls, text: str) -> Signature:
        """Read either form back; ``parse(s.short()) == parse(s.long()) == s``.

        Raises:
            ConfigError: an unknown, repeated or missing key, or a value that the field cannot hold.
        """
        values: dict[str, Value] = {}
        for position, item in enumerate(text.split("|")):
            key, colon, value = item.partition(":")
            if not colon:
                if position > 0:
                    raise ConfigError(
                        "signature item without a key", where=text, got=item, expected="key:value"
                    )
                key, value = "task", item
            name = _field(key)
            if name in values:
                raise ConfigError(f"repeated key in a signature: {key}", where=text)
            values[name] = _read(name, value, where=text)
        missing = [name for name in SHORT_KEYS if name in _REQUIRED and name not in values]
        if missing:
            raise ConfigError(f"signature without {', '.join(missing)}", where=text)
        return cls(**values)  # type: ignore[arg-type]  # _read returns what each field holds

    def differences(self, other: Signature) -> tuple[str, ...]:
        """Names of the fields in which the two differ, in signature order."""
        return tuple(name for name in SHORT_KEYS if getattr(self, name) != getattr(other, name))


_REQUIRED = frozenset(field.name for field in fields(Signature) if field.default is MISSING)


def require_comparable(signatures: Sequence[Signature], *, varying: Collection[str] = ()) -> None:
    """Refuse to average or compare numbers that measure different things.

    Args:
        varying: fields that are meant to differ, such as ``languages`` when averaging over
            languages.

    Raises:
        ConfigError: naming the first field that differs and both its values; or an unknown name in
            ``varying``.
    """
    allowed = {_field(name) for name in varying}
    for other in signatures[1:]:
        for name in signatures[0].differences(other):
            if name not in allowed:
                raise ConfigError(
                    "numbers with different signatures cannot be averaged or compared: "
                    f"{name} differs",
                    where=f"{signatures[0].short()} and {other.short()}",
                    got=f"{name} = {getattr(other, name)!r}",
                    expected=f"{name} = {getattr(signatures[0], name)!r}",
                )


def _field(key: str) -> str:
    """Field name of a long or short key."""
    if key not in _FIELDS:
        raise unknown_name("signature field", key, _FIELDS)
    return _FIELDS[key]


def _check(name: str, value: object) -> None:
    kind = int if name in _INTEGERS else str
    items: tuple[object, ...] = (value,)
    if name in _SEQUENCES:
        items = value if isinstance(value, tuple) else ()
    # bool is an int to isinstance, and "" would be indistinguishable from an absent item once
    # written.
    sound = items and all(
        isinstance(item, kind) and not isinstance(item, bool) and item != "" for item in items
    )
    # No layer, length or seed is negative.
    sound = sound and not any(isinstance(item, int) and item < 0 for item in items)
    if not sound or len(set(items)) < len(items):
        expected = (
            f"distinct {kind.__name__} values in a tuple" if name in _SEQUENCES else kind.__name__
        )
        raise ConfigError(
            f"signature field {name} has a wrong value",
            got=repr(value),
            expected=f"{expected}, not empty",
        )


def _write(value: _Scalar | tuple[_Scalar, ...]) -> str:
    items = value if isinstance(value, tuple) else (value,)
    return "+".join(_escape(str(item)) for item in items)


def _escape(text: str) -> str:
    """Percent-encode what the form reserves and what does not print; all scripts stay readable."""
    return "".join(
        char
        # Control and bidirectional characters could make one signature look like another.
        if char.isprintable() and char not in _RESERVED
        else quote(char, safe="", errors="surrogatepass")
        for char in text
    )


def _read(name: str, text: str, *, where: str) -> Value:
    values: list[_Scalar] = []
    for item in text.split("+"):
        try:
            raw = unquote(item, errors="surrogatepass")
        except UnicodeDecodeError:
            raw = None
        value = whole_number(raw) if raw is not None and name in _INTEGERS else raw
        if value is None:
            raise ConfigError(
                f"signature field {name} cannot hold this value", where=where, got=text
            )
        values.append(value)
    if name in _SEQUENCES:
        return tuple(values)
    if len(values) > 1:
        raise ConfigError(f"signature field {name} holds one value", where=where, got=text)
    return values[0]
