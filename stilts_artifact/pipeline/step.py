"""Steps as pure data, and the graph that gives each of them its key.

A step says what is to be made: its kind, its parameters, and the steps whose results it reads.
Where it runs, with how many workers and how chatty, is not part of it, so none of that can change a
key.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from stilts_artifact.errors import ConfigError, unknown_name

_NAME = "lower-case letters, digits, '_' and '-', for it names a folder"
_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")


KeepModels = Literal["all", "encoders", "none"]
"""Which trained models a run keeps: all, those that others are trained from, or none of them."""
_DROPPING: Mapping[str, tuple[KeepModels, ...]] = {
    "encoder": ("none",),
    "target": ("encoders", "none"),
}


@dataclass(frozen=True, slots=True)
class KindSpec:
    """How one kind of step is made.

    Args:
        version: of the code: raised by hand whenever the same parameters would give another result.
        target: ``package.module:function``; imported in the worker only. The function takes one
            ``Job``.
        needs_gpu: run it only where a GPU is, if the run uses GPUs at all.
        model: the result is a trained model, a means to the results that are asked for: an
            ``encoder`` that others are trained from, or a fine-tuned ``target``. Large, and dropped
            once no step needs it, unless it is to be kept.
    """

    version: int
    target: str
    needs_gpu: bool = False
    model: Literal["encoder", "target"] | None = None

    def is_dropped(self, keep: KeepModels) -> bool:
        """Whether a run that keeps these models drops such a result once nothing needs it."""
        return self.model is not None and keep in _DROPPING[self.model]


Kinds = Mapping[str, KindSpec]


@dataclass(frozen=True, eq=False)
class Step:
    """One result to be made. Steps with equal content are equal, wherever they are written down.

    A step does not know the version of the code that makes it, so it has no key of its own; a
    :class:`Graph` gives it one.

    Args:
        kind: name of a :class:`KindSpec`.
        params: everything else that decides the result, as plain JSON: text, whole and finite
            numbers, true, false, null, lists and mappings of them.
        inputs: the steps whose results it reads, by the name under which it reads them.

    Raises:
        ConfigError: a parameter that is not plain JSON, so that no two machines would agree on its
            key.

    Example:
        >>> prepared = Step("prepare", {"task": "xnli", "rows": None})
        >>> train = Step("train", {"seed": 1}, {"data": prepared})
        >>> train == Step("train", {"seed": 1}, {"data": prepared})
        True
    """

    kind: str
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Step] = field(default_factory=dict)
    _digest: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.kind or not set(self.kind) <= _ALLOWED:
            raise ConfigError("unusable kind of step", got=repr(self.kind), expected=_NAME)
        params = _plain(dict(self.params), f"step {self.kind!r}, params")
        inputs = {
            _text(name, f"step {self.kind!r}, inputs"): step
            for name, step in sorted(self.inputs.items())
        }
        # Copies that cannot be changed: the digest below must stay true of them.
        object.__setattr__(self, "params", _frozen(params))
        object.__setattr__(self, "inputs", MappingProxyType(inputs))
        content = [self.kind, params, {name: step._digest for name, step in inputs.items()}]
        object.__setattr__(self, "_digest", _sha256(content))

    def __eq__(self, other: object) -> bool:
        # By digest: comparing fields would walk all inputs of inputs, shared ones again and again.
        return isinstance(other, Step) and other._digest == self._digest

    def __hash__(self) -> int:
        return hash(self._digest)


@dataclass(frozen=True, slots=True)
class KeyedStep:
    """A step with its key: all that a worker or a manifest has to know about it.

    Attributes:
        key: sha256 of the canonical JSON of kind, code version, parameters and inputs' addresses.
        version: of the code that makes it.
        params: as plain JSON.
        inputs: name -> address of the input's result.
    """

    kind: str
    key: str
    version: int
    params: dict[str, Any]
    inputs: dict[str, str]

    @property
    def address(self) -> str:
        """``kind/key``: the result's place in every store."""
        return f"{self.kind}/{self.key}"

    @property
    def label(self) -> str:
        """Kind and the parameters short enough to be read, for people.

        Example:
            >>> params = {"task": "xnli", "seed": 7, "hyperparameters": {}}
            >>> KeyedStep("target", "ab" * 32, 1, params, {}).label
            'target task=xnli seed=7 (abababab)'
        """
        shown = [
            f"{name}={value}" for name, value in self.params.items() if isinstance(value, str | int)
        ]
        return " ".join(
            [self.kind, *(text for text in shown if len(text) <= 40), f"({self.key[:8]})"]
        )


class Graph:
    """The targets and every step they rest on, each once, inputs before their users.

    Args:
        targets: whose results are wanted.
        reported: further steps, which must have been made, but of which only what they reported is
            wanted: models, say, that may have been dropped since.

    Raises:
        ConfigError: a step of an unknown kind.
    """

    def __init__(
        self, targets: Iterable[Step], kinds: Kinds, reported: Iterable[Step] = ()
    ) -> None:
        self.kinds = kinds
        self._keyed: dict[Step, KeyedStep] = {}
        wanted, also = list(targets), list(reported)
        for step in [*wanted, *also]:
            self._add(step)
        self.targets: tuple[str, ...] = tuple(dict.fromkeys(self.address(step) for step in wanted))
        """Addresses of the targets, in their order."""
        self.reported: tuple[str, ...] = tuple(dict.fromkeys(self.address(step) for step in also))
        """Addresses of the steps of which only the report is wanted."""
        self.steps: Mapping[str, KeyedStep] = MappingProxyType(
            {keyed.address: keyed for keyed in self._keyed.values()}
        )
        """Address -> step, inputs before their users."""

    def keyed(self, step: Step) -> KeyedStep:
        """A step of this graph with its key."""
        return self._keyed[step]

    def address(self, step: Step) -> str:
        """``kind/key`` of a step of this graph."""
        return self.keyed(step).address

    def users(self) -> dict[str, list[str]]:
        """Address -> addresses of the steps that read it, in graph order."""
        users: dict[str, list[str]] = {address: [] for address in self.steps}
        for step in self.steps.values():
            # Once, even if it reads one result under two names.
            for address in sorted(set(step.inputs.values())):
                users[address].append(step.address)
        return users

    def _add(self, target: Step) -> None:
        # An explicit stack: a chain of steps may be longer than Python's recursion limit.
        stack = [target]
        while stack:
            step = stack[-1]
            missing = [other for other in step.inputs.values() if other not in self._keyed]
            if missing:
                stack.extend(reversed(missing))
                continue
            stack.pop()
            # Two users may have put it on the stack before it was keyed.
            if step not in self._keyed:
                self._keyed[step] = self._key(step)

    def _key(self, step: Step) -> KeyedStep:
        if step.kind not in self.kinds:
            raise unknown_name("kind of step", step.kind, self.kinds)
        version = self.kinds[step.kind].version
        params = _thawed(step.params)
        # Addresses, not digests: a new version of an input's code must change this key, too.
        inputs = {name: self._keyed[other].address for name, other in step.inputs.items()}
        content = {"kind": step.kind, "code_version": version, "params": params, "inputs": inputs}
        return KeyedStep(step.kind, _sha256(content), version, params, inputs)


def canonical(value: Any) -> str:
    """The one JSON text of a plain value: sorted keys, no spaces, ASCII.

    Example:
        >>> canonical({"b": [1, 2.5], "a": "é"})
        '{"a":"\\\\u00e9","b":[1,2.5]}'
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def _sha256(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode("ascii")).hexdigest()


def _plain(value: Any, where: str) -> Any:
    """A copy of JSON's own types only; members of enumerations become what they stand for."""
    # Before int, of which bool is one: true must not get the key of 1.
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, Mapping):
        return {_text(key, where): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise _refusal(value, where)


def _text(value: object, where: str) -> str:
    if isinstance(value, str):
        text = str.__str__(value)
        # A lone surrogate is not text: it could be hashed, but no manifest could record it.
        if not any("\ud800" <= char <= "\udfff" for char in text):
            return text
    raise _refusal(value, where)


def _refusal(value: object, where: str) -> ConfigError:
    expected = "plain JSON: text, finite numbers, true, false, null, lists, mappings with text keys"
    return ConfigError(
        "parameter that JSON cannot hold", where=where, got=f"{value!r:.80}", expected=expected
    )


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return MappingProxyType({key: _frozen(item) for key, item in value.items()})
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _thawed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _thawed(item) for key, item in value.items()}
    return list(map(_thawed, value)) if isinstance(value, tuple) else value
