"""The public encoders: a repository on the hub at one commit, and the sha256 of all that is read.

A name vouches for nothing, nor does a folder's own manifest: both are written by whoever made the
folder. What runs as one of these encoders has these bytes, or is refused; and a number that was not
made by them is never held against published ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

_WEIGHTS = "model.safetensors"
# XLM-R base and large have one tokenizer.
_TOKENIZER_SHA256 = "a898ea75433890f6610f4e470b8ebeb0c21dce5c8dd61f892eb09eb5919d2e2c"


@dataclass(frozen=True, slots=True)
class Pinned:
    """A repository on the hub at one commit.

    Args:
        files: name -> sha256 of every file that is taken of it: no pickle, no code. Empty where no
            public source has them: the commit alone then says which files these are, and the hub's
            own word is all that a download can be held against.
    """

    repository: str
    revision: str
    files: Mapping[str, str]

    @property
    def weights(self) -> str:
        """Sha256 of the weights.

        Raises:
            KeyError: no public source has it.
        """
        return self.files[_WEIGHTS]

    @property
    def signed(self) -> dict[str, str]:
        """What the signature of a number that it made says of it, as far as that is known."""
        known = {"encoder": self.repository, "revision": self.revision[:12]}
        if self.files:
            known |= {"weights": self.weights, "checkpoint": fingerprint(self.files)[:12]}
        return known


def encoder_label(name: str, layers: int | None) -> str:
    """How signatures call an encoder, or its first layers alone.

    Example:
        >>> encoder_label("mini", None), encoder_label("mini", 2)
        ('mini', 'mini cut to 2 layers')
    """
    return name if layers is None else f"{name} cut to {layers} layers"


PINNED: Mapping[str, Pinned] = MappingProxyType(
    {
        # The heads of main when this was written; ten public repositories pin the large one. MIT.
        # Sums: the hub's own file pages; those of configuration and tokenizer stand in several
        # public repositories that pin these commits too.
        "xlm-roberta-large": Pinned(
            "FacebookAI/xlm-roberta-large",
            "c23d21b0620b635a76227c604d44e43a9f0ee389",
            {
                "config.json": "ec7c3a99c58a38ebb702a2297f1c4586944e841b5eb29d201ff87e0f9c9abe0e",
                "tokenizer.json": _TOKENIZER_SHA256,
                _WEIGHTS: "2dfa19f172412917cab174da04b46e2134811b723666965fd0aabd97caa6e23b",
            },
        ),
        "xlm-roberta-base": Pinned(
            "FacebookAI/xlm-roberta-base",
            "e73636d4f797dec63c3081bb6ed5c7b0bb3f2089",
            {
                "config.json": "d66ed8cd4f2a93b358c245e50736fa389ed4f35c0bae7aad0b32abb20c62b579",
                "tokenizer.json": _TOKENIZER_SHA256,
                _WEIGHTS: "6fd4797bc397c3b8b55d6bb5740366b57e6a3ce91c04c77f22aafc0c128e6feb",
            },
        ),
        # XLM-R large distilled to 12 layers of 384 (Wang et al., MiniLMv2, arXiv 2012.15828), in
        # float16: a commit that adds safetensors to what its main branch has as a pickle only. None
        # of its files has a public sha256 outside the hub, where nobody could look when this was
        # written; what is downloaded is held against the hub's word for that commit, and every
        # signature has what ran. Enter the three sums here once they stand somewhere in public.
        "mminilmv2-l12": Pinned(
            "nreimers/mMiniLMv2-L12-H384-distilled-from-XLMR-Large",
            "7bb5245b14376eb5297d03d213f176ca0c4a6b04",
            {},
        ),
    }
)


def _xlm_roberta(layers: int, hidden: int, heads: int) -> dict[str, Any]:
    return {
        "architectures": ["XLMRobertaForMaskedLM"],
        "attention_probs_dropout_prob": 0.1,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": 4 * hidden,
        "layer_norm_eps": 1e-05,
        "max_position_embeddings": 514,
        "model_type": "xlm-roberta",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "pad_token_id": 1,
        "type_vocab_size": 1,
        "vocab_size": 250_002,
    }


ARCHITECTURES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "xlm-roberta-large": _xlm_roberta(24, 1024, 16),
        "xlm-roberta-base": _xlm_roberta(12, 768, 12),
        "mminilmv2-l12": _xlm_roberta(12, 384, 12),
    }
)
"""What the configuration of each of :data:`PINNED` says of its shape."""
SIZES: Mapping[str, int] = MappingProxyType(
    {
        PINNED["xlm-roberta-large"].files["config.json"]: 616,
        PINNED["xlm-roberta-base"].files["config.json"]: 615,
        PINNED["xlm-roberta-base"].weights: 1_115_567_652,
        _TOKENIZER_SHA256: 9_096_718,
    }
)
"""Sha256 -> bytes, where several public repositories state them: not of the large weights."""


def pin_of(repository: str, revision: str | None) -> Pinned | None:
    """The pin of a repository at a commit, of which the first digits will do; ``None`` without."""
    if not revision:
        return None
    return next(
        (
            pin
            for pin in PINNED.values()
            if pin.repository == repository and pin.revision.startswith(revision)
        ),
        None,
    )


def pinned_as(repository: str, revision: str | None) -> str | None:
    """Key of :data:`PINNED` of a repository at a commit, ``None`` if it is not pinned here."""
    for name, pin in PINNED.items():
        if (pin.repository, pin.revision) == (repository, revision):
            return name
    return None


def fingerprint(files: Mapping[str, str]) -> str:
    """One name for all files that decide what an encoder computes.

    That of ``sha256sum FILES | sha256sum``, the files in the order of their names.

    Args:
        files: name -> sha256.

    Example:
        >>> fingerprint(PINNED["xlm-roberta-base"].files)[:12]
        '9421f82f1b10'
    """
    lines = "".join(f"{files[name]}  {name}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()
