"""Reproduces and checks the tables of arXiv 2005.13013v2; the names below are the library.

They are imported when they are first used: ``import stilts_artifact`` itself loads none of numpy,
torch or pydantic.
"""

from __future__ import annotations

# Not the module's own: loading that takes as long as starting this package's command line.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stilts_artifact.api import (
        check,
        compare_rows,
        load_results,
        mine,
        reproduce,
        score_folders,
        sweep,
    )
    from stilts_artifact.domain.signature import Signature

__version__ = "0.1.0"

__all__ = [
    "Signature",
    "__version__",
    "check",
    "compare_rows",
    "load_results",
    "mine",
    "reproduce",
    "score_folders",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name == "Signature":
        from stilts_artifact.domain.signature import Signature

        return Signature
    if name in __all__:
        from stilts_artifact import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
