"""What the source tree looks like in numbers, for comparison before and after a rebuilding.

    python -m benchmarks.source_metrics [FOLDER ...]      # by default stilts_artifact

One line a folder: files, lines, median file, functions (median, 90 %, longest), share of functions
whose every argument and result is annotated, `Any`, `type: ignore`, `cast(`, comment lines for each
100 lines of code, share of lines over 100 columns, `fmt: skip`.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

COLUMNS = 100


class Tree(NamedTuple):
    """The numbers of one folder of Python files."""

    files: int
    lines: int
    median_file: float
    functions: int
    function_lines: tuple[float, float, int]
    typed: float
    any_: int
    ignores: int
    casts: int
    comments_per_100: float
    long_lines: float
    fmt_skips: int


def measure(folder: Path) -> Tree:
    """The numbers of a folder.

    Comment lines hold nothing but a comment; lines of code are those that hold a token which is no
    comment and no docstring.
    """
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))]
    everything = "\n".join(texts)
    functions = [function for text in texts for function in _functions(text)]
    sizes = sorted(int(function.end_lineno or 0) - function.lineno + 1 for function in functions)
    code, comments = (sum(column) for column in zip(*map(_code_and_comments, texts), strict=True))
    lines = [line for text in texts for line in text.splitlines()]
    return Tree(
        files=len(texts),
        lines=len(lines),
        median_file=median(len(text.splitlines()) for text in texts),
        functions=len(functions),
        function_lines=(median(sizes), quantiles(sizes, n=10)[-1], sizes[-1]),
        typed=100 * sum(map(_is_typed, functions)) / len(functions),
        any_=len(re.findall(r"\bAny\b", everything)),
        ignores=len(re.findall(r"#\s*type:\s*ignore", everything)),
        casts=len(re.findall(r"\bcast\(", everything)),
        comments_per_100=100 * comments / code,
        long_lines=100 * sum(len(line) > COLUMNS for line in lines) / len(lines),
        fmt_skips=len(re.findall(r"#\s*fmt:\s*(?:skip|off)", everything)),
    )


def _functions(text: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _is_typed(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    own = function.args
    arguments = [*own.posonlyargs, *own.args, *own.kwonlyargs, own.vararg, own.kwarg]
    named = [one for one in arguments if one is not None and one.arg not in ("self", "cls")]
    return function.returns is not None and all(one.annotation is not None for one in named)


def _code_and_comments(text: str) -> tuple[int, int]:
    """Lines of code, and lines that are a comment alone."""
    code: set[int] = set()
    comments = 0
    at_start = True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            comments += token.line.lstrip().startswith("#")
        elif token.type == tokenize.NEWLINE:
            at_start = True
        elif token.type not in (tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER):
            # A statement that is a text alone is a docstring.
            if not (at_start and token.type == tokenize.STRING):
                code.update(range(token.start[0], token.end[0] + 1))
            at_start = False
    return len(code), comments


def main() -> None:
    """Print a table of the folders named on the command line."""
    print(
        "folder | files | lines | median file | functions | med/p90/max | typed % "
        "| Any/ignore/cast | comments per 100 | > 100 columns % | fmt: skip"
    )
    for name in sys.argv[1:] or ["stilts_artifact"]:
        tree = measure(Path(name))
        middle, most, longest = tree.function_lines
        print(
            f"{name} | {tree.files} | {tree.lines} | {tree.median_file:g} | {tree.functions} "
            f"| {middle:g}/{most:g}/{longest} | {tree.typed:.1f} "
            f"| {tree.any_}/{tree.ignores}/{tree.casts} | {tree.comments_per_100:.1f} "
            f"| {tree.long_lines:.2f} | {tree.fmt_skips}"
        )


if __name__ == "__main__":
    main()
