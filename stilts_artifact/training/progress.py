"""What a long run tells whoever watches it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the course of a training run."""

    def step(self, done: int, total: int, loss: float) -> None:
        """A step is done; ``loss`` is its own."""

    def note(self, text: str) -> None:
        """Something worth a line, such as where a run resumed."""


class Silent:
    """Nobody watches."""

    def step(self, done: int, total: int, loss: float) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""
