"""How a small encoder is pretrained: one frozen record, so that a hash of it names the result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from stilts_artifact.errors import unknown_name
from stilts_artifact.miniworld import languages
from stilts_artifact.miniworld.family import AMOUNTS

ALIKE: Mapping[str, int] = dict.fromkeys(languages, 1)
"""The shipped languages, with equal amounts of text."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the weights of the encoder, on one machine type.

    Args:
        steps: optimiser steps.
        batch_tokens: most padded tokens of a step.
        learning_rate: its peak; linear warm-up over ``warmup`` (share of the horizon), then a line
            that would reach zero at ``horizon`` (steps), times one that falls to zero over the last
            ``cooldown`` steps.
        seed: of initial weights, texts and masks.
        pieces: size of the SentencePiece model.
        vocabulary_documents: documents in each language that it is trained on; where languages have
            different amounts of text, in one of amount 1.
        layers, hidden, heads, feed_forward: of the encoder.
        dropout: while pretraining; fine-tuning takes XLM-R's 0.1.
        mask_rate: share of tokens to predict.
        parallel_share: share of windows that hold a sentence beside its translation; the others are
            monolingual.
        joined_share: share of windows that hold two joined texts, as :mod:`discourse` makes them;
            ``parallel_share`` is of the others.
        contrast_from: pool of batches from which on texts that agree are told by the word for
            *yes*: first the model learns to find what corresponds, then to say whether it is the
            same.
        threads: of the arithmetic; another number changes the last bits.
        amounts: language -> its text, relative to the others': so much likelier are its windows.
            ``None`` for the shipped languages, all alike.
    """

    steps: int
    batch_tokens: int
    learning_rate: float
    warmup: float
    horizon: int
    cooldown: int
    seed: int
    pieces: int
    vocabulary_documents: int
    layers: int
    hidden: int
    heads: int
    feed_forward: int
    dropout: float
    mask_rate: float
    parallel_share: float
    joined_share: float
    contrast_from: int
    threads: int
    amounts: dict[str, int] | None = None

    @property
    def text(self) -> Mapping[str, int]:
        """Language -> its amount of text."""
        return ALIKE if self.amounts is None else self.amounts

    @property
    def facts(self) -> dict[str, Any]:
        """Every field that is set, by name, as the encoder's own files have it."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def digest(self) -> str:
        """Sha256 of the recipe's canonical JSON."""
        return hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()


# Found by trying: half an hour on one core, and the encoder compares texts, answers questions and
# finds translations (quality.json beside it says how well).
SHIPPED = Recipe(
    steps=14_000,
    batch_tokens=2048,
    learning_rate=2e-3,
    warmup=0.05,
    horizon=20_000,
    cooldown=3_000,
    seed=1,
    pieces=3000,
    vocabulary_documents=4000,
    layers=4,
    hidden=96,
    heads=4,
    feed_forward=384,
    dropout=0.0,
    mask_rate=0.2,
    parallel_share=0.4,
    joined_share=0.6,
    # About step 8,000; see discourse for what happens there.
    contrast_from=113,
    threads=1,
)
"""The encoder that ships with the package."""

QUICK = Recipe(
    steps=40,
    batch_tokens=2048,
    learning_rate=2e-3,
    warmup=0.1,
    horizon=40,
    cooldown=1,
    seed=1,
    pieces=1000,
    vocabulary_documents=500,
    layers=2,
    hidden=64,
    heads=2,
    feed_forward=128,
    dropout=0.0,
    mask_rate=0.2,
    parallel_share=0.3,
    joined_share=0.3,
    contrast_from=0,
    threads=1,
)
"""Seconds instead of minutes, for tests; the same machinery, an encoder good for nothing."""

FAMILY_SIZES: Mapping[str, tuple[int, int]] = {"2x64": (2, 64), "4x96": (4, 96), "6x192": (6, 192)}
"""Name -> layers and their width."""
_HEAD = 32  # width of an attention head; feed-forward layers are four times as wide as the others


_STEPS, _HORIZON, _COOLDOWN, _CONTRAST_FROM = 4_500, 11_428, 1_000, 46
"""Of the family: broken off where the learning rate is still at seven tenths of its peak, for a
night has six encoders to train. Contrast begins after about 3,600 steps."""


def family_recipe(size: str, seed: int, steps: int = _STEPS) -> Recipe:
    """An encoder of the family of languages, each with its own amount of text.

    As XLM-R, and unlike the shipped encoder, it never meets a sentence beside its translation: what
    it knows of one language in another comes from names, shared words and like contexts.

    Args:
        size: of :data:`FAMILY_SIZES`.
        steps: another number is another schedule, in proportion.
    """
    layers, hidden = FAMILY_SIZES[size]
    return replace(
        SHIPPED,
        steps=steps,
        horizon=steps * _HORIZON // _STEPS,
        cooldown=max(1, steps * _COOLDOWN // _STEPS),
        contrast_from=steps * _CONTRAST_FROM // _STEPS,
        seed=seed,
        pieces=4000,
        vocabulary_documents=250,
        layers=layers,
        hidden=hidden,
        heads=hidden // _HEAD,
        feed_forward=4 * hidden,
        parallel_share=0.0,
        amounts=dict(AMOUNTS),
    )


RecipeName = Literal["shipped", "quick"]
RECIPES: dict[RecipeName, Recipe] = {"shipped": SHIPPED, "quick": QUICK}


def recipe(name: str) -> Recipe:
    """The recipe with this name.

    Raises:
        ConfigError: there is none.
    """
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    return RECIPES[name]
