"""A small language for claims about cells: parsed here, never handed to Python's own evaluator.

    gain(multi, average) > max(gain(singles, average))
    share(gain(with_mlm, average, counterpart) > 0) < 0.85
    within(gain(mnli, average), reported, tolerance) and not gain(qqp, average) > 4 * 2

    truth      := conjunct {"or" conjunct}
    conjunct   := denial {"and" denial}
    denial     := "not" denial | comparison
    comparison := sum [("<" | "<=" | ">" | ">=") sum]
    sum        := term {("+" | "-") term}
    term       := factor {"*" factor}
    factor     := NUMBER | "-" factor | NAME | FUNCTION "(" argument {"," argument} ")" | "(" truth
    ")"

A name in the place of a row or column is a set of the document, or the row or column itself;
``"mnli+mlm"`` is quoted. What refers to a set has one value for each member, and has to be reduced
(``mean``, ``max``, ``count``, ...) before the whole becomes one truth. Every value is an array
[members, draws]: draw 0 is what was measured, the others are what chance might have made of it, so
that a predicate is evaluated once and its truth comes with its uncertainty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stilts_artifact.checking.selections import CELL_FUNCTIONS, Cells, Names, Reference
from stilts_artifact.errors import ConfigError

MAX_LENGTH = 1000
MAX_DEPTH = 20

Values = NDArray[Any]
Kind = Literal["number", "truth"]
_Operator = Callable[..., Values]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)(?![\w.])|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|\"(?P<quoted>[^\"\s]+)\""
    r"|(?P<symbol><=|>=|[<>()+\-*,]))"
)
_COMPARISONS: Mapping[str, _Operator] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
_SUMS: Mapping[str, _Operator] = {"+": np.add, "-": np.subtract}
_TERMS: Mapping[str, _Operator] = {"*": np.multiply}


class _Function(NamedTuple):
    operator: _Operator
    takes: tuple[Kind, ...]
    gives: Kind
    reduces: bool


def _reducer(reduce: Callable[..., Any]) -> _Operator:
    return lambda values: np.asarray(reduce(values, axis=0))[None]


FUNCTIONS: Mapping[str, _Function] = {
    "mean": _Function(_reducer(np.mean), ("number",), "number", True),
    "max": _Function(_reducer(np.max), ("number",), "number", True),
    "min": _Function(_reducer(np.min), ("number",), "number", True),
    "count": _Function(_reducer(np.sum), ("truth",), "number", True),
    "share": _Function(_reducer(np.mean), ("truth",), "number", True),
    "all": _Function(_reducer(np.all), ("truth",), "truth", True),
    "any": _Function(_reducer(np.any), ("truth",), "truth", True),
    "abs": _Function(np.abs, ("number",), "number", False),
    "within": _Function(
        lambda x, target, band: np.abs(x - target) <= band, ("number",) * 3, "truth", False
    ),
}
"""``within(x, target, tolerance)``; ``share`` is the fraction, 0 to 1, of members for which something holds."""


@dataclass(frozen=True, slots=True)
class Node:
    """A parsed expression.

    Args:
        kind: what it evaluates to.
        many: whether it has a value for each member of a set.
        evaluate: from the arrays of cells to its own.
        references: the cells it needs, as rows and columns or sets of them.
    """

    kind: Kind
    many: bool
    evaluate: Callable[[Cells], Values]
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a document defines for its predicates: sets of rows or columns, and numbers with a name."""

    sets: Mapping[str, tuple[str, ...]]
    constants: Mapping[str, float]


def parse_predicate(text: str, vocabulary: Vocabulary, where: str) -> Node:
    """A predicate: one truth about cells.

    Raises:
        ConfigError: with ``where:position`` (counted from 1) of what is wrong: a character or word
            that the language does not have, a wrong type, or a text over :data:`MAX_LENGTH` or
            :data:`MAX_DEPTH`.
    """
    node = _Parser(text, vocabulary, where).whole()
    _require(node, "truth", where)
    if not node.references:
        raise ConfigError("predicate about no cell", where=where, got=text)
    return node


def parse_number(text: str, vocabulary: Vocabulary, where: str) -> Node:
    """One number about cells; the same language and errors as :func:`parse_predicate`."""
    node = _Parser(text, vocabulary, where).whole()
    _require(node, "number", where)
    return node


def _require(node: Node, kind: Kind, where: str) -> None:
    if node.kind != kind or node.many:
        got = f"{node.kind}s of a set" if node.many else f"a {node.kind}"
        raise ConfigError("predicate of another type", where=where, got=got, expected=f"one {kind}")


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


def _tokens(text: str, where: str) -> Iterator[_Token]:
    end = len(text.rstrip())
    place = 0
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            start = place + len(text[place:]) - len(text[place:].lstrip())
            got = text[start : start + 20]
            raise ConfigError(
                "not in the language of predicates", where=f"{where}:{start + 1}", got=got
            )
        kind = str(match.lastgroup)
        yield _Token(kind, match[kind], match.start(kind) + 1)
        place = match.end()
    yield _Token("end", "the end", end + 1)


class _Parser:
    """Recursive descent, one method for each rule of the grammar."""

    def __init__(self, text: str, vocabulary: Vocabulary, where: str) -> None:
        if len(text) > MAX_LENGTH:
            raise ConfigError(
                "predicate too long", where=where, got=f"{len(text)}", expected=f"<= {MAX_LENGTH}"
            )
        self._where = where
        self._vocabulary = vocabulary
        self._tokens = list(_tokens(text, where))
        self._place = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._truth()
        if self._next.kind != "end":
            raise self._error("unexpected", self._next)
        return node

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place]

    def _take(self) -> _Token:
        token = self._next
        self._place += 1
        return token

    def _accept(self, *texts: str) -> str | None:
        """The next token if it is one of these words or symbols."""
        if self._next.kind in ("name", "symbol") and self._next.text in texts:
            return self._take().text
        return None

    def _expect(self, text: str) -> None:
        if self._accept(text) is None:
            raise self._error("unexpected", self._next, expected=repr(text))

    def _error(self, what: str, token: _Token, expected: str | None = None) -> ConfigError:
        return ConfigError(
            f"{what} in a predicate",
            where=f"{self._where}:{token.position}",
            got=token.text,
            expected=expected,
        )

    def _truth(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(
                "nested too deeply", self._next, expected=f"at most {MAX_DEPTH} levels"
            )
        node = self._conjunct()
        while self._accept("or"):
            node = self._apply(np.logical_or, (node, self._conjunct()), "truth", "truth")
        self._depth -= 1
        return node

    def _conjunct(self) -> Node:
        node = self._denial()
        while self._accept("and"):
            node = self._apply(np.logical_and, (node, self._denial()), "truth", "truth")
        return node

    def _denial(self) -> Node:
        denials = 0
        while self._accept("not"):
            denials += 1
        node = self._comparison()
        for _ in range(denials):
            node = self._apply(np.logical_not, (node,), "truth", "truth")
        return node

    def _comparison(self) -> Node:
        node = self._sum()
        symbol = self._accept(*_COMPARISONS)
        if symbol is None:
            return node
        return self._apply(_COMPARISONS[symbol], (node, self._sum()), "number", "truth")

    def _sum(self) -> Node:
        return self._chain(self._term, _SUMS)

    def _term(self) -> Node:
        return self._chain(self._factor, _TERMS)

    def _chain(self, operand: Callable[[], Node], operators: Mapping[str, _Operator]) -> Node:
        node = operand()
        while symbol := self._accept(*operators):
            node = self._apply(operators[symbol], (node, operand()), "number", "number")
        return node

    def _factor(self) -> Node:
        negations = 0
        while self._accept("-"):
            negations += 1
        node = self._plain_factor()
        if negations:
            sign = (-1.0) ** negations
            node = self._apply(lambda values: sign * values, (node,), "number", "number")
        return node

    def _plain_factor(self) -> Node:
        if self._accept("("):
            node = self._truth()
            self._expect(")")
            return node
        token = self._take()
        if token.kind == "number":
            return _constant(float(token.text))
        if token.kind != "name":
            raise self._error("unexpected", token, expected="a number, a name or a function")
        if token.text in self._vocabulary.constants:
            return _constant(self._vocabulary.constants[token.text])
        if token.text in CELL_FUNCTIONS:
            return self._cells(token)
        if token.text in FUNCTIONS:
            return self._call(token)
        known = ", ".join([*FUNCTIONS, *CELL_FUNCTIONS, *self._vocabulary.constants])
        raise self._error("unknown name", token, expected=f"one of {known}")

    def _call(self, name: _Token) -> Node:
        function = FUNCTIONS[name.text]
        self._expect("(")
        arguments = [self._truth()]
        while self._accept(","):
            arguments.append(self._truth())
        self._expect(")")
        if len(arguments) != len(function.takes):
            raise self._error("wrong number of arguments", name, expected=f"{len(function.takes)}")
        node = self._apply(function.operator, tuple(arguments), function.takes[0], function.gives)
        if function.reduces and not node.many:
            raise self._error("nothing to reduce", name, expected="values of a set")
        return Node(node.kind, node.many and not function.reduces, node.evaluate, node.references)

    def _cells(self, name: _Token) -> Node:
        self._expect("(")
        names = [self._names()]
        while self._accept(","):
            names.append(self._names())
        self._expect(")")
        least, most, of_columns = CELL_FUNCTIONS[name.text]
        if not least <= len(names) <= most:
            raise self._error("wrong number of arguments", name, expected=f"{least} to {most}")
        reference = Reference(name.text, names[0], names[1], names[2] if len(names) > 2 else None)
        many = names[1].many or (names[0].many and not of_columns)
        return Node("number", many, lambda cells: cells.values(reference), (reference,))

    def _names(self) -> Names:
        token = self._take()
        if token.kind not in ("name", "quoted"):
            raise self._error("unexpected", token, expected="a row, a column or a set of them")
        if token.kind == "name" and token.text in self._vocabulary.sets:
            return Names(token.text, self._vocabulary.sets[token.text], True)
        return Names(token.text, (token.text,), False)

    def _apply(
        self, operator: _Operator, nodes: tuple[Node, ...], takes: Kind, gives: Kind
    ) -> Node:
        for node in nodes:
            if node.kind != takes:
                raise self._error(f"a {node.kind}, not a {takes},", self._tokens[self._place - 1])
        references = tuple(reference for node in nodes for reference in node.references)

        def evaluate(cells: Cells) -> Values:
            arrays = [node.evaluate(cells) for node in nodes]
            sizes = {len(array) for array, node in zip(arrays, nodes, strict=True) if node.many}
            if len(sizes) > 1:
                raise ConfigError(
                    "sets of different sizes compared", where=self._where, got=str(sorted(sizes))
                )
            return operator(*arrays)

        return Node(gives, any(node.many for node in nodes), evaluate, references)


def _constant(value: float) -> Node:
    array = np.array([[value]])
    return Node("number", False, lambda cells: array)
