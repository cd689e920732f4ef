"""The benchmark as literal tables: tasks, languages, splits, upstream files, experiments."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

from stilts_artifact.benchmark.tasks import INTERMEDIATE_ROWS, TARGET_ROWS
from stilts_artifact.errors import unknown_name

if TYPE_CHECKING:
    from stilts_artifact.domain.tasks import Benchmark

INTERMEDIATE = tuple(row.name for row in INTERMEDIATE_ROWS)
TARGETS = tuple(row.name for row in TARGET_ROWS)
TASKS = (*INTERMEDIATE, *TARGETS)
BENCHMARKS = ("xtreme", "mini")
"""Those of the paper's tables; the third, ``family``, is one of the studies' own."""


@cache
def load_benchmark(
    name: Literal["xtreme", "mini", "family"],
    languages: tuple[str, ...] | None = None,
    own_data: tuple[str, ...] = (),
    *,
    single_files: bool = False,
) -> Benchmark:
    """One of the worlds, real or generated, built at the first call.

    Args:
        languages: the only ones that targets are evaluated in; by default all.
        own_data: names of somebody's own files that it reads in place of its own.
        single_files: whether it reads, of splits in many files of an archive, those alone that are
            known one by one: see :func:`stilts_artifact.benchmark.assemble.with_single_files`.

    Raises:
        ConfigError: no benchmark has this name, or its pins do not fit its tasks; or a language
            that it does not have, or a file that cannot stand in for anything.

    Example:
        >>> load_benchmark("xtreme").tasks["xquad"].languages[:3]
        ('ar', 'de', 'el')
    """
    from stilts_artifact.benchmark import assemble
    from stilts_artifact.benchmark.own_data import with_own_data

    if languages is not None:
        whole = load_benchmark(name, None, own_data, single_files=single_files)
        return assemble.restricted(whole, languages)
    if own_data:
        return with_own_data(load_benchmark(name, single_files=single_files), own_data)
    if single_files:
        return assemble.with_single_files(load_benchmark(name))
    if name == "xtreme":
        return assemble.xtreme_benchmark()
    if name == "mini":
        return assemble.mini_benchmark()
    if name == "family":
        return assemble.family_benchmark()
    raise unknown_name("benchmark", name, (*BENCHMARKS, "family"))
