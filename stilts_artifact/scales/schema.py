"""The fields of a scale file."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Scale(BaseModel):
    """How large a run is, and what its result means.

    Attributes:
        name: the scale's name, part of every signature.
        world: which benchmark it reads.
        expected: the folder of ``expected_results`` it is compared with.
        evidence: whether a result says anything about the paper.
        meaning: that in words, printed beside every result.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Literal["mini", "base", "paper"]
    world: Literal["mini", "xtreme"]
    expected: Literal["mini", "paper"]
    evidence: bool
    meaning: str

    @property
    def stamp(self) -> str:
        """The line that captions every table of this scale."""
        return f"{self.name}: {self.meaning}"
