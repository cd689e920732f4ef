"""From sentences to vectors: token vectors of chosen layers, pooled, in length-sorted batches.

The retrieval tasks ask for a :class:`SentenceEncoder` and know nothing of transformers; a
:class:`TransformerSentences` is one, on memory-mapped files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from stilts_artifact import __version__
from stilts_artifact.domain.signature import Signature
from stilts_artifact.errors import ConfigError, DataError
from stilts_artifact.model.batching import padded
from stilts_artifact.model.memory import Fitting
from stilts_artifact.retrieval.transformer import Transformer
from stilts_artifact.retrieval.vectors import Rows

if TYPE_CHECKING:
    import torch


Pooling = Literal["mean", "cls"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

# Sentences tokenised at a time: the tokenizer returns Python lists, many times the size of the
# arrays they become, so they must not all be alive at once.
_TOKENISED = 4096

Advance = Callable[[int], None]
"""Called with the number of sentences just embedded."""

PlaceOf = Callable[[str], str]
"""Where a sentence stands, for errors."""


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """What is looked for in sentences while they become tokens.

    Args:
        place_of: refuse a sentence of which the tokenizer leaves nothing, as standing there. A
            benchmark's are embedded whatever they hold, as its own scripts do, if a view includes
            the special tokens.
        cut: receives the sentences with more tokens than are kept.
    """

    place_of: PlaceOf | None = None
    cut: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class View:
    """Which vector of a sentence is meant; defaults are the paper's.

    Args:
        layer: index into ``hidden_states``, 0 being the embeddings.
        pooling: ``mean`` over tokens, or ``cls``, the first token.
        specials: whether the mean includes the special tokens.
    """

    # hidden_states[14] of 24: jiant's xtreme_runconfig_writer.py:56,119-124 at daa5a25.
    layer: int = 14
    pooling: Pooling = "mean"
    specials: bool = True

    def __post_init__(self) -> None:
        if self.pooling == "cls" and not self.specials:
            raise ConfigError(
                "cls pooling without special tokens: the first token is one", got=repr(self)
            )

    @property
    def name(self) -> str:
        """Pooling as a signature names it."""
        return self.pooling if self.specials else f"{self.pooling}-without-specials"


@dataclass(frozen=True, slots=True)
class Batching:
    """How inputs are made.

    Args:
        max_length: tokens kept of a sentence, special tokens and prefix included.
        tokens: most padded tokens in a batch; more use more memory. A batch that memory does not
            hold is halved.
        prefix: text before every sentence, for encoders that were trained with one: ``"query: "``
            of E5 (Wang et al. 2024, arXiv 2402.05672).
    """

    # jiant's c_tokenize_and_cache.sh:135-156 at daa5a25.
    max_length: int = 512
    tokens: int = 8192
    prefix: str = ""


Ran = Mapping[str, str | int]
"""Fields of a :class:`Signature` that say what was computed, as the objects that computed it do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """Everything about an encoder that a signature names; see :class:`Signature`."""

    encoder: str
    revision: str | None
    layer: int | None
    pooling: str | None
    max_length: int | None
    dtype: str
    prefix: str | None = None

    @property
    def vectors(self) -> Ran:
        """How vectors are made of sentences, whichever encoder it is."""
        named = {
            "layer": self.layer,
            "pooling": self.pooling,
            "prefix": self.prefix,
            "max_length": self.max_length,
            "dtype": self.dtype,
        }
        return {name: value for name, value in named.items() if value is not None}

    def to_json(self) -> dict[str, str | int | None]:
        """Which encoder, and how it makes vectors."""
        return {"encoder": self.encoder, "revision": self.revision, **self.vectors}

    def __str__(self) -> str:
        prefix = "" if self.prefix is None else f", prefix {self.prefix!r}"
        return f"{self.encoder} ({self.revision}), layer {self.layer}, {self.pooling}{prefix}"


class SentenceEncoder(Protocol):
    """A function from sentences to vectors."""

    @property
    def description(self) -> Description:
        """What the vectors are."""

    def __call__(self, texts: Sequence[str]) -> Rows:
        """Array [texts, dimensions], in the order of the texts."""


def sign(
    description: Description, ran: Ran, *, task: str, split: str, language: str, **fields: Any
) -> Signature:
    """The signature of a retrieval score.

    Args:
        ran: what was computed.
        fields: further fields of :class:`Signature`.
    """
    return Signature(
        task=task,
        split=split,
        languages=(language,),
        encoder=description.encoder,
        revision=description.revision,
        version=__version__,
        **{**ran, **fields},
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Tokens:
    """Token ids of all sentences in one array, which are special, where each sentence starts, which
    sentences have no token of their own, and which had more tokens than are kept.

    One array and not a list of them: 500,000 small arrays would cost more than what they hold.
    """

    ids: NDArray[np.int32]
    special: NDArray[np.bool_]
    starts: NDArray[np.int64]
    bare: NDArray[np.bool_]
    cut: frozenset[str]

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.starts)


def embed(
    encoder: Transformer,
    texts: Sequence[str],
    outputs: Mapping[View, Path],
    *,
    batching: Batching | None = None,
    advance: Advance | None = None,
    inspection: Inspection | None = None,
) -> dict[View, Rows]:
    """Embed sentences into .npy files, one for each view, in one pass of the encoder.

    Args:
        outputs: where each view goes; written beside it first, so that a file that is there is
            whole.

    Returns:
        Memory-mapped float32 arrays [texts, dimensions], in the order of the texts.

    Raises:
        DataError: no texts, or one that gives no token to pool.
        ConfigError: a layer that was not loaded, or a length that the encoder has no positions for.
        ResourceError: memory does not hold one sentence.
    """
    import torch

    batching = batching or Batching()
    _check(encoder, texts, outputs, batching)
    tokens = _tokenise(encoder, texts, batching)
    inspection = inspection or Inspection()
    if inspection.place_of is not None or not all(view.specials for view in outputs):
        _require_content(tokens, texts, inspection.place_of)
    inspection.cut.update(tokens.cut)
    # A memory map is written in the order of the batches, not of the texts: until the last one it
    # has holes, so it goes by another name.
    partial = {view: path.with_name(path.name + ".partial") for view, path in outputs.items()}
    shape = (len(texts), int(encoder.model.config.hidden_size))
    arrays = {
        view: np.lib.format.open_memmap(path, "w+", np.float32, shape)
        for view, path in partial.items()
    }
    fit, lengths = fit_of(encoder.device), tokens.lengths
    fitting = Fitting.of("embedding", torch.device(encoder.device), encoder.model.config)

    def size(batch: NDArray[np.int64]) -> int:
        # Its longest comes first.
        return len(batch) * padded(int(lengths[batch[0]]), fit.multiple)

    def compute(batch: NDArray[np.int64]) -> bool:
        for view, vectors in _forward(encoder, tokens, batch, list(outputs)).items():
            arrays[view][batch] = vectors
        if advance is not None:
            advance(len(batch))
        return True

    fitting.each(make_batches(lengths, fitting.within(batching.tokens), fit), size, compute)
    for view, array in arrays.items():
        array.flush()
        partial[view].replace(outputs[view])
    return {view: np.load(path, mmap_mode="r") for view, path in outputs.items()}


class Fit(NamedTuple):
    """What a device takes at a time. Another one gives vectors with other last bits.

    Who changes the numbers raises the code version of the steps that embed.

    Args:
        tokens: padded tokens of a batch beyond which it computes no faster.
        overhead: what a batch costs beside its tokens, as a number of tokens.
        multiple: lengths are padded to a multiple of this.
    """

    tokens: int
    overhead: int
    multiple: int


# The states of more tokens leave a processor's cache; a batch of 96 tokens takes a third more time
# for each than one of 1,500.
_CPU = Fit(1536, overhead=48, multiple=1)
# As in training: launching kernels takes as long as some thousand tokens.
_GPU = Fit(1 << 20, overhead=4000, multiple=8)


def fit_of(device: str) -> Fit:
    """What a device takes, as torch names it."""
    return _GPU if device.startswith("cuda") else _CPU


def make_batches(
    lengths: NDArray[np.int64], tokens: int, fit: Fit = _CPU
) -> Iterator[NDArray[np.int64]]:
    """Sentences of like length together, longest first: what needs most memory fails at once.

    Sentences of equal length need no padding. Those of unequal length share batches where that
    costs less than batches of their own. Sentences x padded length is at most ``tokens``, unless
    one sentence alone exceeds it. The same lengths always give the same batches.

    Example:
        >>> lengths = np.array([3, 40, 4, 39, 39])
        >>> [batch.tolist() for batch in make_batches(lengths, 100, Fit(100, 5, 1))]
        [[1], [3, 4], [2, 0]]
    """
    # Stable: equal lengths in the order of the texts, so that batches, and with them the last bits
    # of every vector, are the same in each run.
    order = np.argsort(-lengths, kind="stable")
    most = min(tokens, fit.tokens)
    start = 0
    for width, together in _groups(lengths, most, fit):
        size = max(1, most // width)
        for at in range(start, start + together, size):
            yield order[at : min(at + size, start + together)]
        start += together


def _groups(lengths: NDArray[np.int64], most: int, fit: Fit) -> list[tuple[int, int]]:
    """The cheapest partition into runs of lengths, longest first: width, and how many sentences."""
    widths, counts = np.unique(-(-lengths // fit.multiple) * fit.multiple, return_counts=True)
    widths, counts = widths[::-1], counts[::-1]
    ends = np.concatenate([[0], np.cumsum(counts)])
    # By dynamic programming over distinct widths: costs[end] is the least cost of those before it,
    # and starts[end] is where the last run of that partition begins.
    costs, starts = np.zeros(len(ends)), np.zeros(len(ends), np.int64)
    for end in range(1, len(ends)):
        held = ends[end] - ends[:end]
        batches = -(-held // np.maximum(1, most // widths[:end]))
        found = costs[:end] + held * widths[:end] + batches * fit.overhead
        starts[end] = found.argmin()
        costs[end] = found[starts[end]]
    groups, end = [], len(widths)
    while end:
        groups.append((int(widths[starts[end]]), int(ends[end] - ends[starts[end]])))
        end = int(starts[end])
    return groups[::-1]


def _check(
    encoder: Transformer, texts: Sequence[str], outputs: Mapping[View, Path], batching: Batching
) -> None:
    if not texts:
        raise DataError("no sentences to embed", expected="at least one")
    loaded = int(encoder.model.config.num_hidden_layers)
    for view in outputs:
        if not 0 <= view.layer <= loaded:
            raise ConfigError(
                "a layer that was not loaded", got=str(view.layer), expected=f"0 to {loaded}"
            )
    if not 3 <= batching.max_length <= encoder.longest:  # <s>, one token of the text, </s>
        raise ConfigError(
            "the encoder has no positions for this length",
            where=encoder.name,
            got=str(batching.max_length),
            expected=f"3 to {encoder.longest}",
            fix=f"--max-length {encoder.longest}",
        )


def _require_content(tokens: _Tokens, texts: Sequence[str], place_of: PlaceOf | None) -> None:
    # The mean of no tokens is 0/0, and that of the special ones, or of the prefix, is the same for
    # all such sentences; say which it is before an hour of embedding, not after.
    bare = np.flatnonzero(tokens.bare)
    if bare.size:
        text = texts[bare[0]]
        raise DataError(
            "a sentence with nothing but special tokens",
            where=place_of(text) if place_of is not None else f"sentence {bare[0]} (0-based)",
            got=ascii(text),
            fix="delete it",
        )


def _tokenise(encoder: Transformer, texts: Sequence[str], batching: Batching) -> _Tokens:
    ids: list[NDArray[np.int32]] = []
    special: list[NDArray[np.bool_]] = []
    bare: list[bool] = []
    cut: set[str] = set()
    nothing = _nothing(encoder, batching)
    for start in range(0, len(texts), _TOKENISED):
        some = texts[start : start + _TOKENISED]
        made = encoder.tokenizer(
            [batching.prefix + text for text in some],
            truncation=True,
            max_length=batching.max_length,
            return_attention_mask=False,
            return_special_tokens_mask=True,
        )
        rows = made["input_ids"]
        full = [
            text for text, row in zip(some, rows, strict=True) if len(row) == batching.max_length
        ]
        cut.update(_longer(encoder, full, batching))
        bare += (row == nothing for row in rows)
        # 32 bits hold every id; torch gets its 64 a batch at a time.
        ids += (np.array(row, dtype=np.int32) for row in rows)
        special += (np.array(row, dtype=np.bool_) for row in made["special_tokens_mask"])
    starts = np.cumsum([0, *map(len, ids)], dtype=np.int64)
    return _Tokens(
        np.concatenate(ids), np.concatenate(special), starts, np.array(bare), frozenset(cut)
    )


def _nothing(encoder: Transformer, batching: Batching) -> list[int]:
    """Tokens of a sentence that is empty: special ones, and the prefix.

    Raises:
        ConfigError: they leave no room for a token of a sentence.
    """
    ids: list[int] = encoder.tokenizer(batching.prefix, return_attention_mask=False)["input_ids"]
    if len(ids) >= batching.max_length:
        raise ConfigError(
            "no room for a sentence behind the prefix",
            where=encoder.name,
            got=f"{batching.max_length} tokens",
            expected=f"more than {len(ids)}",
            fix=f"--max-length {encoder.longest}",
        )
    return ids


def _longer(encoder: Transformer, texts: Sequence[str], batching: Batching) -> list[str]:
    """Those of the texts that have more tokens than are kept."""
    if not texts:
        return []
    # Not verbose: that they exceed what the model reads is what is asked.
    made = encoder.tokenizer(
        [batching.prefix + text for text in texts], return_attention_mask=False, verbose=False
    )
    rows = made["input_ids"]
    return [text for text, row in zip(texts, rows, strict=True) if len(row) > batching.max_length]


def _forward(
    encoder: Transformer, tokens: _Tokens, batch: NDArray[np.int64], views: Sequence[View]
) -> dict[View, NDArray[np.float32]]:
    import torch

    longest = int(tokens.starts[batch[0] + 1] - tokens.starts[batch[0]])  # the first of a batch
    width = padded(longest, fit_of(encoder.device).multiple)
    shape = (len(batch), width)
    ids = np.full(shape, encoder.tokenizer.pad_token_id, np.int64)
    attended, special = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    for line, sentence in enumerate(batch):
        span = slice(tokens.starts[sentence], tokens.starts[sentence + 1])
        held = slice(span.stop - span.start)
        ids[line, held], special[line, held], attended[line, held] = (
            tokens.ids[span],
            tokens.special[span],
            True,
        )
    on_device: list[Any] = [
        torch.from_numpy(array).to(encoder.device) for array in (ids, attended, special)
    ]
    with torch.inference_mode():
        states = encoder.model(
            input_ids=on_device[0], attention_mask=on_device[1].long(), output_hidden_states=True
        ).hidden_states
        return {
            view: pool(states[view.layer], on_device[1], on_device[2], view).cpu().numpy()
            for view in views
        }


def pool(
    states: torch.Tensor, attended: torch.Tensor, special: torch.Tensor, view: View
) -> torch.Tensor:
    """Sentence vectors from token vectors, in float32.

    The mean includes the special tokens unless told otherwise (XTREME evaluate_retrieval.py:96-110
    at 838c13b).

    Args:
        states: tensor [sentences, tokens, dimensions].
        attended, special: bool tensors [sentences, tokens]: not padding; special tokens.

    Returns:
        Tensor [sentences, dimensions].
    """
    states = states.float()  # bfloat16 would keep two digits of a mean
    if view.pooling == "cls":
        return states[:, 0]
    counted = attended if view.specials else attended & ~special
    weights = counted.float()
    return (states * weights[:, :, None]).sum(dim=1) / weights.sum(dim=1, keepdim=True)


@dataclass(frozen=True, slots=True, eq=False)
class TransformerSentences:
    """Embeds with one view of one encoder.

    Args:
        folder: where memory-mapped vectors may lie as long as they are used.
    """

    transformer: Transformer
    view: View
    batching: Batching
    folder: Path
    advance: Advance | None = None
    inspection: Inspection = field(default_factory=Inspection)

    @property
    def description(self) -> Description:
        """Name, layer, pooling and the rest that a signature needs."""
        return describe(self.transformer, self.view, self.batching)

    def __call__(self, texts: Sequence[str]) -> Rows:
        """Float32 array [texts, dimensions], memory-mapped."""
        return self._embed(texts, [self.view])[0]

    def layers(self, texts: Sequence[str]) -> list[Rows]:
        """The same of every layer that is loaded, from the embeddings on, in one pass."""
        deepest = int(self.transformer.model.config.num_hidden_layers)
        return self._embed(texts, [replace(self.view, layer=at) for at in range(deepest + 1)])

    def _embed(self, texts: Sequence[str], views: Sequence[View]) -> list[Rows]:
        # A folder for each call: vectors of earlier calls are still mapped while these are made.
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        made = embed(
            self.transformer,
            texts,
            {view: folder / f"layer-{view.layer}.npy" for view in views},
            batching=self.batching,
            advance=self.advance,
            inspection=self.inspection,
        )
        return [made[view] for view in views]


def describe(transformer: Transformer, view: View, batching: Batching) -> Description:
    """What the vectors of a view are."""
    return Description(
        encoder=transformer.name,
        revision=transformer.revision,
        layer=view.layer,
        pooling=view.name,
        max_length=batching.max_length,
        dtype=transformer.dtype,
        prefix=batching.prefix or None,
    )
